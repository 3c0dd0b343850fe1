"""Portage's release: fetched by the host's pip settings, and kept only if it is the pinned file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cloche.config.lock import SdistPin
from cloche.errors import Exit
from cloche.fetching.unfinished import unfinished
from cloche.seeds.debian.apt import without_password
from cloche.seeds.debian.pip_config import PipSettings
from cloche.seeds.errors import SeedError, no_pypi_simple

_TIMEOUT = 60.0  # seconds without an answer
_BLOCK = 1 << 20

# What a seed without a lock gets.
DEFAULT_PIN = SdistPin("3.0.83", "deac3ae1e03aea1ff09a0e831fa8d06e89bfc49440394b66ed6223338d5f9c4e")


def pin(version: str, sha256: str | None = None) -> SdistPin:
    """The pin of a version. Raises `SeedError` if its digest is unknown."""
    if sha256 is not None and re.fullmatch(r"[0-9a-f]{64}", sha256):
        return SdistPin(version, sha256)
    if sha256 is None and version == DEFAULT_PIN.version:
        return DEFAULT_PIN
    raise SeedError(
        f"no SHA-256 is known for Portage {version}", todo="give version and sha256 together"
    )


def ensure(
    wanted: SdistPin,
    cache: Path,
    settings: PipSettings,
    report: Callable[[str], None] = lambda text: None,
) -> Path:
    """The path of the pinned sdist in ``cache``, fetched when it is not there yet.

    Raises `SeedError`.
    """
    kept = cache / wanted.file
    if kept.is_file():
        _verify(kept, wanted, str(kept))
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    tried = []
    for source, fetch in _candidates(wanted, settings):
        with unfinished(cache, ".portage-") as scratch:
            report(f"looking for {wanted.file} in {source}")
            try:
                fetch(scratch)
            except (OSError, ValueError, LookupError) as problem:
                tried.append(f"{source}: {_reason(problem)}")
                continue
            _verify(scratch, wanted, source)
            scratch.rename(kept)
            return kept
    raise SeedError(
        f"{wanted.file} was not found",
        todo="check the network and pip's settings (index-url, find-links, cert)",
        detail="\n".join(tried),
        status=Exit.FAILED,
    )


class _NotThereError(LookupError):
    """A source answered, and does not have the file."""


def _reason(problem: Exception) -> str:
    """The class of an error only: the text of requests' errors may hold a password."""
    return str(problem) if isinstance(problem, _NotThereError) else type(problem).__name__


def _candidates(
    wanted: SdistPin, settings: PipSettings
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Every place worth asking, with the function that fetches from it; local ones first."""
    local = []
    remote = []
    for place in settings.find_links:
        path = _local(place)
        if path is not None:
            local.append(path / wanted.file)
    for url in settings.indexes:
        path = _local(url)
        if path is not None:
            local.append(path / "portage" / wanted.file)
        else:
            remote.append(url)
    for file in local:
        yield str(file), lambda scratch, file=file: _copy(file, scratch)  # type: ignore[misc]
    for url in remote:
        yield (
            without_password(url),
            lambda scratch, url=url: _download(url, wanted, settings, scratch),  # type: ignore[misc]
        )


def _local(place: str) -> Path | None:
    """The directory a ``file:`` address or a plain path means; None for anything else."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(place) if not parts.scheme else None


def _copy(file: Path, scratch: Path) -> None:
    if not file.is_file():
        raise _NotThereError("no such file")
    scratch.write_bytes(file.read_bytes())


def _download(url: str, wanted: SdistPin, settings: PipSettings, scratch: Path) -> None:
    # Half of what the command line would load at every start, and only needed here.
    import requests

    try:
        from pypi_simple import PyPISimple
    except ImportError as error:
        raise no_pypi_simple() from error
    with requests.Session() as session, PyPISimple(url, session=session) as index:
        if settings.cert:
            session.verify = settings.cert
        if settings.proxy:
            session.proxies = {"http": settings.proxy, "https": settings.proxy}
        page = index.get_project_page("portage", timeout=_TIMEOUT)
        for package in page.packages:
            if package.filename == wanted.file:
                # The pin decides, not the digest that the index itself states.
                index.download_package(package, scratch, verify=False, timeout=_TIMEOUT)
                return
    raise _NotThereError("the index does not list it")


def _verify(file: Path, wanted: SdistPin, source: str) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    if (actual := digest.hexdigest()) != wanted.sha256:
        raise SeedError(
            f"{wanted.file} has SHA-256 {actual}, pinned is {wanted.sha256}",
            where=source,
            todo="do not use this file: it is not the release that was pinned",
        )
