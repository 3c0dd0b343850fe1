"""Tools of the seed that build for a root of its own: compilers and pkg-config look into that root.

With a SYSROOT, Portage expects compilers that know it, as crossdev's do. A native compiler of the
seed needs options for that, and ebuilds call it by its plain name. So a directory at the front of
PATH has a script for each compiler, which adds the options. A package only records the name of its
compiler: no option is in CC, CFLAGS or LDFLAGS.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Not in PORTAGE_TMPDIR's own packages, and on no path that a layer keeps.
TOOLS = Path("/var/tmp/portage/.cloche-tools")  # noqa: S108 - a directory of the sandbox
#: Drivers of GCC and Clang, with a prefix of CHOST or a version at the end, or without.
COMPILER = re.compile(r"([\w.]+-)*(gcc|g\+\+|cc|c\+\+|cpp|clang|clang\+\+|clang-cpp)(-\d[\d.]*)?")
PKG_CONFIG = re.compile(r"([\w.]+-)*(pkg-config|pkgconf)")
#: Where libraries may lie, Debian's directories for several architectures among them.
LIBRARIES = ("lib64", "usr/lib64", "lib", "usr/lib", "lib/*-linux-*", "usr/lib/*-linux-*")
PKG_CONFIG_FILES = ("usr/lib64/pkgconfig", "usr/lib/pkgconfig", "usr/share/pkgconfig",
                    "usr/lib/*-linux-*/pkgconfig")  # fmt: skip
#: What is made to run in the build itself is compiled for the seed. Gentoo's names of these tools
#: (toolchain-funcs.eclass), and the programs that can be it, the preferred one first.
BUILD_TOOLS = {
    "BUILD_CC": ("gcc", "clang", "cc"),
    "BUILD_CXX": ("g++", "clang++", "c++"),
    "BUILD_PKG_CONFIG": ("pkg-config", "pkgconf"),
}
#: As crossdev's cross-pkg-config: answers for ``--variable`` have no sysroot, as ebuilds install
#: there, and PKG_CONFIG_PATH is for libraries that come with the sources. Besides, a file that is
#: named by its path is read there: so Portage checks what a package installs.
PKG_CONFIG_SCRIPT = """\
: ${{PKG_CONFIG_SYSROOT_DIR={root}}}
for word; do
	case $word in /*.pc) PKG_CONFIG_SYSROOT_DIR= ;; esac
done
case $PKG_CONFIG_PATH in
"${{WORKDIR:-unset}}"/*) ;;
*) unset PKG_CONFIG_PATH ;;
esac
export PKG_CONFIG_FDO_SYSROOT_RULES=1 PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR={found}
exec {program} "$@"
"""
#: Directories that ld.so searches after all others.
SEARCHED = Path("/etc/ld.so.conf.d/zz-cloche-root.conf")


def prepare(root: Path) -> None:
    """Make the tools for builds into ``root``, and put them in front of Portage's PATH.

    Programs that a build runs after it has made them find the root's libraries after the seed's.
    """
    TOOLS.mkdir(parents=True)
    TOOLS.chmod(0o755)
    found = {program.name: program for program in programs()}
    for variable, names in BUILD_TOOLS.items():
        if name := next((name for name in names if name in found), None):
            os.environ.setdefault(variable, str(found[name]))
    for program in found.values():
        if COMPILER.fullmatch(program.name):
            text = f'exec {shlex.join(compiler(program, root))} "$@"\n'
        elif PKG_CONFIG.fullmatch(program.name):
            text = pkg_config(program, root)
        else:
            continue
        script = TOOLS / program.name
        script.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        script.chmod(0o755)
    os.environ["__PORTAGE_TEST_PATH_OVERRIDE"] = str(TOOLS)
    if libraries := directories(root, LIBRARIES):
        SEARCHED.parent.mkdir(parents=True, exist_ok=True)
        SEARCHED.write_text("".join(f"{each}\n" for each in libraries), encoding="utf-8")
        update_cache()


def update_cache() -> None:
    """Make ld.so.cache anew; a seed without the GNU C library has none."""
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["/sbin/ldconfig", "-X"], check=False, stdin=subprocess.DEVNULL)


def programs() -> Iterator[Path]:
    """The programs in PATH, each name once, as a shell finds them."""
    seen: set[str] = set()
    for directory in os.environ["PATH"].split(":"):
        for path in sorted(Path(directory).glob("*")) if directory.startswith("/") else ():
            if path.name not in seen and os.access(path, os.X_OK):
                seen.add(path.name)
                yield path


def compiler(program: Path, root: Path) -> list[str]:
    """A compiler's command. -B comes before its own directories, which --sysroot does not move."""
    own = (f"-B{each}/" for each in directories(root, LIBRARIES))
    return [str(program), f"--sysroot={root}", *own]


def pkg_config(program: Path, root: Path) -> str:
    """A script that starts pkg-config with the files of the root alone."""
    found = ":".join(map(str, directories(root, PKG_CONFIG_FILES)))
    quoted = {"program": program, "root": root, "found": found}
    return PKG_CONFIG_SCRIPT.format(**{k: shlex.quote(str(v)) for k, v in quoted.items()})


def directories(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The directories of a root that match, each once, those behind links left out."""
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if path.is_dir():
                found.setdefault(path.resolve(), path)
    return list(found.values())
