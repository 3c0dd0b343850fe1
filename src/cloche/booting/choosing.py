"""Which file is meant by a machine or one of its images."""

from __future__ import annotations

from pathlib import Path

from cloche.booting.errors import BootError
from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.images import Image
from cloche.config.machine import Machine
from cloche.config.mkosi import Mkosi

#: Formats of images that a virtual machine boots, and those that systemd-nspawn boots.
BOOTABLE = ("iso", "qcow2", "disk", "uki", "esp")
ROOTS = ("tar", "disk", "directory")
#: What the log of a test ends with, which lies beside the image.
_LOG = ".console.log"
_STAGE4 = "stage4"
_FORMATS = '"iso", "qcow2" or "disk" (with Bootable)'


def image_of(machine: Machine, name: str, *, nspawn: bool = False) -> Path:
    """The file of a machine's image; with an empty ``name`` that of its only one that boots.

    Raises `BootError`, `ConfigError`.
    """
    files = _files(machine, nspawn=nspawn)
    if name and name not in files:
        every = {each.name: each.word for each in machine.images}
        if name in every:
            what = f"{name} is a {every[name]} image, which does not boot in this way"
            raise BootError(what, where=machine.file, todo=_advice(nspawn=nspawn))
        raise unknown_name(Origin(machine.file), "image", name, sorted({*every, *files}))
    if not name and not nspawn:
        loading = {each.name for each in machine.images if _loads(each)}
        files = {each: path for each, path in files.items() if each in loading}
    if not name and len(files) != 1:
        if not files:
            todo = _advice(nspawn=nspawn)
            raise ConfigError(Origin(machine.file), "the machine has no image that boots", todo)
        choices = " or ".join(f"`cloche boot {machine.name}/{each}`" for each in files)
        what = "the machine has several images that boot"
        raise ConfigError(Origin(machine.file), what, f"choose one: {choices}")
    path = files[name or next(iter(files))]
    if not path.exists():
        todo = f"`cloche build {machine.name}` makes it"
        raise BootError("the image is not there", where=path, todo=todo)
    return path


def _files(machine: Machine, *, nspawn: bool) -> dict[str, Path]:
    """The files that may be meant; a disk without a loader is booted only if it is named."""
    out = machine.root / "out" / machine.name
    formats = ROOTS if nspawn else BOOTABLE
    found = {each.name: out / each.file for each in machine.images if each.word in formats}
    if nspawn and _STAGE4 in machine.outputs:
        made = sorted(out.glob(f"{_STAGE4}.tar*"))
        plain = [each for each in made if not each.name.endswith(_LOG)]
        found[_STAGE4] = plain[0] if plain else out / f"{_STAGE4}.tar"
    return found


def _loads(image: Image) -> bool:
    """Whether an image has what a machine boots from."""
    return not isinstance(image.format, Mkosi) or image.format.needs_kernel


def _advice(*, nspawn: bool) -> str:
    if nspawn:
        return "add `stage4 = true` to [output], or boot another image without --nspawn"
    return f"add an image with format {_FORMATS} below [output.images] (docs/images.md)"
