"""An OCI registry as a common place for layers (OCI distribution-spec 1.1).

A layer is an artifact whose tag is the layer's id, with one blob: its stream, compressed by zstd.
Nothing that comes from there is believed: it is the layer's id that decides.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests

from cloche.cluster import frames, stream
from cloche.cluster.errors import ClusterError, TransferError
from cloche.errors import Exit
from cloche.store import Store, Tree

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.cloche.layer.v1+zstd"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_EMPTY = b"{}"
_TRIES = 5  # connections for one blob
_TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
_LONGEST = 1 << 20  # bytes of a manifest


class Descriptor(msgspec.Struct, rename="camel"):
    """A blob of the registry."""

    media_type: str
    digest: str
    size: int


class Manifest(msgspec.Struct, rename="camel"):
    """The manifest of an artifact (OCI image-spec, manifest.md)."""

    layers: tuple[Descriptor, ...]
    config: Descriptor
    schema_version: int = 2
    media_type: str = MANIFEST
    artifact_type: str = LAYER


@dataclass(frozen=True, slots=True)
class Registry:
    """``url`` is that of a repository: ``https://HOST/NAME``. A login comes from netrc(5)."""

    url: str

    def check(self) -> None:
        """Raise ClusterError for what is no address."""
        parts = urlsplit(self.url)
        name = parts.path.strip("/")
        if parts.scheme not in ("http", "https") or not parts.netloc or not name:
            what = f"“{self.url}” is not the address of a registry"
            raise ClusterError(what, todo="write https://HOST/NAME", status=Exit.BAD_INPUT)

    @property
    def api(self) -> str:
        """What the addresses of all its blobs and manifests begin with."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/v2/{parts.path.strip('/')}"

    def take(self, ids: Iterable[str], store: Store) -> tuple[str, ...]:
        """Take those trees that the store lacks and the registry has; return their ids.

        Raises ClusterError, TransferError.
        """
        taken = []
        for id in sorted(set(ids)):
            if store.has_tree(id):
                continue
            with store.lock(f"tree-{id}"), store.workspace("registry") as room:
                found = None if store.has_tree(id) else self._manifest(id)
                if found is not None:
                    blob = _Blob(f"{self.api}/blobs/{found.layers[0].digest}")
                    store.add_trees(stream.unpack(blob.exactly, [id], store, room))
                    taken.append(id)
        return tuple(taken)

    def put(self, id: str, store: Store) -> bool:
        """Put a tree there, unless it is there; whether it was not. Raises ClusterError."""
        if self._manifest(id) is not None:
            return False
        with store.workspace("registry") as room:
            layer = _pack(store.tree(id), room / "layer")
            with (room / "layer").open("rb") as file:
                self._upload(layer, file)
        config = Descriptor(_EMPTY_TYPE, _digest(_EMPTY), len(_EMPTY))
        self._upload(config, _EMPTY)
        text = msgspec.json.encode(Manifest((layer,), config))
        self._asked("PUT", f"{self.api}/manifests/{id}", data=text, type=MANIFEST)
        return True

    def _manifest(self, id: str) -> Manifest | None:
        found = self._asked(
            "GET", f"{self.api}/manifests/{id}", accept=MANIFEST, allowed=(404,), stream=True
        )
        with found:
            if found.status_code == 404:
                return None
            text = next(found.iter_content(_LONGEST), b"")
        try:
            manifest = msgspec.json.decode(text, type=Manifest)
        except msgspec.MsgspecError as error:
            raise ClusterError(f"a malformed manifest: {error}", where=self.url) from error
        ours = [each for each in manifest.layers if each.media_type == LAYER]
        if len(ours) != 1 or len(manifest.layers) != 1:
            raise ClusterError(f"{id[:16]} is not a layer of cloche's", where=self.url)
        return manifest

    def _upload(self, blob: Descriptor, data: Any) -> None:
        there = f"{self.api}/blobs/{blob.digest}"
        if self._asked("HEAD", there, allowed=(404,)).ok:
            return
        begun = self._asked("POST", f"{self.api}/blobs/uploads/")
        place = urljoin(begun.url or there, begun.headers.get("Location", ""))
        mark = "&" if "?" in place else "?"
        address = f"{place}{mark}digest={blob.digest}"
        self._asked("PUT", address, data=data, type="application/octet-stream")

    def _asked(
        self,
        method: str,
        address: str,
        *,
        data: Any = None,
        type: str | None = None,
        accept: str | None = None,
        allowed: tuple[int, ...] = (),
        stream: bool = False,
    ) -> requests.Response:
        headers = {"Content-Type": type, "Accept": accept}
        given = {name: value for name, value in headers.items() if value}
        try:
            answer = requests.request(
                method, address, data=data, headers=given, timeout=_TIMEOUT, stream=stream
            )
        except requests.RequestException as error:
            raise ClusterError(f"the registry is not reached: {error}", where=self.url) from error
        if not answer.ok and answer.status_code not in allowed:
            what = f"the registry says {answer.status_code} {answer.reason} to {method}"
            raise ClusterError(what, where=self.url)
        return answer


class _Blob:
    """The unpacked content of a blob. A connection that breaks goes on by a range."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._got = 0
        self._chunks = self._received()
        self._unpack = zstd.ZstdDecompressor()
        self._buffer = memoryview(b"")

    def exactly(self, size: int) -> bytes:
        """That many bytes. Raises TransferError."""
        parts, left = list[bytes](), size
        while left:
            if not self._buffer:
                self._buffer = memoryview(self._more())
            part = bytes(self._buffer[:left])
            self._buffer = self._buffer[len(part) :]
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _more(self) -> bytes:
        while True:
            chunk = b"" if not self._unpack.needs_input else next(self._chunks, b"")
            if self._unpack.eof or (not chunk and self._unpack.needs_input):
                raise TransferError("a layer ended early", where=self._address)
            try:
                data = self._unpack.decompress(chunk, frames.PIECE)
            except zstd.ZstdError as error:
                raise TransferError(f"a damaged layer: {error}", where=self._address) from error
            if data:
                return data

    def _received(self) -> Iterator[bytes]:
        for each in range(_TRIES):
            headers = {"Range": f"bytes={self._got}-"} if self._got else {}
            try:
                with requests.get(
                    self._address, headers=headers, timeout=_TIMEOUT, stream=True
                ) as answer:
                    answer.raise_for_status()
                    if self._got and answer.status_code != 206:
                        raise TransferError("the registry knows no ranges", where=self._address)
                    for chunk in answer.iter_content(frames.PIECE):
                        self._got += len(chunk)
                        yield chunk
                return
            except requests.RequestException as error:
                if each == _TRIES - 1:
                    raise TransferError(f"not reached: {error}", where=self._address) from error


def _pack(tree: Tree, place: Path) -> Descriptor:
    """Write the compressed stream of a tree to a file."""
    digest, size = hashlib.sha256(), 0
    compressor = zstd.ZstdCompressor(level=frames.LEVEL)
    with place.open("wb") as file:
        for piece in frames.pieces(stream.pack([tree]), 0):
            data = compressor.compress(piece)
            digest.update(data)
            size += file.write(data)
        data = compressor.flush()
        digest.update(data)
        size += file.write(data)
    return Descriptor(LAYER, f"sha256:{digest.hexdigest()}", size)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
