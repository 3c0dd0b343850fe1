"""What is made of a machine beside its packages, as one digest: to see whether it would change."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cloche.building.context import Inputs
from cloche.config.errors import Origin
from cloche.config.machine import Machine
from cloche.layers import Layer

Copied = Mapping[Path, Layer]
NOTHING: Copied = MappingProxyType({})


def end_digest(machine: Machine, inputs: Inputs, copied: Copied = NOTHING) -> str:
    """Digest of a machine's bottom, world files, finish steps and outputs.

    The places of settings in files do not count, nor do the machine's secrets. Of directories that
    a build has ``copied`` its layers count, as they may have changed since.
    """
    parts = {
        "bottom": [layer.id for layer in inputs.bottom],
        "tools": {name: layer.id for name, layer in inputs.tools.items()},
        "world": [[asked.atom for asked in machine.packages], machine.sets],
        "oneshot": "--oneshot" in machine.emerge,
        "keep world": machine.keep_world,
        "finish": [
            [step, step.directory and content_of(step.directory, copied)] for step in machine.finish
        ],
        **_of_kernel(machine),
        "outputs": [machine.outputs, machine.below, machine.compression, machine.packer],
        "images": [
            [image, [content_of(path, copied) for path in image.directories]]
            for image in machine.images
        ],
    }
    text = json.dumps(_plain(parts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _of_kernel(machine: Machine) -> dict[str, Any]:
    """What is done to the finished root because of its kernel."""
    kernel = machine.kernel
    if kernel is None or not (kernel.signing or kernel.initramfs):
        return {}
    certificate = kernel.signing.certificate.content if kernel.signing else b""
    return {"kernel": [certificate, kernel.initramfs, kernel.options]}


def _plain(value: Any) -> Any:
    """A value for JSON; paths by their names, origins by nothing."""
    match value:
        case Origin():
            return None
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case Path():
            return value.name
    if is_dataclass(value):
        found = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        return {"kind": type(value).__name__, **found}
    return value


def content_of(directory: Path, copied: Copied = NOTHING) -> list[tuple[str, int, str]]:
    """What is below a directory: names, modes, and contents' digests or targets of links.

    Of a directory the last is "". What a build has ``copied`` is read from its layer.
    """
    if directory in copied:
        directory = copied[directory].path
    return [
        (str(path.relative_to(directory)), stat.S_IMODE(path.lstat().st_mode), _digest(path))
        for path in sorted(directory.rglob("*"))
    ]


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
