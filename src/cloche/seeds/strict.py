"""What a strict build must not see of a seed: everything beyond a named toolchain.

The implicit system of a Debian seed is larger than Gentoo's: autoconf, bison, pkg-config and the
like are there although Gentoo's packages have to name them as dependencies. A layer of whiteouts
over the seed takes them away.
"""

# Names of files are bytes, which pathlib does not know.
# ruff: noqa: PTH101, PTH102, PTH112, PTH115, PTH118, PTH120, PTH208

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from cloche.seeds.packages import Installed, installed

# What stays, with all that it needs at run time and Debian's essential packages (which no package
# has to name, Debian Policy 3.8): what Portage itself runs, and what stands for Gentoo's @system.
TOOLCHAIN = frozenset(
    {"bash", "binutils", "bzip2", "coreutils", "diffutils", "file", "findutils", "g++", "gawk"}
    | {"gcc", "grep", "gzip", "libc-bin", "libc6", "libc6-dev", "make", "mount", "passwd"}
    | {
        "patch",
        "pax-utils",
        "procps",
        "python3",
        "sed",
        "tar",
        "tzdata",
        "util-linux",
        "wget",
        "xz-utils",
        "zstd",
    }
)
# Had done its work when the tree was made, and would bring all of Perl along.
_DONE = frozenset({"usrmerge"})
_INFO = "var/lib/dpkg/info"
# Where links lie that no package owns: alternatives, and the names that the preparation makes.
_LINKS = ("etc/alternatives", "usr/bin", "usr/sbin")
_MAX_LINKS = 40  # as the kernel


def kept_packages(
    packages: Iterable[Installed], toolchain: Iterable[str] = TOOLCHAIN
) -> frozenset[str]:
    """The names of the toolchain's packages and of all that they need at run time."""
    by_name: dict[str, list[Installed]] = {}
    providers: dict[str, list[Installed]] = {}
    packages = list(packages)
    for package in packages:
        by_name.setdefault(package.name, []).append(package)
        for name in package.provides:
            providers.setdefault(name, []).append(package)
    todo = [name for name in toolchain if name in by_name]
    todo += [package.name for package in packages if package.essential]
    kept: set[str] = set()
    while todo:
        name = todo.pop()
        if name in kept or name in _DONE:
            continue
        kept.add(name)
        for package in by_name[name]:
            for group in package.needs:
                # Real packages decide; a virtual one counts only where no real one is installed.
                real = [need for need in group if need in by_name]
                virtual = [p.name for need in group for p in providers.get(need, ())]
                todo += real or virtual
    return frozenset(kept)


def hidden_paths(tree: Path, toolchain: Iterable[str] = TOOLCHAIN) -> list[bytes]:
    """The paths of a seed, relative to its top, that a strict build must not see; sorted.

    A directory in the list stands for all beneath it. Raises `BadPackageListError`.
    """
    packages = installed(tree)
    kept = kept_packages(packages, toolchain)
    shown: set[bytes] = set()
    hidden: set[bytes] = set()
    for package in packages:
        (shown if package.name in kept else hidden).update(_owned(tree, package))
    hidden -= shown
    top = os.fsencode(tree)
    hidden = {path for path in hidden if os.path.lexists(os.path.join(top, path))}
    hidden |= _dangling(top, hidden)
    whole = {path for path in hidden if _is_directory(top, path)}
    empty = _hidden_directories(top, whole, hidden)
    result = (hidden - whole) | empty
    return sorted(path for path in result if not _covered(path, empty))


def _owned(tree: Path, package: Installed) -> Iterator[bytes]:
    """The paths of a package's list, with the links of a merged /usr resolved."""
    suffix = f":{package.arch}" if package.same else ""
    file = tree / _INFO / f"{package.name}{suffix}.list"
    for line in file.read_bytes().splitlines():
        path = line.strip(b"/")
        if path and path != b".":
            first, slash, rest = path.partition(b"/")
            merged = (tree / os.fsdecode(first)).is_symlink()
            yield b"usr/" + first + slash + rest if merged else path


def _dangling(top: bytes, hidden: set[bytes]) -> set[bytes]:
    """The links in the usual places that lead to something hidden."""
    found = set()
    for place in map(os.fsencode, _LINKS):
        directory = os.path.join(top, place)
        if not os.path.isdir(directory):
            continue
        for name in os.listdir(directory):
            path = os.path.join(place, name)
            if path not in hidden and _leads_to(top, path, hidden):
                found.add(path)
    return found


def _leads_to(top: bytes, path: bytes, hidden: set[bytes]) -> bool:
    """Follow links within the tree; directories on the way are taken as they are."""
    for _ in range(_MAX_LINKS):
        try:
            target = os.readlink(os.path.join(top, path))
        except OSError:
            return False
        path = os.path.normpath(os.path.join(b"/", os.path.dirname(path), target)).lstrip(b"/")
        if path in hidden:
            return True
    return False


def _is_directory(top: bytes, path: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(os.path.join(top, path)).st_mode)


def _hidden_directories(top: bytes, candidates: set[bytes], hidden: set[bytes]) -> set[bytes]:
    """Those directories beneath which nothing is to be seen any more.

    Compiled Python belongs to no package; it goes with its sources.
    """
    gone: set[bytes] = set()
    for path in sorted(candidates, key=lambda path: path.count(b"/"), reverse=True):
        if all(
            child in gone or (child in hidden and child not in candidates) or name == b"__pycache__"
            for name in os.listdir(os.path.join(top, path))
            for child in (os.path.join(path, name),)
        ):
            gone.add(path)
    return gone


def _covered(path: bytes, directories: set[bytes]) -> bool:
    parent = os.path.dirname(path)
    return bool(parent) and (parent in directories or _covered(parent, directories))


def strict_overlay(tree: Path, destination: Path, toolchain: Iterable[str] = TOOLCHAIN) -> int:
    """Make a layer of whiteouts in ``destination``, an empty directory; returns their number.

    Mounted over the seed it hides `hidden_paths`. Directories on the way have the owners and modes
    that they have in the seed, because an overlay shows the upper layer's.
    """
    paths = hidden_paths(tree, toolchain)
    top, new = os.fsencode(tree), os.fsencode(destination)
    _like(top, new)
    for path in paths:
        _make_parents(top, new, os.path.dirname(path))
        os.mknod(os.path.join(new, path), stat.S_IFCHR | 0o000, os.makedev(0, 0))
    return len(paths)


def _make_parents(top: bytes, new: bytes, path: bytes) -> None:
    if path and not os.path.isdir(os.path.join(new, path)):
        _make_parents(top, new, os.path.dirname(path))
        os.mkdir(os.path.join(new, path))
        _like(os.path.join(top, path), os.path.join(new, path))


def _like(source: bytes, target: bytes) -> None:
    info = os.lstat(source)
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
