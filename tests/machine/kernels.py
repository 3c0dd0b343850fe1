"""The project of machines with kernels: Debian's sources, cut to what a tiny one needs."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

from own import prepared as own_project
from tests.booting import debian_kernel
from tests.debian import unpack
from tests.support import Store, cannot

REPO = Path(__file__).parent / "projects/kernel/repo"
#: Packages of Debian that building a kernel needs, and the tests' seed has not.
TOOLS = (
    *("bc", "libelf-dev", "libncurses-dev", "libncursesw6", "zlib1g-dev"),
    "libssl-dev",
)
#: The kernel's objtool needs libelf, too.
KMOD = ("kmod", "libelf1", "liblzma5", "libssl3", "libzstd1", "zlib1g")
DRACUT = ("dracut-core", "cpio", "libkmod2", "udev", "libudev1")
#: What `make olddefconfig` needs besides the Kconfig files and Makefiles.
FOR_CONFIG = ("scripts/", "arch/x86/configs/", "kernel/configs/")
#: What a tiny kernel is compiled from.
FOR_KERNEL = (
    *FOR_CONFIG,
    *("arch/x86/", "block/", "certs/", "crypto/", "include/", "init/", "io_uring/", "ipc/"),
    *("kernel/", "lib/", "mm/", "security/", "usr/", "virt/"),
    *("drivers/acpi/", "drivers/base/", "drivers/char/", "drivers/clocksource/"),
    *("drivers/firmware/", "drivers/idle/", "drivers/platform/x86/", "drivers/rtc/"),
    *("drivers/tty/", "drivers/virtio/", "fs/crypto/", "fs/debugfs/", "fs/devpts/"),
    *("fs/iomap/", "fs/kernfs/", "fs/notify/", "fs/proc/", "fs/ramfs/", "fs/sysfs/"),
    *("tools/arch/x86/", "tools/build/", "tools/include/", "tools/lib/", "tools/objtool/"),
    "tools/scripts/",
)
BUILD_FILES = ("Kconfig", "Makefile", "Kbuild")
BOOT = """\
# What a shell on a serial line needs.
CONFIG_64BIT=y
CONFIG_PRINTK=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_BLK_DEV_INITRD=y
CONFIG_FUTEX=y
CONFIG_KERNEL_GZIP=y
CONFIG_TTY=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
# CONFIG_INPUT is not set
# CONFIG_SERIO is not set
# CONFIG_UNIX98_PTYS is not set
# CONFIG_VT is not set
"""
#: An option that another version has, as a here-document of an ebuild.
ASKS = """\
\tconfig CLOCHE_ASKS
\t  bool "New"
\t  default y
\t  help
\t    Whether to carry this one over.
"""
TINY = """seed = "debian"
root = "own"
profile = "own:default"
portage = ["base"]
packages = ["app-shells/dash"]

[kernel]
sources = "sys-kernel/tiny-sources"
config = "{config}"
fragments = [{fragments}]
{more}
[output]
stage4 = true
compression = "none"
"""


def machine(
    place: Path,
    name: str,
    *fragments: str,
    config: str = "tinyconfig",
    more: str = "",
) -> str:
    """A machine with a kernel of fragments, by default the one that boots."""
    listed = ", ".join(f'"{each}"' for each in ("kernel/boot.config", *fragments))
    text = TINY.format(config=config, fragments=listed, more=more)
    (place / f"machines/{name}.toml").write_text(text)
    return name


def bare(store: Store) -> Path:
    """The project, without what its packages of kernels are made of."""
    place = own_project(store)
    shutil.copytree(REPO, place / "kernel-repo")
    with (place / "cloche.toml").open("a") as file:
        file.write('\n[repos.kernel]\npath = "kernel-repo"\n[build]\ndistfiles = "distfiles"\n')
    (place / "kernel").mkdir()
    (place / "kernel/boot.config").write_text(BOOT)
    (place / "distfiles").mkdir()
    return place


def prepared(store: Store, *, compiles: bool) -> Path:
    """The project, with a kernel's sources that can be compiled, or only configured."""
    place = bare(store)
    packages = place / "kernel-repo/sys-kernel"
    version = linux(place / "distfiles", FOR_KERNEL if compiles else FOR_CONFIG)
    ebuild = packages / "tiny-sources/tiny-sources-0.ebuild"
    ebuild.rename(ebuild.with_name(f"tiny-sources-{version}.ebuild"))
    tools(place / "distfiles/build-tools-1.tar", *TOOLS)
    with_modules(place)
    for package in ("tiny-sources", "build-tools"):
        manifest(packages / package, place / "distfiles")
    return store.user.own(place)


def with_debian_kernel(store: Store, room: Path) -> Path:
    """The project, with Debian's kernel as a distribution kernel."""
    place = bare(store)
    version, root = debian_kernel(room / "debian")
    with tarfile.open(place / "distfiles/debian-kernel-0.tar", "w") as tar:
        for path in sorted(root.glob("boot/*")):
            tar.add(path, f"boot/{path.name}")
        modules = root / f"lib/modules/{version}"
        for path in (*modules.glob("modules.*"), *modules.rglob("loop.ko")):
            tar.add(path, f"usr/{path.relative_to(root)}")
        headers(room / "headers", version, tar)
    manifest(place / "kernel-repo/sys-kernel/debian-kernel", place / "distfiles")
    with_modules(place)
    return store.user.own(place)


def with_modules(place: Path) -> None:
    """Give a project the programs that modules and an initramfs need."""
    for package, files in (("sys-apps/kmod-30", KMOD), ("sys-kernel/dracut-59", DRACUT)):
        category, _, name = package.partition("/")
        tools(place / f"distfiles/{name}.tar", *files)
        directory = place / "kernel-repo" / category / name.partition("-")[0]
        manifest(directory, place / "distfiles")
    (place / "kernel-repo/app-misc/glass/Manifest").touch()


def headers(room: Path, version: str, into: tarfile.TarFile) -> None:
    """Debian's headers of a kernel as one tree, as a distribution kernel of Gentoo has it."""
    common = re.sub(r"-cloud-amd64$", "-common", version)
    kbuild = "linux-kbuild-" + ".".join(version.split(".")[:2])
    room.mkdir()
    unpack(room, *(f"linux-headers-{each}" for each in (version, common)), kbuild)
    source, tree = room / "usr/src", f"usr/src/linux-{version}"
    own = source / f"linux-headers-{version}"
    names = set()
    for part in (own, source / f"linux-headers-{common}", room / f"usr/lib/{kbuild}"):
        for path in sorted(part.rglob("*")):
            name = str(path.relative_to(part))
            if path.is_dir() or path.is_symlink() or name in names:
                continue
            if name != "Makefile" or part != own:  # that one only leads to the other
                names.add(name)
                if name == "include/config/kernel.release":  # Debian's Makefile overrides it
                    path.write_text(f"{version}\n")
                into.add(path, f"{tree}/{name}")


def key_pair(place: Path, name: str = "modules") -> tuple[Path, Path]:
    """A key outside of a project, and its certificate in it."""
    key, certificate = place.parent / f"{name}.key", place / f"kernel/{name}.pem"
    words = ["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9999"]
    words += ["-subj", "/CN=modules of a test", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    return key, certificate


def signed_by(module: bytes, certificate: Path, room: Path) -> bool:
    """Whether a module has a signature that openssl accepts, as the kernel reads it."""
    magic = b"~Module signature appended~\n"
    if not module.endswith(magic):
        return False
    rest = module.removesuffix(magic)
    *zeros, id_type, _, _, length = struct.unpack(">BBBBB3xI", rest[-12:])
    assert (zeros, id_type) == ([0, 0], 2)
    content, signature = rest[: -12 - length], rest[-12 - length : -12]
    (room / "content").write_bytes(content)
    (room / "signature").write_bytes(signature)
    words = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-noverify"]
    words += ["-in", room / "signature", "-content", room / "content", "-certfile", certificate]
    done = subprocess.run([*words, "-out", "/dev/null"], capture_output=True, check=False)
    return done.returncode == 0


def initramfs(root: Path, into: Path) -> Path:
    """A root as an archive that a kernel unpacks."""
    names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    words = ["cpio", "-o", "-H", "newc", "--quiet"]
    with into.open("wb") as file:
        subprocess.run(words, cwd=root, input=names, stdout=file, check=True)
    return into


def other_version(place: Path, version: str) -> None:
    """Add a version of the sources that has one more option."""
    package = place / "kernel-repo/sys-kernel/tiny-sources"
    (ebuild,) = package.glob("*.ebuild")
    real = ebuild.stem.removeprefix("tiny-sources-")
    text = ebuild.read_text().replace("tiny-sources-${PV}.tar", f"tiny-sources-{real}.tar")
    more = f"src_prepare() {{\n\tdefault\n\tcat >> init/Kconfig <<-EOF || die\n{ASKS}\tEOF\n}}\n\n"
    new = text.replace("src_configure()", f"{more}src_configure()")
    (package / f"tiny-sources-{version}.ebuild").write_text(new)


def linux(into: Path, whole: tuple[str, ...]) -> str:
    """Debian's newest kernel, cut, as ``tiny-sources-VERSION.tar``; give its version."""
    found = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", "linux-source"],
        capture_output=True,
        text=True,
        check=False,
    )
    package = re.search(r"^Depends: (linux-source-[\d.]+)", found.stdout, re.MULTILINE)
    if package is None:
        cannot("apt knows no package linux-source")
    assert package
    makefile = ""
    with tempfile.TemporaryDirectory() as room:
        (archive,) = unpack(Path(room), package[1]).glob("usr/src/linux-source-*.tar.xz")
        with tarfile.open(archive, "r|xz") as old, tarfile.open(into / "cut.tar", "w") as new:
            for member in old:
                name = member.name.partition("/")[2]
                if not member.isdir() and wanted(name, whole):
                    file = old.extractfile(member) if member.isreg() else None
                    content = file.read() if file else b""
                    if name == "Makefile":
                        makefile = content.decode()
                    member.name = f"linux/{name}"
                    new.addfile(member, io.BytesIO(content))
    numbers = re.findall(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", makefile, re.MULTILINE)
    version = ".".join(numbers)
    (into / "cut.tar").rename(into / f"tiny-sources-{version}.tar")
    return version


def wanted(name: str, whole: tuple[str, ...]) -> bool:
    """Whether a file is below ``whole``, at the top, or describes a part of the kernel."""
    compiles = len(whole) > len(FOR_CONFIG)
    header = compiles and re.fullmatch(r"drivers/\w+/[\w-]+\.h", name)
    plain = "/" not in name or (compiles and re.fullmatch(r"fs/[\w-]+\.[ch]", name))
    described = name.rpartition("/")[2].startswith(BUILD_FILES)
    return bool(header or plain or described or name.startswith(whole)) and "/dts/" not in name


def tools(archive: Path, *packages: str) -> None:
    """The files of Debian's packages, as a tarball of a merged /usr."""
    with tempfile.TemporaryDirectory() as room, tarfile.open(archive, "w") as tar:
        root = unpack(Path(room), *packages)
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root)).removeprefix("usr/")
            if not path.is_dir() and not name.startswith(("etc/", "share/")):
                tar.add(path, f"usr/{name}", recursive=False)


def manifest(package: Path, distfiles: Path) -> None:
    """Write the Manifest of a package of whose distfiles there is one version."""
    (file,) = distfiles.glob(f"{package.name}-*.tar")
    digest = hashlib.sha512(file.read_bytes()).hexdigest()
    line = f"DIST {file.name} {file.stat().st_size} SHA512 {digest}\n"
    (package / "Manifest").write_text(line)
