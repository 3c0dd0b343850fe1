"""Two small systems that boot, as machines of a project: OpenRC on a disk, and busybox, sealed.

What they are made of is Debian's: a kernel, its modules, OpenRC, busybox, veritysetup.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import tarfile
import tempfile
from pathlib import Path

from tests import guests
from tests.debian import unpack
from tests.machine.own import prepared
from tests.support import Store

from cloche.catalyst import tools
from cloche.config.toml import dumps
from cloche.vm import modules
from cloche.vm.cpio import Entry, archive, directory

REPO = Path(__file__).parent / "repo"
DRIVERS = (
    *("virtio_pci", "virtio_blk", "dm_verity", "erofs"),
    *("ata_piix", "sr_mod", "isofs", "loop", "squashfs"),
)
#: veritysetup(8), and the libraries that it and OpenRC have in common.
LIBRARIES = ("libc6", "libselinux1", "libpcre2-8-0")
VERITY = (
    *("cryptsetup-bin", "libcryptsetup12", "libpopt0", "libargon2-1", "libjson-c5", "libssl3"),
    *("libdevmapper1.02.1", "libblkid1", "libuuid1", "libudev1", *LIBRARIES),
)
OPENRC = ("openrc", "libeinfo1", "librc1", "libaudit1", "libcap-ng0", "libpam0g", *LIBRARIES[1:])
BUSYBOX = ("busybox-static",)
#: The init of the initramfs: finds the root on a sealed disk, on a medium, or on a plain disk.
START = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /dev /proc /sys /root /medium
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys
for each in /m/*; do insmod $each; done
partition() {
	for each in /sys/class/block/*/uevent; do
		grep -qx "PARTNAME=$1" $each && each=${each%/uevent} && echo /dev/${each##*/}
	done
}
hash=$(sed -n 's/.*roothash=\\([0-9a-f]*\\).*/\\1/p' /proc/cmdline)
if [ -n "$hash" ]; then
	mkdir -p /run
	veritysetup open $(partition root-x86-64) sealed $(partition root-x86-64-verity) $hash
	mount -t erofs -o ro /dev/mapper/sealed /root
elif mount -t iso9660 -o ro /dev/sr0 /medium; then
	mount -t squashfs -o loop,ro /medium/image.squashfs /root
else
	mount -t ext4 $(partition root-x86-64) /root
fi
for each in dev proc sys; do mount --move /$each /root/$each; done
exec switch_root /root /sbin/init
"""
MENU = """\
serial --unit=0 --speed=115200
terminal_output serial
set timeout=0
menuentry live {
	linux /boot/vmlinuz console=ttyS0
	initrd /boot/start.img
}
"""
GREETER = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/usr/bin/httpd
command_args="-f -p 127.0.0.1:80 -h /srv"
depend() { need loopback; }
"""
LOOPBACK = """\
#!/sbin/openrc-run
start() { ifconfig lo 127.0.0.1; }
"""
CONSOLE = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command=/usr/bin/getty
command_args="-n -l /usr/sbin/login-root 115200 ttyS0 vt100"
"""
FILES = {
    "openrc/etc/init.d/greeter": GREETER,
    "openrc/etc/init.d/loopback": LOOPBACK,
    "openrc/etc/init.d/console": CONSOLE,
    "openrc/usr/sbin/login-root": "#!/bin/sh\nexec login -f root\n",
    "openrc/srv/greeting": "hello of OpenRC\n",
    "start/init": START,
    "sealed/etc/inittab": "::sysinit:/bin/mount -t tmpfs tmp /tmp\nttyS0::respawn:-/bin/sh\n",
    "medium/boot/grub/grub.cfg": MENU,
}
COMMON = """
profile = "own:default"

[[finish]]
files = "files/kernel"
"""
DISK = """
[output.images.disk]
format = "disk"
tools = "tools"
Bootable = true
Bootloader = "uki"
KernelCommandLine = ["console=ttyS0", "panic=-1"]
"""
#: An initramfs as a machine: busybox, a script, and the modules of the kernel. It is built first.
INITRD = """seed = "debian"
root = "minimal"
profile = "own:default"
portage = ["base", "init"]
packages = ["sys-apps/baselayout", "sys-apps/busybox", "sys-libs/glibc"]
remove = ["sys-libs/glibc"]
files = ["files/start"]

[output.images.start]
format = "cpio"
tools = "tools"
MakeInitrd = true
CompressOutput = "zstd"
"""
MACHINES = {
    "openrc": f"""seed = "debian"
root = "own"
portage = ["base"]
packages = ["app-misc/greet", "sys-apps/openrc"]
files = ["files/openrc", "files/initrd"]
services = {{ on = ["loopback|boot", "greeter", "console"] }}
hostname = "glass"
groups.uucp = {{ gid = 14 }}
{COMMON}
[[finish]]
remove = ["/boot/initrd.cpio"]
{DISK}Initrds = ["/boot/initrd.cpio"]

[test]
units = ["greeter"]
commands = [
    "test $(readlink /proc/1/exe) = /usr/sbin/openrc-init",
    "test -d /sys/firmware/efi",
    "greet | grep 'hello of leaf'",
    "rc-status --runlevel | grep -x default",
    "wget -q -O - http://127.0.0.1/greeting | grep OpenRC",
]
timeout = "15m"
""",
    "sealed": f"""seed = "debian"
root = "minimal"
portage = ["base", "init"]
packages = ["sys-apps/baselayout", "sys-apps/busybox", "sys-libs/glibc"]
remove = ["sys-libs/glibc"]  # busybox needs none
files = ["files/sealed"]
{COMMON}{DISK}Verity = "hash"

[output.images.live]
format = "iso"
tools = "tools"
volid = "SEALED"
files = ["files/medium"]

[output.images.live.copy]
"boot/vmlinuz" = "/boot/vmlinuz-{{release}}"
"boot/start.img" = "/boot/initramfs-{{release}}.img"

[output.images.container]
format = "oci"
entrypoint = ["/usr/bin/busybox"]

[test]
image = "disk"
commands = [
    "test $(readlink /proc/1/exe) = /usr/bin/busybox",
    "grep -q '^CRYPT-VERITY-' /sys/class/block/dm-0/dm/uuid",
    "grep '^/dev/mapper/sealed / erofs ro' /proc/mounts",
    "! touch /made",
]
timeout = "15m"
""",
}


def prepare(store: Store, kernel: Path) -> Path:
    """The project in a store that has the seed of tools; ``kernel`` is the root of a kernel."""
    place = prepared(store)
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    release = image.name.partition("-")[2]
    library = next(each for each in (kernel / "lib", kernel / "usr/lib") if each.is_dir())
    with (place / "cloche.toml").open("a") as file:
        more = {"repos": {"boots": {"path": "boots"}}, "build": {"distfiles": "distfiles"}}
        file.write("\n" + dumps({"seeds": {tools.NAME: tools.seed()}, **more}))
    for name, content in {
        **{f"files/{name}": text.encode() for name, text in FILES.items()},
        f"files/kernel/boot/{image.name}": image.read_bytes(),
        f"files/kernel/usr/lib/modules/{release}/modules.order": b"",
        "files/kernel/usr/lib/os-release": b"ID=gentoo\n",
        "files/start/usr/lib/os-release": b"ID=gentoo\n",
        **{
            f"files/start/m/{number:02}-{name}.ko": data
            for number, (name, data) in enumerate(
                modules.needed(library / f"modules/{release}", DRIVERS)
            )
        },
        f"files/kernel/boot/initramfs-{release}.img": initramfs(
            library / f"modules/{release}", place.parent
        ),
        "portage/init/package.use": b"sys-apps/busybox init\n",
        **{
            f"machines/{name}.toml": text.replace("{release}", release).encode()
            for name, text in {"initrd": INITRD, **MACHINES}.items()
        },
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
        if content.startswith(b"#!"):
            (place / name).chmod(0o755)
    shutil.copytree(REPO, place / "boots")
    (place / "distfiles").mkdir()
    for name, packages in (("openrc", OPENRC), ("busybox", BUSYBOX)):
        _package(place / "boots/sys-apps" / name, place / "distfiles", packages)
    return store.user.own(place)


def initramfs(kernel_modules: Path, room: Path) -> bytes:
    """An initramfs that leads to the root of one of the systems."""
    names = ("proc", "sys", "dev", "root", "medium", "m")
    entries = [directory(f"/{name}") for name in names]
    entries.append(Entry("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(Entry("/bin/busybox", stat.S_IFREG | 0o755, guests.busybox().read_bytes()))
    entries.append(Entry("/init", stat.S_IFREG | 0o755, START.encode()))
    for number, (name, data) in enumerate(modules.needed(kernel_modules, DRIVERS)):
        entries.append(Entry(f"/m/{number:02}-{name}.ko", stat.S_IFREG | 0o644, data))
    verity = unpack(room / "verity", *VERITY)
    entries.append(_file(verity / "sbin/veritysetup", "/bin/veritysetup"))
    libraries = sorted(verity.glob("**/x86_64-linux-gnu/*.so.*"))
    entries.extend(_file(path, f"/lib/x86_64-linux-gnu/{path.name}") for path in libraries)
    (loader,) = verity.rglob("x86_64-linux-gnu/ld-linux-x86-64.so.2")
    entries.append(_file(loader, "/lib64/ld-linux-x86-64.so.2"))
    return archive(entries)


def _file(path: Path, name: str) -> Entry:
    return Entry(name, stat.S_IFREG | 0o755, path.read_bytes())


def _package(package: Path, distfiles: Path, packages: tuple[str, ...]) -> None:
    """Write what a package consists of, files of Debian's packages in a merged /usr."""
    file = distfiles / f"{package.name}-0.tar"
    with tempfile.TemporaryDirectory() as room, tarfile.open(file, "w") as tar:
        root = unpack(Path(room), *packages)
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root)).removeprefix("usr/")
            if not path.is_dir() and not name.startswith("share/"):
                tar.add(path, name if name.startswith("etc/") else f"usr/{name}")
    digest = hashlib.sha512(file.read_bytes()).hexdigest()
    line = f"DIST {file.name} {file.stat().st_size} SHA512 {digest}\n"
    (package / "Manifest").write_text(line)
