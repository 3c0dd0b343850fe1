"""Where a root's dynamic loader looks for libraries: ld.so(8), ldconfig(8), musl's path file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from cloche.audit.elf import Elf
from cloche.audit.root import Root

# What glibc's loader has built in, each with a NUL behind it (elf/dl-load.c, system_dirs): that of
# Gentoo has /lib64/ and /usr/lib64/, that of Debian neither.
_BUILT_IN = re.compile(r"(?<=\0)(?:/[\w.+/-]*lib[\w.+/-]*/\0)+", re.ASCII)
# Where a loader does not say. Libraries below glibc-hwcaps are other builds of what lies beside it.
_DEFAULT = {64: ("lib64", "usr/lib64", "lib", "usr/lib"), 32: ("lib", "usr/lib", "lib32",
            "usr/lib32", "libx32", "usr/libx32")}  # fmt: skip
_LIB = ("lib64", "lib", "lib32")  # what ${LIB} may stand for
_MUSL = ("lib", "usr/local/lib", "usr/lib")
# musl's loader is the C library, and never looks for these (ldso/dynlink.c, load_library).
_IN_MUSL = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))


class Loader:
    """Finds libraries in a root as ld.so does, its cache and environment variables left out."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._musl = any("/ld-musl-" in elf.interpreter for elf in root.elves.values())
        self._system = tuple(_musl_paths(root)) if self._musl else tuple(_glibc_paths(root))
        self._built_in = {} if self._musl else _built_in(root)
        self._found: dict[tuple[int, int, str], str | None] = {}

    def finds(self, name: str, elf: Elf, needed: str) -> bool:
        """Whether a library that the file ``name`` needs is found for it."""
        if "/" in needed:
            return self._fits(needed, elf) is not None
        if self._musl and needed.startswith(_IN_MUSL):
            return True
        if any(self._fits(f"{path}/{needed}", elf) for path in runpath(name, elf)):
            return True
        key = (elf.bits, elf.machine, needed)
        if key not in self._found:
            kind = (elf.bits, elf.machine)
            defaults = () if self._musl else self._built_in.get(kind, _DEFAULT[elf.bits])
            ways = (self._fits(f"{path}/{needed}", elf) for path in (*self._system, *defaults))
            self._found[key] = next(filter(None, ways), None)
        return self._found[key] is not None

    def _fits(self, path: str, elf: Elf) -> str | None:
        """The real name of a library of the file's own kind."""
        real = self._root.real(path)
        other = self._root.elves.get(real) if real is not None else None
        fits = other is not None and (other.bits, other.machine) == (elf.bits, elf.machine)
        return real if fits else None


def runpath(name: str, elf: Elf) -> Iterator[str]:
    """The directories of a file's RUNPATH with ``$ORIGIN`` and ``${LIB}`` filled in.

    Relative ones depend on where a program is started, and are left out.
    """
    origin = f"/{name.rpartition('/')[0]}"
    for path in elf.runpath:
        for word in ("$ORIGIN", "${ORIGIN}"):
            path = path.replace(word, origin)
        several = ("$LIB" in path or "${LIB}" in path) and _LIB
        for lib in several or ("",):
            filled = path.replace("${LIB}", lib).replace("$LIB", lib)
            if filled.startswith("/") and "$" not in filled:
                yield filled


def _built_in(root: Root) -> dict[tuple[int, int], tuple[str, ...]]:
    """The directories that the loaders of a root have built in, by their bits and machine."""
    found = {}
    for path in {elf.interpreter for elf in root.elves.values()} - {""}:
        name = root.real(path)
        loader = root.elves.get(name) if name is not None else None
        match = _BUILT_IN.search(root.read(name)) if name is not None else None
        if loader is not None and match is not None:
            found[loader.bits, loader.machine] = tuple(match[0].strip("\0").split("\0"))
    return found


def _glibc_paths(root: Root) -> Iterator[str]:
    """The directories of ld.so.conf and of what it includes."""
    todo, seen = ["etc/ld.so.conf"], set[str]()
    while todo:
        name = root.real(todo.pop(0))
        if name is None or name in seen:
            continue
        seen.add(name)
        for line in root.read(name).splitlines():
            word, *rest = line.partition("#")[0].split() or [""]
            if word == "include":
                for pattern in rest:
                    full = pattern if pattern.startswith("/") else f"/etc/{pattern}"
                    todo += _matching(root, full.lstrip("/"))
            elif word.startswith("/"):
                yield word.partition("=")[0]


def _matching(root: Root, pattern: str) -> list[str]:
    depth = pattern.count("/")
    return sorted(n for n in root.names if n.count("/") == depth and fnmatchcase(n, pattern))


def _musl_paths(root: Root) -> Iterator[str]:
    """The directories of /etc/ld-musl-ARCH.path, musl's own without such a file."""
    files = _matching(root, "etc/ld-musl-*.path")
    for name in files:
        yield from root.read(name).replace(":", "\n").split()
    if not files:
        yield from _MUSL
