"""An index of Python packages: which files it lists, and getting them, checked.

The library pypi-simple reads its pages (PEP 503, PEP 691). Where the indexes are, pip's settings
say. Of several indexes, the first one that has the project counts, for all of its files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from cloche.autogen.errors import NotPublishedError, UpstreamError
from cloche.fetching.download import shown
from cloche.fetching.unfinished import unfinished
from cloche.seeds.debian.pip_config import PipSettings

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage, ProjectPage

_TIMEOUT = 60.0  # seconds without an answer
_LARGEST = 1 << 30  # bytes of one file
_METADATA = 1 << 22  # bytes of METADATA
_PAGE = 128 << 20  # bytes of a project's page
_STRONG = ("sha256", "sha512", "sha384", "blake2b")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release: an sdist or a wheel; ``yanked`` is the reason (PEP 592), None if not."""

    name: str
    uri: str
    version: Version
    digests: tuple[tuple[str, str], ...]
    size: int | None = None
    yanked: str | None = None
    requires_python: str | None = None
    has_metadata: bool = False
    metadata_digests: tuple[tuple[str, str], ...] = ()

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel; otherwise it is an sdist."""
        return self.name.endswith(".whl")

    @property
    def is_pure(self) -> bool:
        """Whether a wheel is for every platform (PEP 425)."""
        return self.name.endswith("-none-any.whl")


@dataclass(frozen=True, slots=True)
class Page:
    """What an index lists of a project."""

    project: str
    files: tuple[File, ...]

    @property
    def versions(self) -> tuple[Version, ...]:
        """The releases that have any file, sorted."""
        return tuple(sorted({file.version for file in self.files}))


class Index(contextlib.AbstractContextManager["Index"]):
    """The indexes of pip's settings, asked one after the other."""

    def __init__(self, settings: PipSettings) -> None:
        import requests

        self._session: requests.Session = requests.Session()
        if settings.cert:
            self._session.verify = settings.cert
        if settings.proxy:
            self._session.proxies = {"http": settings.proxy, "https": settings.proxy}
        self._places = [p for p in settings.indexes if urlsplit(p).scheme in ("http", "https")]
        self._pages: dict[str, Page] = {}

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def page(self, project: str) -> Page:
        """What is published of a project. Raises `NotPublishedError`, `UpstreamError`."""
        if project not in self._pages:
            self._pages[project] = self._page(project)
        return self._pages[project]

    def _page(self, project: str) -> Page:
        from pypi_simple import PyPISimple

        for place in self._places:
            client: PyPISimple = PyPISimple(place, session=self._session)
            found = self._listed(client.get_project_url(project), project)
            if found is not None:
                return found
        what = f"the index has no project {project}"
        todo = "check its name; --index-url names another index"
        raise NotPublishedError(what, where=", ".join(map(shown, self._places)) or None, todo=todo)

    def _listed(self, uri: str, project: str) -> Page | None:
        """A page; None if the index has no such project. Raises `UpstreamError`."""
        import requests
        import urllib3
        from pypi_simple import ACCEPT_ANY

        headers = {"Accept": ACCEPT_ANY}
        try:
            with self._session.get(uri, stream=True, timeout=_TIMEOUT, headers=headers) as answer:
                if answer.status_code == 404:
                    return None
                answer.raise_for_status()
                body = b"".join(_bounded(answer.iter_content(1 << 18), _PAGE, uri))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            what = f"the index does not answer: {type(error).__name__}"
            todo = "check the network and pip's settings (index-url, cert, proxy)"
            raise UpstreamError(what, where=shown(uri), todo=todo) from error
        return read_page(answer.headers.get("Content-Type", "text/html"), body, answer.url, project)

    def fetch(
        self,
        file: File,
        directory: Path,
        check: Callable[[Path], None] = lambda _: None,
        limit: int = _LARGEST,
    ) -> Path:
        """Get a file into a directory, unless it is there with the index's digest.

        ``check`` is called with what was fetched before it takes the place of another file, and may
        raise; ``limit`` is in bytes. Raises `UpstreamError`.
        """
        digests = {name: digest for name, digest in file.digests if name in _STRONG}
        if not digests:
            what = f"the index has no digest of {file.name}, at least SHA-256"
            raise UpstreamError(what, where=shown(file.uri), todo="use another index")
        target = directory / file.name
        if target.is_file() and _has(target, digests):
            return target
        with unfinished(directory, ".autogen-") as scratch:
            self._download(file, scratch, limit)
            if not _has(scratch, digests):
                what = f"{file.name} does not have the digest that the index states"
                raise UpstreamError(what, where=shown(file.uri), todo="do not use the file")
            check(scratch)
            scratch.rename(target)
        return target

    def metadata(self, wheel: File) -> bytes | None:
        """The METADATA of a wheel, where the index has it by itself (PEP 658).

        Raises `UpstreamError`.
        """
        if not wheel.has_metadata:
            return None
        uri = wheel.uri.partition("#")[0] + ".metadata"
        data = b"".join(self._read(uri, _METADATA))
        digests = {name: digest for name, digest in wheel.metadata_digests if name in _STRONG}
        for name, digest in digests.items():
            if hashlib.new(name, data).hexdigest() != digest:
                what = (
                    f"the metadata of {wheel.name} does not have the digest that the index states"
                )
                raise UpstreamError(what, where=shown(uri), todo="do not use the file")
        return data

    def _download(self, file: File, target: Path, limit: int) -> None:
        got = 0
        with target.open("wb") as stream:
            for block in self._read(file.uri.partition("#")[0], file.size or limit):
                got += stream.write(block)
        if file.size is not None and got != file.size:
            what = f"{file.name} has {got} bytes, the index says {file.size}"
            raise UpstreamError(what, where=shown(file.uri), todo="run it again")

    def _read(self, uri: str, limit: int) -> Iterator[bytes]:
        import requests
        import urllib3

        try:
            with self._session.get(uri, stream=True, timeout=_TIMEOUT) as answer:
                answer.raise_for_status()
                yield from _bounded(answer.iter_content(1 << 18), limit, uri)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            what = f"cannot be fetched: {type(error).__name__}"
            raise UpstreamError(what, where=shown(uri), todo="run it again") from error


def _bounded(blocks: Iterable[bytes], limit: int, uri: str) -> Iterator[bytes]:
    """The blocks of an answer, up to a limit in bytes. Raises `UpstreamError`."""
    got = 0
    for block in blocks:
        got += len(block)
        if got > limit:
            what = f"more than {limit} bytes"
            raise UpstreamError(what, where=shown(uri), todo="do not use the file")
        yield block


def read_page(kind: str, body: bytes, uri: str, project: str) -> Page:
    """A project's page of a Content-Type, JSON (PEP 691) or HTML (PEP 503).

    Raises `UpstreamError`.
    """
    from pypi_simple.errors import UnsupportedRepoVersionError

    try:
        found = _parsed(kind, body, uri, project)
        return Page(project, tuple(filter(None, map(_file, found.packages))))
    except (ValueError, RecursionError, UnsupportedRepoVersionError) as error:
        what = f"the index's page of {project} is malformed"
        raise UpstreamError(what, where=shown(uri), todo="try another index") from error


def _parsed(kind: str, body: bytes, uri: str, project: str) -> ProjectPage:
    from pypi_simple import ProjectPage

    name, _, rest = kind.partition(";")
    name = name.strip().lower()
    if name == "application/vnd.pypi.simple.v1+json":
        return ProjectPage.from_json_data(json.loads(body), uri)
    if name in ("application/vnd.pypi.simple.v1+html", "text/html"):
        charset = rest.partition("charset=")[2].strip(" \"'") or None
        return ProjectPage.from_html(project, body, uri, charset)
    raise ValueError(f"Content-Type {name}")


def _file(listed: DistributionPackage) -> File | None:
    """A file as listed; None for one that is neither a wheel nor an sdist with a version."""
    try:
        version = Version(listed.version or "")
    except InvalidVersion:
        return None
    if listed.package_type not in ("sdist", "wheel") or "/" in listed.filename:
        return None
    yanked = (listed.yanked_reason or "no reason is given") if listed.is_yanked else None
    return File(
        listed.filename,
        listed.url,
        version,
        _pairs(listed.digests),
        listed.size,
        yanked,
        listed.requires_python,
        bool(listed.has_metadata),
        _pairs(listed.metadata_digests or {}),
    )


def _pairs(digests: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, digest.lower()) for name, digest in digests.items()))


def _has(file: Path, digests: Mapping[str, str]) -> bool:
    """Whether a file has all of these digests."""
    hashes = {name: hashlib.new(name) for name in digests}
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            for each in hashes.values():
                each.update(block)
    return all(hashes[name].hexdigest() == digest for name, digest in digests.items())


def best_wheel(wheels: Sequence[File]) -> File | None:
    """The wheel whose metadata count: for every platform, else for Linux."""

    def rank(wheel: File) -> tuple[bool, bool, bool, str]:
        linux = "linux" in wheel.name
        return (not wheel.is_pure, not linux, "x86_64" not in wheel.name, wheel.name)

    return min(wheels, key=rank, default=None)


def page_for_people() -> str:
    """Where pip's default index shows projects: HOMEPAGE of those that have no other."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    parts = urlsplit(PYPI_SIMPLE_ENDPOINT)
    return f"{parts.scheme}://{parts.netloc}/project"
