"""Images of a machine, made by the programs of another seed, the tools, or by cloche itself (OCI).

The tools are the root of a sandbox without network; the machine's root lies at `ROOT` there, and
both are read-only. No program or device of the host is used. Equal inputs give equal bytes: dates
and numbers that other builders take from the clock or at random are derived from the image's key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cloche.building.finish_steps import stored_directory
from cloche.building.stages import data_of, once
from cloche.config.images import Erofs, Image, Iso, Oci, Qcow2, Squashfs
from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import EXTENSIONS
from cloche.errors import is_full
from cloche.layers import Layer
from cloche.output import (
    directories,
    erofs,
    iso,
    mkosi,
    mkosi_checks,
    mkosi_tools,
    oci,
    qcow2,
    squashfs,
)
from cloche.output.claim import alone
from cloche.output.finished import Finished, Written
from cloche.output.image_tools import check_programs, needed
from cloche.output.imaging import CONTENTS, GIVEN, IMAGE, OUT, Imaging
from cloche.output.leftovers import remove_leftovers
from cloche.output.losses import data_of_losses, losses, not_held, warning
from cloche.output.stage4 import OWN, place, skeleton
from cloche.plan.keys import layer_parts
from cloche.records.events import Note
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.store import Key, Outcome, make_key
from cloche.tasks.task import ROOT
from cloche.tasks.worker import make_directory

FORMAT = "3"  # raise it when images are made in another way
_LOST = "lost"  # in the data of an action
_SPLIT = "split "  # before the rest of a name: what a format makes besides the image

_MAKE: Mapping[type, Callable[[Imaging], None]] = {
    Squashfs: squashfs.make,
    Erofs: erofs.make,
    Mkosi: mkosi.make,
    Iso: iso.make,
    Qcow2: qcow2.make,
}


def check_images(images: Sequence[Image], tools: Mapping[str, Layer]) -> None:
    """See that the tools can make the images, before anything is built. Raises `ConfigError`."""
    made = [(image, tools[image.tools]) for image in images if image.tools]
    check_programs([(image, seed, needed(image.format)) for image, seed in made])
    for image, seed in made:
        if isinstance(image.format, Mkosi):
            mkosi_checks.check_versions(image, image.format, seed)


def write_images(done: Finished) -> dict[str, Written]:
    """Make the images of a machine, by their names. Raises StepError, ConfigError."""
    found = {image.name: dict(_write(done, image)) for image in done.machine.images}
    files = {image: [each.path.name for each in own.values()] for image, own in found.items()}
    for path in remove_leftovers(done.directory, files):
        done.context.bus(Note(text=f"removed {path}: the image has no such file any more"))
    return {name: each for own in found.values() for name, each in own.items()}


def _write(done: Finished, image: Image) -> Iterator[tuple[str, Written]]:
    """Make one, and the list of its content if the format has one."""
    root = (*done.context.inputs.bottom, *done.layers)
    for path in image.directories:
        if path not in done.copied:
            done.copied[path] = stored_directory(done.context, path)
    files = tuple(done.copied[path] for path in image.directories)
    key = _key(done, image, root, files)
    blobs = once(
        done.context,
        "image",
        key,
        lambda: _made(done, image, root, files, key.digest),
        image.name,
    )
    for kind, (some, count) in data_of(done.context, key).get(_LOST, {}).items():
        done.context.bus(warning(image, kind, some, count))
    for kind, name, file in (
        ("image", image.name, image.file),
        ("contents", f"{image.name}-contents", f"{image.file}.contents"),
        *((each, image.name + rest, image.name + rest) for each, rest in _split(blobs)),
    ):
        if kind in blobs:
            with alone(done.directory):
                _place(done, image, kind, blobs[kind], done.directory / file)
            yield name, Written(done.directory / file, blobs[kind])


def _place(done: Finished, image: Image, kind: str, blob: str, target: Path) -> None:
    """Put what was made where its user finds it."""
    source = done.context.store.blob(blob).path
    if kind == "image" and directories.is_directory(image):
        directories.place(source, target, blob)
    else:
        place(source, target)


def _split(blobs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((each, each.removeprefix(_SPLIT)) for each in blobs if each.startswith(_SPLIT))


def _key(done: Finished, image: Image, root: Sequence[Layer], files: Sequence[Layer]) -> Key:
    """Everything that an image is made of, but not its name, unless that is in it."""
    options = {k: v for k, v in asdict(image.format).items() if k not in ("files", "repart")}
    made_by = {"tools": done.context.inputs.tools[image.tools].id} if image.tools else {}
    if isinstance(image.format, Oci):
        options |= oci.parts_of(done, image, image.format)
    if isinstance(image.format, Mkosi):
        made_by["scripts"] = mkosi_tools.scripts_digest()
        if image.format.word in EXTENSIONS:
            options["name"] = image.name  # the system that it extends looks for it
    return make_key(
        "image",
        {
            **layer_parts([(f"{layer.kind} {layer.label}", layer.id) for layer in root]),
            **{f"files {number}": layer.id for number, layer in enumerate(files)},
            **made_by,
            "kind": type(image.format).__name__,
            "options": json.dumps(options, sort_keys=True),
            "format": FORMAT,
        },
    )


def _made(
    done: Finished, image: Image, root: tuple[Layer, ...], files: tuple[Layer, ...], key: str
) -> Outcome:
    if isinstance(image.format, Oci):
        return oci.make(done, image, image.format, root)
    return _made_by_tools(done, image, root, files, key)


def _made_by_tools(
    done: Finished, image: Image, root: tuple[Layer, ...], files: tuple[Layer, ...], key: str
) -> Outcome:
    context = done.context
    tools, machine = context.inputs.tools[str(image.tools)], context.inputs.machine
    log = new_log(context.store, context.inputs.log_name, "image")
    with context.store.workspace("image") as workspace:
        out, given = make_directory(workspace, "out"), make_directory(workspace, "given")
        binds = [Bind(out, OUT, writable=True), Bind(given, GIVEN)]
        if not context.inputs.own_root:
            empty = skeleton(context, done.layers, workspace)
            binds += [Bind(empty / name, f"{ROOT}/{name}") for name in OWN]
        limits = context.policy.limits
        sandbox = context.worker.sandbox(
            (tools,), (), root=root, upper=None, binds=binds, limits=limits
        )
        lowers = sandbox.lowers
        if isinstance(image.format, Mkosi):
            mkosi_tools.write_over(tools, over := make_directory(workspace, "over"))
            lowers = (*lowers, over)
        sandbox = replace(sandbox, lowers=lowers, tmpfs=())
        work = Imaging(context, image, root, tools, files, out, given, sandbox, log, key)
        _MAKE[type(image.format)](work)
        blobs = {
            _SPLIT + rest: _kept(work, file, f"{machine}-{file.name}")
            for rest, file in mkosi.split_artifacts(work)
        }
        for kind, name in (("image", IMAGE), ("contents", CONTENTS)):
            if kind == "image" or (out / name).exists():
                blobs[kind] = _kept(work, out / name, f"{machine}-{image.file}")
    lost = losses([layer.path for layer in root], not_held(image.format))
    data = {_LOST: data_of_losses(lost)} if lost else {}
    return Outcome(blobs, str(log.relative_to(context.store.logs)), data=data)


def _kept(work: Imaging, file: Path, label: str) -> str:
    """Store a file of the tools, which are not trusted: they may have left a link there."""
    try:
        return work.context.store.add_blob(file, label).id
    except OSError as error:
        if is_full(error):
            raise
        raise work.failed(f"{file.name} cannot be stored: {error.strerror}") from error
