"""How a stage is packed: catalyst's `compression_mode` as ``[output]`` of a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloche.catalyst import tools

#: Modes that need only programs of the root that is packed, with cloche's names for them.
_OWN = {
    **{"zstd": "zstd", "xz": "xz", "pixz": "xz", "gzip": "gzip"},
    **{"bzip2": "bzip2", "lbzip2": "bzip2", "lzma": "lzma", "tar": "none"},
}
#: Modes that need programs of the tools, which few roots have.
_BY_TOOLS = ("lzip", "lzop")
#: Options of tar2sqfs(1).
_SQUASHFS = {
    "squashfs": [],
    "squashfs_gzip": ["-c", "gzip"],
    "squashfs_xz": ["-c", "xz"],
    "squashfs_zstd": ["-c", "zstd"],
}
#: The name of the image of a stage packed as squashfs; its tarball serves to list its content.
IMAGE = "stage"
MODES = (*_OWN, *_BY_TOOLS, *_SQUASHFS)


@dataclass(frozen=True, slots=True)
class Packing:
    """``[output]``, and the seeds that it needs besides the machine's own."""

    output: Mapping[str, Any]
    seeds: Mapping[str, dict[str, Any]]


def packing(mode: str) -> Packing | None:
    """How to pack in a mode; None for an unknown one. A suffix `_x` makes no difference."""
    mode = mode.removesuffix("_x")
    if mode in _OWN:
        return Packing({"stage4": True, "compression": _OWN[mode]}, {})
    seeds = {tools.NAME: tools.seed()}
    if mode in _BY_TOOLS:
        return Packing({"stage4": True, "compression": mode, "tools": tools.NAME}, seeds)
    if mode in _SQUASHFS:
        image = {"format": "squashfs", "tools": tools.NAME, "options": _SQUASHFS[mode]}
        output = {"stage4": True, "compression": "none", "images": {IMAGE: image}}
        return Packing(output, seeds)
    return None
