"""Which file is meant by a machine or one of its images."""

from __future__ import annotations

from pathlib import Path

from cloche.booting.errors import BootError
from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.machine import Machine

#: Formats of images that a virtual machine boots, and those that systemd-nspawn boots.
BOOTABLE = ("iso", "qcow2", "disk", "uki", "esp")
ROOTS = ("directory", "tar", "disk")
_STAGE4 = "stage4"
_FORMATS = ", ".join(f'"{each}"' for each in BOOTABLE[:3])


def image_of(machine: Machine, name: str, *, nspawn: bool = False) -> Path:
    """The file of a machine's image; with an empty ``name`` that of its only one that boots.

    Raises `BootError`, `ConfigError`.
    """
    files = _files(machine, nspawn=nspawn)
    if name and name not in files:
        every = {each.name: _format(each.format) for each in machine.images}
        if name in every:
            what = f"{name} is a {every[name]} image, which does not boot in this way"
            raise BootError(what, where=machine.file, todo=_advice(nspawn=nspawn))
        raise unknown_name(Origin(machine.file), "image", name, sorted({*every, *files}))
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
    out = machine.root / "out" / machine.name
    formats = ROOTS if nspawn else BOOTABLE
    found = {
        each.name: out / each.file for each in machine.images if _format(each.format) in formats
    }
    if nspawn and _STAGE4 in machine.outputs:
        made = sorted(out.glob(f"{_STAGE4}.tar*"))
        found[_STAGE4] = made[0] if made else out / f"{_STAGE4}.tar"
    return found


def _format(image: object) -> str:
    return type(image).__name__.lower()


def _advice(*, nspawn: bool) -> str:
    if nspawn:
        return "add `stage4 = true` to [output], or boot another image without --nspawn"
    return f"add an image with format {_FORMATS} below [output.images] (docs/project-files.md)"
