"""Builds or merges one package for another CPU, as build.py and merge.py do for the seed's.

Plain names of tools stay the seed's, for what a build makes to run itself. Those that begin with
CHOST lead to a cross compiler of the seed, which gets the root of its own as its sysroot: what
crossdev has in /usr/CHOST, and as CHOST-pkg-config. Gentoo's eclasses, configure and Portage's own
helpers (strip) find them by these names.

This script is part of the keys of such machines alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

from . import build, merge, sysroot
from . import settings as guest_settings
from .protocol import Channel, serve

CXX = re.compile(r".*(\+\+)(-\d[\d.]*)?")
HEADERS = ("usr/include/*-linux-*", "usr/include")
#: A word of a compiler's command may say that it is about C++, or that it looks for nothing itself.
SCRIPT = """\
cxx={cxx} c=y
for word; do
	case $word in
	*.cc|*.cp|*.cpp|*.cxx|*.CPP|*.C|*.c++|*.ii|*.hh|*.hpp|*.hxx|c++*|-xc++*) cxx=y ;;
	esac
done
for word; do
	case $word in
	-nostdinc) c= cxx= ;;
	-nostdinc++) cxx= ;;
	esac
done
exec {command} ${{c:+-nostdinc}} ${{cxx:+{of_cxx}}} ${{c:+{c}}} "$@"
"""


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    cross, root = request["cross"], Path(request["root"])
    for place in cross["prefixes"]:  # in file systems of their own, which no layer keeps
        Path(place).symlink_to(root)
    guest_settings.ENVIRONMENT["CBUILD"] = cross["cbuild"]
    if "gpkg" in request:
        return merge.main(request, channel)
    sysroot.prepare = partial(prepare, cross)
    return build.main(request, channel)


def prepare(cross: dict[str, str], root: Path) -> None:
    """Make the tools for builds into ``root``, and put them in front of Portage's PATH."""
    sysroot.TOOLS.mkdir(parents=True)
    sysroot.TOOLS.chmod(0o755)
    found = {program.name: program for program in sysroot.programs()}
    for variable, names in sysroot.BUILD_TOOLS.items():
        if name := next((name for name in names if name in found), None):
            os.environ.setdefault(variable, str(found[name]))
    for name, text in tools(cross, root, found):
        script = sysroot.TOOLS / name
        script.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        script.chmod(0o755)
    os.environ["__PORTAGE_TEST_PATH_OVERRIDE"] = str(sysroot.TOOLS)


def tools(cross: dict[str, Any], root: Path, found: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Names of programs, with the scripts that they stand for."""
    for program in found.values():
        short = program.name.removeprefix(cross["tools"])
        if short == program.name:
            continue
        text = f'exec {program} "$@"'
        if sysroot.COMPILER.fullmatch(short):
            text = compiler(program, root)
            yield program.name, text
        yield f"{cross['chost']}-{short}", text
    for name in ("pkg-config", "pkgconf"):
        if name in found:
            yield f"{cross['chost']}-{name}", sysroot.pkg_config(found[name], root)


def compiler(program: Path, root: Path) -> str:
    """A script that starts a compiler with the root as its sysroot.

    A cross compiler looks into its own C library's headers before its sysroot's. So it gets all
    directories, in its own order (#include_next): those of C++ where a word says that this is C++.
    """
    command = shlex.join(sysroot.compiler(program, root))
    own, of_cxx = searched(program)
    c = after([*own, *map(str, sysroot.directories(root, HEADERS))])
    cxx = "y" if CXX.fullmatch(program.name) else ""
    return SCRIPT.format(cxx=cxx, command=command, of_cxx=after(of_cxx), c=c)


def after(places: list[str]) -> str:
    """Options that have headers looked for there, after all that a build names."""
    return shlex.join([word for place in places for word in ("-idirafter", place)])


def searched(program: Path) -> tuple[list[str], list[str]]:
    """The directories of a compiler's own headers, and those of C++, as it has them."""

    def says(*words: str) -> subprocess.CompletedProcess[str]:
        asked = [str(program), *words]
        return subprocess.run(asked, check=True, capture_output=True, text=True)

    said = says("-E", "-x", "c++", "-v", os.devnull).stderr
    listed = said.partition("#include <...> search starts here:\n")[2].partition("End of")[0]
    places = [line.strip() for line in listed.splitlines()]
    place = Path(says("-print-file-name=include").stdout.strip()).parent
    own = [each for each in places if os.path.normpath(each).startswith(f"{place}/include")]
    return own, [each for each in places if "/c++/" in each]


if __name__ == "__main__":
    serve(main)
