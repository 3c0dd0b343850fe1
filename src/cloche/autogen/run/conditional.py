"""Pages of an index that are asked for again by their validators (RFC 9110, 13.1).

What did not change costs one answer without content. Within one run each page is asked for once.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3
from pypi_simple import ACCEPT_ANY
from requests.adapters import HTTPAdapter

from cloche.autogen.errors import NotPublishedError, UpstreamError
from cloche.autogen.pypi.index import Index, Page
from cloche.fetching.download import shown
from cloche.seeds.debian.pip_config import PipSettings

AT_ONCE = 8  # connections, and pages that are asked for at the same time
_TIMEOUT = 60.0  # seconds without an answer
_LARGEST = 128 << 20  # bytes of a page
_LEVEL = 1  # of compression: pages are a tenth
_HELD = 256  # pages that are held in memory, parsed
_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_TOLD = (*_VALIDATORS, "Content-Type")


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer of the last time: headers, and where its body is."""

    headers: Mapping[str, str]
    body: bytes


class Conditional(HTTPAdapter):
    """Sends requests; GETs of pages with the validators that ``cache`` has of them."""

    def __init__(self, cache: Path) -> None:
        super().__init__(pool_maxsize=AT_ONCE)
        self._cache = cache
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> Any:
        """The answer; its body comes from the cache where the server says that it still holds."""
        url = request.url or ""
        is_page = "pypi.simple" in request.headers.get("Accept", "")
        if request.method != "GET" or not (is_page or url.endswith(".metadata")):
            return super().send(request, *args, **more)
        kept = self._kept(url)
        with self._lock:
            if kept is not None and url in self._asked:
                return self._made(request, kept)
        for told, asked in _VALIDATORS.items():
            if kept is not None and told in kept.headers:
                request.headers[asked] = kept.headers[told]
        answer = super().send(request, *args, **more)
        if answer.status_code == 304 and kept is not None:
            _ = answer.content  # of no bytes: so the connection is used again
        elif answer.status_code == 200:
            kept = self._keep(url, answer)
        else:
            return answer
        with self._lock:
            self._asked.add(url)
        return self._made(request, kept)

    def _made(self, request: requests.PreparedRequest, kept: _Kept) -> requests.Response:
        raw = urllib3.HTTPResponse(
            io.BytesIO(kept.body), kept.headers, status=200, preload_content=False
        )
        return self.build_response(request, raw)

    def _keep(self, url: str, answer: requests.Response) -> _Kept:
        """Keep an answer; where that is not possible, it is asked for whole the next time."""
        body = bytearray()
        for block in answer.iter_content(1 << 18):
            body += block
            if len(body) > _LARGEST:
                what = f"more than {_LARGEST} bytes"
                raise UpstreamError(what, where=shown(url), todo="use another index")
        headers = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
        kept = _Kept(headers, bytes(body))
        place = self._place(url)
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.parent.chmod(0o700)  # an index may want a password
            fresh = place.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            head = json.dumps(headers).encode()
            fresh.write_bytes(head + b"\n" + zlib.compress(kept.body, _LEVEL))
            fresh.replace(place)
        return kept

    def _kept(self, url: str) -> _Kept | None:
        try:
            head, _, body = self._place(url).read_bytes().partition(b"\n")
            headers, body = json.loads(head), zlib.decompress(body)
        except (OSError, ValueError, zlib.error):
            return None
        usable = isinstance(headers, dict) and all(isinstance(v, str) for v in headers.values())
        return _Kept(headers, body) if usable else None

    def _place(self, url: str) -> Path:
        return self._cache / hashlib.sha256(url.encode()).hexdigest()


class KeptIndex(Index):
    """The indexes of pip's settings, whose pages ``cache`` keeps from one run to the next."""

    def __init__(self, settings: PipSettings, cache: Path) -> None:
        super().__init__(settings)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Conditional(cache))

    def __enter__(self) -> KeptIndex:
        return self

    def page(self, project: str) -> Page:
        """What is published of a project. Raises `NotPublishedError`, `UpstreamError`."""
        found = super().page(project)
        if len(self._pages) > _HELD:
            self._pages.pop(next(iter(self._pages)))
        return found

    def state(self, project: str) -> str:
        """A digest of a project's page. May be called by several threads.

        Raises `NotPublishedError`, `UpstreamError`.
        """
        for place in self._places:
            try:
                answer = self._session.get(
                    f"{place}{project}/", headers={"Accept": ACCEPT_ANY}, timeout=_TIMEOUT
                )
                if answer.status_code == 404:
                    continue
                answer.raise_for_status()
                return hashlib.sha256(answer.content).hexdigest()
            except requests.RequestException as error:
                what = f"the index does not answer: {type(error).__name__}"
                todo = "run it again; check the network and pip's settings"
                raise UpstreamError(what, where=shown(place), todo=todo) from error
        what = f"the index has no project {project}"
        raise NotPublishedError(what, todo="check its name; --index-url names another index")
