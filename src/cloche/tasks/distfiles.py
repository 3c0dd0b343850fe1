"""Distfiles: stored under their digest, and linked into a step's DISTDIR as needed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.plan.depgraph import Distfile
from cloche.store import Store
from cloche.store.incoming import take_content

# Manifest hash names (GLEP 74), the strongest first, and hashlib's names for them.
ALGORITHMS = {"BLAKE2B": "blake2b", "SHA512": "sha512", "SHA256": "sha256"}


class BadDistfileError(ClocheError):
    """A file that does not match its Manifest line; ``where`` is its name."""

    status = Exit.FAILED


def stored_name(file: Distfile) -> str:
    """File name in the store: the strongest digest that the Manifest gives."""
    for name in ALGORITHMS:
        if digest := file.digests.get(name):
            if not digest.isalnum():
                break
            return f"{name}-{digest.lower()}"
    raise BadDistfileError("the Manifest has no digest of a known kind", where=file.name)


def path_of(store: Store, file: Distfile) -> Path:
    """The path of a distfile in the store, whether it exists or not."""
    return store.distfiles / stored_name(file)


def missing(store: Store, files: Iterable[Distfile]) -> tuple[Distfile, ...]:
    """The files that are not in the store."""
    return tuple(file for file in files if not path_of(store, file).is_file())


def keep(store: Store, source: Path, file: Distfile) -> None:
    """Copy an untrusted file into the store if it matches its Manifest line.

    Raises BadDistfileError.
    """
    wanted = {n: d.lower() for n, d in file.digests.items() if n in ALGORITHMS}
    hashes = {name: hashlib.new(ALGORITHMS[name]) for name in wanted}
    with store.workspace("distfile") as room:
        copy = room / stored_name(file)
        try:
            size = take_content(source, copy, hashes.values(), mode=0o644)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ELOOP):
                raise
            raise BadDistfileError("not a regular file", where=file.name) from error
        if size != file.size:
            raise BadDistfileError(f"{size} bytes, the Manifest has {file.size}", where=file.name)
        for name, digest in wanted.items():
            if hashes[name].hexdigest() != digest:
                raise BadDistfileError(f"{name} does not match the Manifest", where=file.name)
        copy.rename(path_of(store, file))


def adopt(store: Store, file: Distfile, directories: Iterable[Path]) -> bool:
    """Copy a file from one of the user's own directories, if it is there and right."""
    for directory in directories:
        source = directory / file.name
        if not source.is_file():
            continue
        try:
            keep(store, source.resolve(), file)
        except BadDistfileError:
            continue
        return True
    return False


def show(store: Store, files: Iterable[Distfile], directory: Path) -> None:
    """Link distfiles, under their own names, into a step's DISTDIR."""
    for file in files:
        if "/" in file.name or file.name in ("", ".", ".."):
            raise BadDistfileError("not a file name", where=repr(file.name))
        os.link(path_of(store, file), directory / file.name)
