"""A seed from an OCI image: an image layout as a directory, or a tar of one (an OCI archive).

Formats: OCI image-spec, image-layout.md, image-index.md, manifest.md, layer.md. Every blob is
checked against the digest and size in its descriptor; layers are untrusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from cloche.archives import (
    ImportOptions,
    Limits,
    import_tarball,
)
from cloche.config.lock import TreeSeed
from cloche.decoding import NOT_DECODABLE
from cloche.layers import flatten
from cloche.seeds.arch import host_arch
from cloche.seeds.errors import SeedError, missing_file
from cloche.seeds.types import SeedContext, SeedRequest

_REF = "org.opencontainers.image.ref.name"
_INDEXES = ("application/vnd.oci.image.index.v1+json",)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_SMALL = 4 << 20  # bytes: image-spec, manifest.md, has registries take manifests up to this size
_NESTED = 4  # indexes within indexes
_MOST = 500  # layers of an image, and images of a layout; container engines stop at 127 layers
_SHOWN = 10  # names in an error


@dataclass(frozen=True, slots=True)
class Layout:
    """An image layout on the disk; ``source`` is what errors name."""

    root: Path
    source: Path

    def blob(self, descriptor: Mapping[str, Any]) -> Path:
        """The file of a descriptor, its size and digest checked. Raises `SeedError`."""
        match = _DIGEST.fullmatch(str(descriptor.get("digest")))
        if match is None:
            raise _bad_image(
                self.source, f"unknown kind of digest: {str(descriptor.get('digest'))[:100]}"
            )
        path = self.root / "blobs/sha256" / match[1]
        if path.is_symlink() or not path.is_file():
            raise _bad_image(self.source, f"the blob {match[1][:12]} is missing")
        with path.open("rb") as stream:
            whole = os.fstat(stream.fileno()).st_size == descriptor.get("size")
            if not whole or hashlib.file_digest(stream, "sha256").hexdigest() != match[1]:
                raise _bad_image(self.source, f"the blob {match[1][:12]} does not match its digest")
        return path

    def document(self, descriptor: Mapping[str, Any]) -> Any:
        """The JSON of a descriptor's blob."""
        return self.read(self.blob(descriptor))

    def read(self, path: Path) -> Any:
        """The JSON in a file of the layout."""
        try:
            info = path.lstat()  # neither a link nor a FIFO, which would block
            if not stat.S_ISREG(info.st_mode) or info.st_size > _SMALL:
                raise ValueError("not a small file")
            found = json.loads(path.read_bytes())
        except (OSError, *NOT_DECODABLE) as error:
            raise _bad_image(self.source, f"{path.name} cannot be read") from error
        if not isinstance(found, dict):
            raise _bad_image(self.source, f"{path.name} is not an object")
        return found


def _bad_image(path: Path, reason: str, names: Sequence[str] = ()) -> SeedError:
    """An image that cannot be used; ``names`` are those of the images that are there."""
    which = "give an image layout or an OCI archive (`podman save --format oci-archive`)"
    return SeedError(
        f"not an OCI image that can be a seed: {reason}",
        where=path,
        todo=f"there is: {', '.join(names)}" if names else which,
    )


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, TreeSeed]:
    """Put the layers of an image together. Raises `SeedError`, `ImportRefusedError`, OSError."""
    source = request.path("path")
    if source is None or not source.exists():
        raise missing_file(request.spec.name, "path", source)
    layout = Layout(_unpacked(source, room, context), source)
    manifest = chosen(layout, request.spec.text("ref"))
    layers = layers_of(layout, manifest)
    digest = str(manifest["digest"]).removeprefix("sha256:")
    locked = request.pinned.digest if isinstance(request.pinned, TreeSeed) else ""
    if locked and digest != locked:
        raise _bad_image(source, f"its manifest is {digest[:12]}, pinned is {locked[:12]}")
    planted = _planted(layout, layers, room, context)
    tree = room / "tree"
    tree.mkdir()
    flatten(planted, tree)
    for directory in (*planted, room / "layout"):
        shutil.rmtree(directory, ignore_errors=True)
    return tree, TreeSeed("oci", digest)


def _planted(
    layout: Layout, layers: Sequence[Mapping[str, Any]], room: Path, context: SeedContext
) -> list[Path]:
    """Import the layers, each into a directory; all of them together are held to one limit."""
    made: list[Path] = []
    limits = Limits()
    for number, descriptor in enumerate(layers, 1):
        context.report(f"unpacking layer {number} of {len(layers)}")
        made.append(room / f"layer-{number}")
        options = ImportOptions(limits, devices="skip", whiteouts="oci")
        done = import_tarball(layout.blob(descriptor), made[-1], options)
        limits = replace(
            limits, bytes=limits.bytes - done.bytes, entries=limits.entries - done.entries
        )
    return made


def layers_of(layout: Layout, descriptor: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The descriptors of the layers of a manifest. Raises `SeedError`."""
    layers = layout.document(descriptor).get("layers")
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise _bad_image(layout.source, "the manifest has no list of layers")
    if len(layers) > _MOST:
        raise _bad_image(layout.source, f"it has {len(layers)} layers, over {_MOST}")
    return layers


def _unpacked(source: Path, room: Path, context: SeedContext) -> Path:
    """The layout's directory: ``source`` itself, or what the archive holds."""
    if source.is_dir():
        return source
    context.report("reading the archive")
    import_tarball(source, room / "layout")
    return room / "layout"


def chosen(layout: Layout, ref: str | None) -> Mapping[str, Any]:
    """The descriptor of the one manifest that is meant. Raises `SeedError`."""
    index = layout.read(layout.root / "index.json")
    found = list(islice(_manifests(layout, index, ref, _NESTED, set()), _MOST + 1))
    if len(found) > _MOST:
        raise _bad_image(layout.source, f"it holds more than {_MOST} images")
    machine = {"amd64": "amd64", "arm64": "arm64"}.get(host_arch().gentoo)
    native = [each for each in found if _architecture(each) in (None, machine)]
    if len(native) == 1:
        return native[0]
    names = sorted(name[:100] for name in map(_name, found) if name)
    names[_SHOWN:] = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    if not native:
        named = f" named {ref}" if ref else ""
        raise _bad_image(layout.source, f"it holds no image{named} for this architecture", names)
    raise _bad_image(layout.source, f"it holds {len(native)} images: choose with `ref`", names)


def _manifests(
    layout: Layout, index: Mapping[str, Any], ref: str | None, depth: int, seen: set[str]
) -> Iterator[Mapping[str, Any]]:
    """What an index leads to; an index that is named again leads to nothing more (``seen``)."""
    entries = index.get("manifests")
    for each in entries if isinstance(entries, list) else ():
        if not isinstance(each, dict) or (ref is not None and _name(each) != ref):
            continue
        if each.get("mediaType") in _INDEXES:
            digest = str(each.get("digest"))
            if depth and digest not in seen:
                seen.add(digest)
                yield from _manifests(layout, layout.document(each), None, depth - 1, seen)
        else:
            yield each


def _name(descriptor: Mapping[str, Any]) -> str | None:
    annotations = descriptor.get("annotations")
    name = annotations.get(_REF) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def _architecture(descriptor: Mapping[str, Any]) -> str | None:
    platform = descriptor.get("platform")
    found = platform.get("architecture") if isinstance(platform, dict) else None
    return found if isinstance(found, str) else None
