"""The command lines of QEMU and of virtiofsd, which shares the root with it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.sandbox.base import Limits
from cloche.sandbox.errors import SandboxError
from cloche.vm import wiring
from cloche.vm.kernel import Kernel

# virtiofsd is not in PATH; distributions put it beside their libraries.
_DAEMONS = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd")
# Print warnings only; end at a panic. No mitigations: all code inside has the same rights.
_KERNEL_ARGUMENTS = "console=ttyS0 loglevel=4 panic=-1 mitigations=off random.trust_cpu=on"
_CONNECTOR = Path(__file__).with_name("connector.py")
_DEFAULT_MEMORY = 4 << 30
_LEAST_MEMORY = 256 << 20
_TRIAL = 10  # seconds; half a second is usual


@dataclass(frozen=True, slots=True)
class Hardware:
    """The programs and the kernel that machines use on this host."""

    qemu: str
    virtiofsd: str
    kernel: Kernel
    accelerator: str

    def command(
        self,
        stage: Path,
        limits: Limits,
        ports: Mapping[str, int],
        sockets: Mapping[int, Path],
        *,
        network: bool,
    ) -> list[str]:
        """The command line of a machine whose files lie in ``stage``.

        ``ports`` has the descriptor that QEMU gets for each port; ``sockets`` the host's socket for
        each port of the machine's network.
        """
        memory = max(limits.memory or _usual_memory(), _LEAST_MEMORY) >> 20
        words = [*_bare(self.qemu, self.accelerator)]
        words += ["-m", f"{memory}M", "-smp", str(len(os.sched_getaffinity(0)))]
        words += [
            "-machine",
            "memory-backend=ram",
            "-object",
            f"memory-backend-memfd,id=ram,size={memory}M,share=on",
        ]
        words += ["-kernel", str(self.kernel.image), "-initrd", f"{stage}/initramfs"]
        words += ["-append", _KERNEL_ARGUMENTS, "-serial", f"file:{stage}/console"]
        words += ["-chardev", f"socket,id=root,path={stage}/socket"]
        words += ["-device", f"vhost-user-fs-pci,chardev=root,tag={wiring.TAG}"]
        words += ["-device", "virtio-serial-pci"]
        for name, fd in ports.items():
            words += ["-chardev", f"socket,id={name},fd={fd}"]
            words += ["-device", f"virtserialport,chardev={name},name={name}"]
        return [*words, "-nic", _nic(sockets, network=network)]

    def daemon(self, root: Path, fd: int) -> list[str]:
        """The command line that shares ``root``; ``fd`` is the listening socket."""
        options = "cache=always,xattr,announce_submounts,sandbox=chroot,log_level=warn"
        words = [self.virtiofsd, f"--fd={fd}", "--rlimit-nofile=0", "-f"]
        return [*words, "-o", f"source={root},{options}"]


def _nic(sockets: Mapping[int, Path], *, network: bool) -> str:
    """The network device; without ``network`` only ``sockets`` can be reached."""
    if not network and not sockets:
        return "none"
    words = ["user", "model=virtio-net-pci", *([] if network else ["restrict=on"])]
    for port, path in sockets.items():
        command = shlex.join([sys.executable, "-IS", str(_CONNECTOR), str(path)])
        forward = f"guestfwd=tcp:{wiring.SOCKETS}:{port}-cmd:{command}"
        words.append(forward.replace(",", ",,"))
    return ",".join(words)


def find_daemon() -> str:
    """Return the path of virtiofsd. Raises SandboxError."""
    for path in (shutil.which("virtiofsd"), *_DAEMONS):
        if path and os.access(path, os.X_OK):
            return path
    todo = "install virtiofsd (app-emulation/virtiofsd)"
    raise SandboxError("looking for virtiofsd", "it is not installed", 0, todo)


def accelerator(qemu: str, kernel: Kernel) -> str:
    """Try which accelerator works here: "kvm", or else "tcg", which emulates the processor.

    A kernel without a root boots up to its panic, which ends the machine: within half a second
    if KVM works. It is only tried on processors with virtualisation; elsewhere (in a guest whose
    host offers KVM without it) the kernel would hang.
    """
    flags = set(Path("/proc/cpuinfo").read_text().split())
    if not flags & {"vmx", "svm"} or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    words = [*_bare(qemu, "kvm"), "-m", "256M", "-kernel", str(kernel.image)]
    words += ["-append", "panic=-1", "-nic", "none"]
    try:
        run = subprocess.run(words, capture_output=True, timeout=_TRIAL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "tcg"
    return "tcg" if run.returncode else "kvm"


def _bare(qemu: str, accelerator: str) -> list[str]:
    """A machine without default devices that exits instead of rebooting."""
    cpu = "host" if accelerator == "kvm" else "max"
    words = [qemu, "-machine", f"pc,accel={accelerator}", "-cpu", cpu]
    return [*words, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]


def _usual_memory() -> int:
    """Half of the host's memory, 4 GiB at most; only what the guest uses is allocated."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2, _DEFAULT_MEMORY)
