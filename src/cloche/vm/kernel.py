"""Finds a kernel for virtual machines: a given one, the host's, or a Debian package's; makes its
initramfs.

A kernel is a bootable image and the directory of its modules, in the places where distributions put
them: ``boot/vmlinuz-RELEASE`` and ``lib/modules/RELEASE``.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloche.sandbox.errors import HostError
from cloche.vm import cpio, interpreter, modules, wiring

VARIABLE = "CLOCHE_KERNEL"
PACKAGE = "linux-image-cloud-amd64"
_ADVICE = (
    "on Debian the first command with `--engine qemu` fetches one; elsewhere "
    f"set {VARIABLE} to a directory that holds boot/vmlinuz-RELEASE and lib/modules/RELEASE, "
    "of Linux 5.12 or later with virtiofs"
)

# Drivers of the machine's devices; each brings the modules that it depends on.
DRIVERS = ("virtio_pci", "virtio_console", "virtiofs", "virtio_net")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's image, and ``lib/modules/RELEASE`` of its modules."""

    image: Path
    modules: Path


class NoKernelError(HostError):
    """No kernel that a virtual machine could use was found."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.todo = _ADVICE


def find() -> Kernel:
    """Return the kernel below ``$CLOCHE_KERNEL``, else the host's, or what `provide` fetched.

    Raises NoKernelError.
    """
    if named := os.environ.get(VARIABLE):
        return _first_below(Path(named))
    reasons = []
    for place in (Path("/"), cache()):
        try:
            return _first_below(place)
        except NoKernelError as error:
            reasons.append(error.what)
    raise NoKernelError("; ".join(reasons))


def provide() -> None:
    """Fetch the kernel of Debian's package, if none is found and the host has apt.

    It is unpacked into the user's cache; nothing is installed. Raises NoKernelError.
    """
    try:
        find()
    except NoKernelError:
        if VARIABLE not in os.environ and shutil.which("apt-get"):
            _download(cache())


def cache() -> Path:
    """Where an unpacked package lies: below the user's cache directory (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "cloche/kernel"


def _first_below(root: Path) -> Kernel:
    """The newest kernel below a directory that has what a machine needs."""
    problem = f"there is no kernel in {root / 'boot'}"
    for image in sorted((root / "boot").glob("vmlinuz-*"), key=_version, reverse=True):
        release = image.name.partition("-")[2]
        for library in ("usr/lib/modules", "lib/modules"):
            directory = root / library / release
            if not directory.is_dir():
                problem = f"the modules of {image} are missing"
                continue
            if not os.access(image, os.R_OK):
                problem = f"you may not read {image}"
                continue
            try:
                modules.needed(directory, DRIVERS)
            except HostError as error:
                problem = error.what
                continue
            return Kernel(image, directory)
    raise NoKernelError(problem)


def _version(image: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", image.name)]


def _download(target: Path) -> None:
    """Fetch Debian's kernel for virtual machines with apt-get, and unpack it to ``target``."""
    sys.stderr.write(f"cloche: downloading a kernel for virtual machines ({PACKAGE})\n")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        depends = _output(["apt-cache", "depends", PACKAGE], scratch)
        found = re.search(r"Depends: (linux-image-\S+)", depends)
        if found is None:
            raise NoKernelError(f"apt does not know the package {PACKAGE}: run `apt-get update`")
        # As the present user: apt's own cannot write here.
        _output(["apt-get", "-o", "APT::Sandbox::User=root", "download", found[1]], scratch)
        (package,) = Path(scratch).glob("*.deb")
        tree = Path(scratch, "tree")
        _output(["dpkg-deb", "-x", str(package), str(tree)], scratch)
        if target.exists():
            shutil.rmtree(target)
        tree.rename(target)


def _output(command: list[str], directory: str) -> str:
    run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        said = run.stderr.strip().rpartition("\n")[2]
        raise NoKernelError(f"{' '.join(command)}: {said}")
    return run.stdout


def initramfs(directory: Path) -> bytes:
    """An initramfs: the kernel's modules in ``directory``, and the agent. Raises HostError."""
    entries = [cpio.Entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))]
    entries.append(cpio.directory(wiring.MODULES))
    for number, (name, data) in enumerate(modules.needed(directory, DRIVERS)):
        path = f"{wiring.MODULES}/{number:03}-{name}"
        entries.append(cpio.Entry(path, stat.S_IFREG | 0o644, data))
    return cpio.archive([*entries, *interpreter.entries()])
