"""Sources: kept in the store under their digest, shown to a step as exactly the files it needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from cloche.plan.depgraph import Distfile
from cloche.store import Store

# Manifest hash names (GLEP 74), the strongest first, and hashlib's names for them.
ALGORITHMS = {"BLAKE2B": "blake2b", "SHA512": "sha512", "SHA256": "sha256"}
CHUNK = 1 << 20


class BadDistfileError(Exception):
    """A file that is not what the Manifest says; the text says how it differs."""


def stored_name(file: Distfile) -> str:
    """File name in the store: the strongest digest that the Manifest gives."""
    for name in ALGORITHMS:
        if digest := file.digests.get(name):
            if not digest.isalnum():
                break
            return f"{name}-{digest.lower()}"
    raise BadDistfileError(f"{file.name}: the Manifest has no digest of a known kind")


def path_of(store: Store, file: Distfile) -> Path:
    """Where a distfile lies in the store, if it is there."""
    return store.distfiles / stored_name(file)


def missing(store: Store, files: Iterable[Distfile]) -> tuple[Distfile, ...]:
    """Those that are not in the store."""
    return tuple(file for file in files if not path_of(store, file).is_file())


def check(path: Path, file: Distfile) -> None:
    """Compare a file with its Manifest line. Raises BadDistfileError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise BadDistfileError(f"{file.name}: not a regular file")
        if status.st_size != file.size:
            raise BadDistfileError(
                f"{file.name}: {status.st_size} bytes, the Manifest has {file.size}"
            )
        wanted = {n: d.lower() for n, d in file.digests.items() if n in ALGORITHMS}
        hashes = {name: hashlib.new(ALGORITHMS[name]) for name in wanted}
        while chunk := stream.read(CHUNK):
            for each in hashes.values():
                each.update(chunk)
    for name, digest in wanted.items():
        if hashes[name].hexdigest() != digest:
            raise BadDistfileError(f"{file.name}: {name} is not what the Manifest has")


def keep(store: Store, source: Path, file: Distfile) -> None:
    """Check a file and move it into the store. Raises BadDistfileError."""
    check(source, file)
    source.chmod(0o644)
    os.chown(source, 0, 0)
    with source.open("rb") as stream:
        os.fsync(stream.fileno())
    source.rename(path_of(store, file))


def adopt(store: Store, file: Distfile, directories: Iterable[Path], workspace: Path) -> bool:
    """Take a file from one of the user's own directories, if a right one is there."""
    for directory in directories:
        source = directory / file.name
        if not source.is_file():
            continue
        copy = workspace / stored_name(file)
        shutil.copyfile(source, copy)
        try:
            keep(store, copy, file)
        except BadDistfileError:
            copy.unlink()
            continue
        return True
    return False


def show(store: Store, files: Iterable[Distfile], directory: Path) -> None:
    """Link distfiles, under their own names, into a step's DISTDIR."""
    for file in files:
        if "/" in file.name or file.name in ("", ".", ".."):
            raise BadDistfileError(f"{file.name!r} is no file name")
        os.link(path_of(store, file), directory / file.name)
