"""GitHub's REST API: answers checked, kept with their validators, and asked for again by these.

A kept answer that is still true costs nothing of the rate limit, so a run that was cut off goes on
where it was. Sources: GitHub's documentation ("Rate limits", "Best practices", "Pagination").
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloche.autogen.errors import NotPublishedError, RateLimitError, UpstreamError
from cloche.errors import ClocheError
from cloche.fetching.download import shown

if TYPE_CHECKING:
    import requests

API = "https://api.github.com"
ADDRESS_VARIABLE = "GITHUB_API_URL"  # as GitHub's own runners set it
TOKEN_VARIABLE = "GITHUB_TOKEN"  # noqa: S105 - its name
_TIMEOUT = (30.0, 60.0)  # seconds to connect, and without a byte
_LARGEST = 32 << 20  # bytes of one answer
_PAGES = 200  # of a list, of 100 entries each
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class _Answer:
    """The body of an answer, and what comes after it in a list."""

    data: Any
    etag: str
    following: str | None


class Api(contextlib.AbstractContextManager["Api"]):
    """The API at an address; ``cache`` keeps its answers, of which ``token`` may see more.

    The token goes nowhere else, not into the cache, and not into errors.
    """

    def __init__(self, address: str, cache: Path, token: str | None = None) -> None:
        import requests

        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            what = "not an address of an API"
            todo = "give one that begins with https://"
            raise ClocheError(what, where=shown(address), todo=todo)
        self._address, self._cache = address.rstrip("/"), cache
        self._origin = (parts.scheme, parts.netloc)
        self._session: requests.Session = requests.Session()
        self._session.headers["User-Agent"] = "cloche"
        safe = parts.scheme == "https" or parts.hostname in _LOOPBACK
        self._session.auth = _bearer(token if safe else None)

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def one(self, path: str) -> Any:
        """An answer that is not a list. Raises `NotPublishedError`, `UpstreamError`."""
        return self._get(f"{self._address}/{path}").data

    def all(self, path: str) -> tuple[Any, ...]:
        """The entries of all pages of a list. Raises `NotPublishedError`, `UpstreamError`."""
        found: list[Any] = []
        address = f"{self._address}/{path}?per_page=100"
        for _ in range(_PAGES):
            answer = self._get(address)
            if not isinstance(answer.data, list):
                raise _malformed(address, "not a list")
            found += answer.data
            if answer.following is None:
                return tuple(found)
            address = answer.following
        raise _malformed(address, f"a list of more than {_PAGES} pages")

    def _get(self, address: str) -> _Answer:
        kept = self._kept(address)
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            **({"If-None-Match": kept.etag} if kept is not None else {}),
        }
        with _told(address):
            asked = self._session.get(address, headers=headers, timeout=_TIMEOUT, stream=True)
            with asked as answer:
                if answer.status_code == 304 and kept is not None:
                    return kept
                body = _body(answer)
        if answer.status_code != 200:
            raise _refusal(address, answer.status_code, answer.headers, body)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _malformed(address, "cut off, or not JSON") from error
        found = _Answer(data, answer.headers.get("ETag", ""), self._following(answer))
        if found.etag:
            self._keep(address, found)
        return found

    def _following(self, answer: requests.Response) -> str | None:
        """The next page, which must be on the same server: it gets the token."""
        address = answer.links.get("next", {}).get("url")
        if address is None:
            return None
        parts = urlsplit(address)
        if (parts.scheme, parts.netloc) != self._origin:
            raise _malformed(answer.url, "its next page is on another server")
        return str(address)

    def _place(self, address: str) -> Path:
        return self._cache / f"{hashlib.sha256(address.encode()).hexdigest()}.json"

    def _kept(self, address: str) -> _Answer | None:
        """The answer of the last time; None if there is none that can be read."""
        try:
            kept = json.loads(self._place(address).read_bytes())
            if kept["address"] == address and isinstance(kept["etag"], str):
                return _Answer(kept["data"], kept["etag"], kept["next"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def _keep(self, address: str, answer: _Answer) -> None:
        """Keep an answer; where that is not possible, it is asked for whole the next time."""
        kept = {"address": address, "etag": answer.etag, "next": answer.following}
        place = self._place(address)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.parent.chmod(0o700)  # a token may have seen what others may not
            fresh = place.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps({**kept, "data": answer.data}))
            fresh.replace(place)


def address_of(given: str | None) -> str:
    """The API's address: the given one, the environment's, or GitHub's."""
    return given or os.environ.get(ADDRESS_VARIABLE) or API


def token_of_environment() -> str | None:
    """The user's token; it must not be shown. Raises `ClocheError`."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        what = f"{TOKEN_VARIABLE} has characters that no token has"
        raise ClocheError(what, todo="set it again, or unset it")
    return token or None


def _bearer(token: str | None) -> Any:
    """Sets the token, and keeps requests from taking a password out of ~/.netrc."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn errors of a connection, whose texts may hold a password, into one line."""
    import requests
    import urllib3

    try:
        yield
    except (requests.ConnectTimeout, requests.ReadTimeout) as error:
        raise _unreachable(address, "server does not answer in time") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        broken = (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError)
        cut = isinstance(error, broken)
        why = "answer is cut off" if cut else f"server does not answer: {type(error).__name__}"
        raise _unreachable(address, why) from error


def _body(answer: requests.Response) -> bytes:
    """The body, with a limit. Raises `UpstreamError`."""
    found = bytearray()
    for block in answer.iter_content(1 << 16):
        found += block
        if len(found) > _LARGEST:
            raise _malformed(answer.url, f"more than {_LARGEST} bytes")
    return bytes(found)


def _refusal(
    address: str, status: int, headers: Mapping[str, str], body: bytes
) -> NotPublishedError | UpstreamError:
    where = shown(address)
    if status in (403, 429) and (until := _limited_until(status, headers)) is not None:
        at = datetime.fromtimestamp(until, UTC)
        what = f"the rate limit is used up until {at:%Y-%m-%d %H:%M:%S} UTC"
        todo = f"run it again then; a token in {TOKEN_VARIABLE} has a higher limit"
        return RateLimitError(what, where=where, todo=todo)
    if status in (404, 410):
        todo = f"check the name; a private one needs a token in {TOKEN_VARIABLE}"
        return NotPublishedError("not there", where=where, todo=todo)
    said = _said(body)
    if status == 401:
        return UpstreamError(f"{TOKEN_VARIABLE} is not accepted", where=where, todo="renew it")
    if status == 451:
        return NotPublishedError(f"withdrawn for legal reasons{said}", where=where)
    todo = "run it again later" if status >= 500 else "check the name and the token"
    return UpstreamError(f"the server answers {status}{said}", where=where, todo=todo)


def _limited_until(status: int, headers: Mapping[str, str]) -> float | None:
    """When the limit ends (seconds since 1970), if that is why a request was refused."""
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdigit() and len(after) < 7:
        return time.time() + int(after)
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit() and len(reset) < 11:
        return float(reset)
    return time.time() + 60 if status == 429 else None  # the least that GitHub asks for


def _said(body: bytes) -> str:
    """The message of an error, as a part of a line."""
    try:
        text = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return ""
    plain = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return f": {plain[:160]}" if plain else ""


def _malformed(address: str, why: str) -> UpstreamError:
    what = f"the API's answer cannot be used: {why}"
    return UpstreamError(what, where=shown(address), todo="run it again")


def _unreachable(address: str, why: str) -> UpstreamError:
    todo = "run it again; check the network and the proxy settings"
    return UpstreamError(f"the API's {why}", where=shown(address), todo=todo)
