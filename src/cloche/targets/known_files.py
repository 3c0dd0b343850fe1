"""Files that the store has already, by the MD5 that a VDB's CONTENTS gives them (portage(5)).

CONTENTS says what a package's files were when it was merged. So each is a candidate only, until its
content was read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from cloche.composing.footprint import VDB, entries, read_contents
from cloche.seeds.parts.contents import Names
from cloche.store import Store, Tree, walk


def owned_files(content: bytes) -> Iterator[tuple[bytes, str, int]]:
    """The files in a CONTENTS: path, MD5, and mtime in seconds."""
    for line in content.split(b"\n"):
        kind, _, rest = line.partition(b" ")
        path, *numbers = rest.rsplit(b" ", 2)
        if kind == b"obj" and len(numbers) == 2 and numbers[1].isdigit() and len(numbers[0]) == 32:
            yield path, numbers[0].decode("latin-1").lower(), int(numbers[1])


def known_files(store: Store, wanted: Collection[tuple[str, int]]) -> dict[str, bytes]:
    """Paths of files in the store with these MD5s and sizes, by their MD5. Raises OSError."""
    sizes = dict(wanted)
    found: dict[str, bytes] = {}
    for tree in store.trees():
        for digest, path in _candidates(tree, sizes.keys() - found.keys()):
            if digest not in found and _has(path, digest, sizes[digest]):
                found[digest] = path
    return found


def _candidates(tree: Tree, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """What may be wanted files in a tree, by its VDB."""
    owned: dict[str, bytes] = {}
    for cpv in entries(tree.path):
        content = read_contents(tree.path, cpv)
        owned.update((m, path) for path, m, _ in owned_files(content) if m in wanted)
    if not owned:
        return
    names = Names(walk(tree.path, content=False))
    for digest, path in owned.items():
        place = names.place(path)
        entry = names.entries.get(place) if place else None
        if entry is not None and entry.type == "file":
            yield digest, os.fsencode(tree.path) + b"/" + entry.path


def _has(path: bytes, digest: str, size: int) -> bool:
    """Whether a file has this content."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode) or info.st_size != size:
            return False
        md5 = hashlib.md5(usedforsecurity=False)
        while data := file.read(1 << 20):
            md5.update(data)
        return md5.hexdigest() == digest


def digests_of(
    names: Names, contents: Mapping[bytes, bytes], seconds: Mapping[bytes, int]
) -> dict[bytes, str]:
    """The MD5s of the files of a root that are as they were merged, by their places.

    ``contents`` are its files CONTENTS, ``seconds`` the mtimes of its files.
    """
    found = {}
    for content in contents.values():
        for path, digest, merged in owned_files(content):
            place = names.place(path)
            if place is not None and seconds.get(place) == merged:
                found[place] = digest
    return found


def vdb_files(paths: Collection[bytes]) -> Iterator[bytes]:
    """Those of some paths that are in a VDB."""
    above = os.fsencode(Path(VDB)) + b"/"
    return (path for path in paths if path.startswith(above))
