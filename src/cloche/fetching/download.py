"""Fetches a file from an http, https or file address, and resumes interrupted transfers.

Beside an incomplete file lies ``NAME.from``: a digest of the address, which may hold a password,
and the server's validator (RFC 9110, 8.8). They show whether the rest belongs to the beginning.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from cloche.fetching.errors import (
    NotThereError,
    WrongContentError,
    bad_address,
    unreachable,
)

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, int | None], None]
"""Called now and then with the bytes fetched, and the total where it is known."""

ALGORITHMS = {"BLAKE2B": "blake2b", "SHA512": "sha512", "SHA256": "sha256"}
"""Manifest hash names (GLEP 74) and hashlib's."""

GENTOO_MIRROR = "https://distfiles.gentoo.org"
"""Portage's own default (make.globals, GENTOO_MIRRORS)."""

MIRROR_VARIABLE = "CLOCHE_GENTOO_MIRROR"
"""The environment's mirror: preferred to the default, but not to an option or declaration."""

_TIMEOUT = (30.0, 60.0)  # seconds to connect, and without a byte
_ATTEMPTS = 5  # of one transfer, repeated only while an attempt makes progress
_CHUNK = 1 << 18
_SMALL = 1 << 22  # bytes: the longest text that is read at once
_GONE = (404, 410)


def quiet(there: int, size: int | None) -> None:
    """Report no progress."""


def gentoo_mirror(*wanted: str | None) -> str:
    """The address of a mirror: the first wanted one, else the environment's, else the default."""
    named = next(filter(None, wanted), None)
    return (named or os.environ.get(MIRROR_VARIABLE) or GENTOO_MIRROR).rstrip("/")


def shown(address: str) -> str:
    """An address without its password."""
    try:
        parts = urlsplit(address)
    except ValueError:  # not an address: hide what may be a password
        return address.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def fetch_text(address: str) -> str:
    """Fetch a text. Raises a `FetchingError`."""
    local = _local(address)
    if local is not None:
        return _read(local)
    with _answer(address, {}) as answer:
        try:
            data = answer.raw.read(_SMALL + 1, decode_content=True)
        except _broken() as error:
            raise unreachable(shown(address), f"broken off: {_kind(error)}") from error
    if len(data) > _SMALL:
        raise WrongContentError(shown(address), f"more than {_SMALL} bytes for a text")
    return str(data.decode("utf-8", "replace"))


def fetch_file(
    address: str,
    target: Path,
    *,
    size: int | None = None,
    limit: int | None = None,
    progress: Progress = quiet,
) -> None:
    """Fetch the file at an address to ``target``, and resume an earlier attempt.

    ``size`` is its exact size in bytes, ``limit`` the greatest one. An existing file of that size
    stays; the caller checks its content. Raises a `FetchingError`.
    """
    local = _local(address)
    if local is not None:
        _copy(local, target, size, limit)
        return
    mark = _mark(target)
    if target.exists() and not mark.exists():
        if size is None or target.stat().st_size == size:
            return
        target.unlink()
    transfer = _Transfer(address, target, mark, size, limit, progress)
    reason: str | None = ""
    for _ in range(_ATTEMPTS):
        before = transfer.there
        reason = transfer.attempt()
        if reason is None:
            mark.unlink(missing_ok=True)
            return
        if transfer.there <= before:
            break
    raise unreachable(shown(address), reason or "", transfer.there)


def unchecked(target: Path) -> Path:
    """Where to fetch a file until its content has been checked: a hidden name beside its own.

    A complete one that an earlier run left there is removed; what `fetch_file` can resume stays.
    """
    part = target.with_name(f".{target.name}.part")
    if not _mark(part).exists():
        part.unlink(missing_ok=True)
    return part


def _mark(target: Path) -> Path:
    """The file that says what an interrupted download is of."""
    return target.with_name(f"{target.name}.from")


def check_digests(file: Path, digests: Mapping[str, str], source: str) -> None:
    """Compare a file with all digests of known kinds, at least one. Raises WrongContentError."""
    wanted = {name: digests[name].lower() for name in ALGORITHMS if name in digests}
    if not wanted:
        raise WrongContentError(source, "no digest of a known kind")
    hashes = {name: hashlib.new(ALGORITHMS[name]) for name in wanted}
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            for each in hashes.values():
                each.update(chunk)
    for name, digest in wanted.items():
        if hashes[name].hexdigest() != digest:
            raise WrongContentError(source, f"its {name} does not match the expected one")


@dataclass
class _Transfer:
    """One file on its way."""

    address: str
    target: Path
    mark: Path
    size: int | None
    limit: int | None
    progress: Progress

    @property
    def there(self) -> int:
        """Bytes fetched so far."""
        return self.target.stat().st_size if self.target.exists() else 0

    @property
    def _name(self) -> str:
        return hashlib.sha256(self.address.encode()).hexdigest()

    def attempt(self) -> str | None:
        """Fetch the file or its rest; return why it was interrupted, None if it is complete."""
        headers = self._resuming()
        try:
            with _answer(self.address, headers) as answer:
                if answer.status_code == 416:  # the partial file is not a beginning of it
                    self.target.unlink(missing_ok=True)
                    return "the server does not send the rest of the file"
                return self._take(answer, resumed=answer.status_code == 206)
        except _broken() as error:
            return f"broken off: {_kind(error)}"

    def _resuming(self) -> dict[str, str]:
        """The headers that ask for the rest, if the beginning is of the same file."""
        if not self.mark.exists():
            return {}
        address, _, validator = self.mark.read_text().rstrip("\n").partition("\n")
        if address != self._name or not validator or not self.there:
            return {}
        return {"Range": f"bytes={self.there}-", "If-Range": validator}

    def _take(self, answer: requests.Response, *, resumed: bool) -> str | None:
        there = self.there if resumed else 0
        length = answer.headers.get("Content-Length", "")
        total = there + int(length) if length.isdigit() else None
        self._check_size(total)
        validator = answer.headers.get("ETag", "")
        if not validator or validator.startswith("W/"):
            validator = answer.headers.get("Last-Modified", "")
        self.mark.write_text(f"{self._name}\n{validator}\n")
        with self.target.open("ab" if resumed else "wb") as file:
            while data := answer.raw.read(_CHUNK):
                file.write(data)
                there += len(data)
                most = self.limit if self.size is None else self.size
                if most is not None and there > most:
                    self._check_size(there)
                self.progress(there, self.size or total)
        if total is not None and there < total:
            return f"broken off after {there} of {total} bytes"
        self._check_size(there)
        return None

    def _check_size(self, total: int | None) -> None:
        """Raise `WrongContentError` for an impossible size, and remove the partial file."""
        fault = None if total is None else _fault_of_size(total, self.size, self.limit)
        if fault is not None:
            self.target.unlink(missing_ok=True)
            self.mark.unlink(missing_ok=True)
            raise WrongContentError(shown(self.address), fault)


def _answer(address: str, headers: Mapping[str, str]) -> requests.Response:
    """Ask for a file; its content is not read yet. Raises a `FetchingError`."""
    import requests

    plain = {"Accept-Encoding": "identity", "User-Agent": "cloche", **headers}
    try:
        answer = requests.get(address, headers=plain, stream=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise unreachable(shown(address), f"no answer: {_kind(error)}") from error
    if answer.status_code in _GONE:
        raise NotThereError(shown(address))
    if answer.status_code not in (200, 206, 416):
        raise unreachable(shown(address), f"the server answers {answer.status_code}")
    return answer


def _broken() -> tuple[type[Exception], ...]:
    """The exceptions of a transfer that ends too early."""
    import requests
    import urllib3

    return (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)


def _kind(error: Exception) -> str:
    """The class of an error only: the text of requests' errors may hold a password."""
    return type(error).__name__


def _local(address: str) -> Path | None:
    """The path of a ``file:`` address; None for http. Raises `FetchingError`."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise bad_address(shown(address)) from error
    if parts.scheme in ("http", "https") and parts.hostname:
        return None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    raise bad_address(shown(address))


def _read(path: Path) -> str:
    if not path.is_file():
        raise NotThereError(str(path))
    return path.read_text(encoding="utf-8", errors="replace")


def _fault_of_size(total: int, size: int | None, limit: int | None) -> str | None:
    """What is wrong with a file of ``total`` bytes; None where nothing is."""
    if size is not None and total != size:
        return f"{total} bytes instead of {size}"
    if limit is not None and total > limit:
        return f"{total} bytes or more, over the limit of {limit}"
    return None


def _copy(source: Path, target: Path, size: int | None, limit: int | None) -> None:
    if not source.is_file():
        raise NotThereError(str(source))
    if fault := _fault_of_size(source.stat().st_size, size, limit):
        raise WrongContentError(str(source), fault)
    scratch = target.with_name(f"{target.name}.copy")
    shutil.copyfile(source, scratch)
    os.replace(scratch, target)  # noqa: PTH105
