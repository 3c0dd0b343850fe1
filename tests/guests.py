"""Small guests that boot in seconds without KVM: a boot sector, and a kernel with busybox."""

from __future__ import annotations

import stat
from pathlib import Path

from tests import booting
from tests.support import cannot

from cloche.vm import modules
from cloche.vm.cpio import Entry, archive, directory

#: Counts in the disk's second sector, writes "boot number N" to the screen and the serial line:
#: cli; xor %ax,%ax; mov %ax,%ds; mov %ax,%es; mov %ax,%ss; mov $0x7c00,%sp; sti; mov $0x201,%ax;
#: mov $0x8000,%bx; mov $2,%cx; xor %dh,%dh; int $0x13; incb 0x8000; mov $0x301,%ax; int $0x13;
#: mov 0x8000,%al; add %al,digit; mov $text,%si; next: lodsb; test %al,%al; jz stop; mov %al,%cl;
#: mov $0x3fd,%dx; ready: in %dx,%al; test $0x20,%al; jz ready; mov $0x3f8,%dx; mov %cl,%al;
#: out %al,%dx; mov $0xe,%ah; mov $7,%bx; int $0x10; jmp next; stop: hlt; jmp stop; text: …
_SECTOR = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007cfbb80102bb0080b9020030f6cd13fe060080b80103cd13a0008000065a7cbe4e7c"
    "ac84c0741988c1bafd03eca82074fbbaf80388c8eeb40ebb0700cd10ebe2f4ebfd"
    "626f6f74206e756d62657220300d0a00"
)
_REGULAR = stat.S_IFREG
#: `openssl passwd -6 -salt tiny glass`
_HASH = (
    "$6$tiny$MmUCAt1v3F9rXSmZSDetqzwIYnfpkKfdcl/e/ZE9.Q2OAvKTDS/lpsXl4FQKCpN8z9mg4r0B0.AtGOfwvmRyW0"
)
PASSWORD = "glass"
_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
for each in /m/*; do insmod $each; done
ifconfig lo 127.0.0.1; ifconfig eth0 10.0.2.15
httpd -h /www
hostname tiny
exec init
"""
_FILES = {
    "/etc/inittab": "::sysinit:/bin/true\nttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100\n",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "/etc/shadow": f"root:{_HASH}:1::::::\n",
    "/etc/group": "root:x:0:\n",
    "/www/greeting": "hello of a guest\n",
}
_CGI = "#!/bin/sh\n: > /tmp/asked\nprintf 'Content-Type: text/plain\\n\\nnoted\\n'\n"


PROJECT = """
[seeds.debian]
type = "debian"
suite = "bookworm"

[repos.own]
path = "repo"
"""
_APPLETS = ("sh", "touch", "cat", "ls", "stty", "dmesg", "test", "ifconfig", "grep", "false")


def project(place: Path) -> None:
    """A project without packages, whose machines are only read."""
    (place / "repo/profiles").mkdir(parents=True)
    (place / "repo/metadata").mkdir()
    (place / "repo/profiles/repo_name").write_text("own\n")
    (place / "repo/metadata/layout.conf").write_text("masters =\n")
    (place / "cloche.toml").write_text(PROJECT)
    (place / "machines").mkdir()


def busybox_root(place: Path) -> None:
    """A root that has busybox as its init, and a shell on its console."""
    for name in ("bin", "sbin", "usr", "etc", "proc", "sys", "dev", "tmp", "run", "var", "root"):
        (place / name).mkdir(parents=True)
    (place / "bin/busybox").write_bytes(busybox().read_bytes())
    (place / "bin/busybox").chmod(0o755)
    for name in _APPLETS:
        (place / "bin" / name).symlink_to("busybox")
    (place / "sbin/init").symlink_to("../bin/busybox")
    (place / "etc/inittab").write_text("::sysinit:/bin/true\nconsole::respawn:-/bin/sh\n")
    (place / "etc/passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    (place / "etc/os-release").write_text("ID=tiny\n")


def boot_sector(file: Path) -> Path:
    """A raw disk whose boot sector counts how often the disk was booted."""
    file.write_bytes(_SECTOR.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return file


def busybox() -> Path:
    """The host's static busybox."""
    found = next((path for path in booting.BUSYBOX if path.exists()), None)
    if found is None:
        cannot("needs busybox-static")
    assert found
    return found


def initramfs(kernel_modules: Path) -> bytes:
    """A system of busybox: a login with a password on the serial line, a web server."""
    entries = [directory(f"/{name}") for name in ("proc", "sys", "root", "tmp", "m")]
    entries.append(Entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(Entry("/bin/busybox", _REGULAR | 0o755, busybox().read_bytes()))
    entries.append(Entry("/init", _REGULAR | 0o755, _INIT.encode()))
    entries.append(Entry("/www/cgi-bin/ask", _REGULAR | 0o755, _CGI.encode()))
    entries += [Entry(name, _REGULAR | 0o644, text.encode()) for name, text in _FILES.items()]
    needed = modules.needed(kernel_modules, ("virtio_pci", "virtio_net"))
    for number, (name, data) in enumerate(needed):
        entries.append(Entry(f"/m/{number:02}-{name}.ko", _REGULAR | 0o644, data))
    return archive(entries)
