"""Fetches the archives of crates, checked, and looks into them without running anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cloche.autogen.commits import commit_of
from cloche.autogen.errors import RefusedError, UpstreamError
from cloche.autogen.pypi.archive import Sdist, read_sdist
from cloche.autogen.repository import source_of
from cloche.autogen.rust import crates as decided
from cloche.autogen.rust.crates import Crates, is_git
from cloche.autogen.trees import Trees
from cloche.fetching.download import fetch_file, shown, unchecked
from cloche.fetching.errors import FetchingError, NotThereError

if TYPE_CHECKING:
    from pycargoebuild.cargo import Crate, GitCrate, PackageMetadata

_LARGEST = 256 << 20  # bytes of one archive
_AT_ONCE = 4
_TOML = re.compile(r"(?:[^/]+/)*Cargo\.toml")


@dataclass(frozen=True, slots=True)
class Registry:
    """Where crates come from, and go to; ``address`` is that of pycargoebuild if it is None.

    An address is that of a directory, below which files are ``NAME/VERSION/download``.
    """

    distdir: Path
    address: str | None = None
    report: Callable[[str], None] = lambda _: None

    def uri(self, crate: Crate) -> str:
        """Where an archive is."""
        if self.address is None or is_git(crate):
            return str(crate.download_url)
        return f"{self.address.rstrip('/')}/{crate.name}/{crate.version}/download"


def crates_of(sdist: Sdist, manifest: str, registry: Registry, trees: Trees, where: str) -> Crates:
    """The crates of a source archive, by the Cargo.lock that counts for a ``manifest``.

    Raises `RefusedError`, `UpstreamError`, `ImportRefusedError`, `FetchingError`, `ClocheError`.
    """
    decided.library()
    name = decided.lock_file(sdist.names, manifest, where)
    text = sdist.text(name)
    if text is None:
        raise RefusedError(f"its {name} is too large", where=where)
    listed = decided.locked(text, where)
    registry.report(f"{where}: {len(listed)} crates")
    _fetch(listed, registry)
    stated: dict[str, PackageMetadata] = {}
    git: dict[GitCrate, str] = {}
    for crate in listed:
        label = f"{crate.name}-{crate.version}"
        if is_git(crate):
            git[crate], stated[label] = _of_commit(crate, registry.distdir)
        else:
            stated[label] = _of_registry(crate, registry.distdir)
    licences = {crate: found.license for crate, found in stated.items() if found.license}
    oldest = decided.rust_version(sdist.text(manifest) or "")
    files = dict.fromkeys(crate.filename for crate in listed)
    return Crates(
        (
            *((f'RUST_MIN_VER="{oldest}"',) if oldest else ()),
            *decided.variables(listed, git),
        ),
        decided.licence_lines(licences, trees.licences),
        tuple(source_of(registry.distdir / file) for file in files),
        tuple(decided.silent(stated)),
    )


def _fetch(listed: Sequence[Crate], registry: Registry) -> None:
    """Get what is not there; several crates may be in one archive of a commit."""
    registry.distdir.mkdir(parents=True, exist_ok=True)
    wanted = {crate.filename: crate for crate in listed}
    with ThreadPoolExecutor(_AT_ONCE, "crates") as threads:
        try:
            list(threads.map(partial(_fetch_one, registry), wanted.values()))
        finally:
            threads.shutdown(cancel_futures=True)


def _fetch_one(registry: Registry, crate: Crate) -> None:
    target = registry.distdir / crate.filename
    if target.is_file() and _is_right(target, crate):
        return
    part = unchecked(target)
    uri = registry.uri(crate)
    try:
        fetch_file(uri, part, limit=_LARGEST)
    except NotThereError as error:
        what = f"the crate {crate.filename} was not found"
        todo = "run it again; --crates-url names another place"
        raise UpstreamError(what, where=shown(uri), todo=todo) from error
    except FetchingError as error:
        error.what = f"the crate {crate.filename} cannot be fetched: {error.what}"
        raise
    if not _is_right(part, crate):
        part.unlink()
        what = f"{crate.filename} does not have the digest or commit that Cargo.lock states"
        raise UpstreamError(what, where=shown(uri), todo="do not use the file")
    part.replace(target)


def _is_right(path: Path, crate: Crate) -> bool:
    """Whether a file is what Cargo.lock names: by its digest, or by git's commit in it."""
    if is_git(crate):
        return commit_of(path) == str(crate.commit)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == str(crate.checksum)


def _of_registry(crate: Crate, distdir: Path) -> PackageMetadata:
    label = f"{crate.name}-{crate.version}"
    sdist = read_sdist(distdir / crate.filename, re.compile(r"Cargo\.toml"))
    found = decided.crate_metadata(sdist.text("Cargo.toml") or "", f"crate {label}")
    if sdist.top != label or (found.name, found.version) != (crate.name, crate.version):
        what = f"it calls itself “{found.name} {found.version}” in “{sdist.top}”"
        raise RefusedError(what, where=f"crate {label}", todo="do not trust its source")
    return found


def _of_commit(crate: GitCrate, distdir: Path) -> tuple[str, PackageMetadata]:
    """The entry of GIT_CRATES, and what Cargo.toml says."""
    sdist = read_sdist(distdir / crate.filename, _TOML)
    texts = {name: text for name, text in sdist.texts if _TOML.fullmatch(name)}
    inside, found = decided.in_repository(crate, texts)
    entry = decided.git_entry(crate, f"{sdist.top}/{inside}" if inside else sdist.top)
    return entry, found
