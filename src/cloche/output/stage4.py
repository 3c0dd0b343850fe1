"""A machine as one tarball, the same bytes each time for the same layers."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.stages import once, shown, stage_command, stage_failed
from cloche.errors import is_full
from cloche.layers import SOURCE_DATE_EPOCH, Layer
from cloche.output.claim import alone
from cloche.output.finished import Finished, Written
from cloche.output.secrets import is_sealed, seal
from cloche.plan.keys import layer_parts
from cloche.records.events import Note
from cloche.records.logs import new_log, open_log
from cloche.sandbox.base import Bind, Command, Ended, Sandbox
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import ENVIRONMENT, describe
from cloche.tasks.task import ROOT
from cloche.tasks.worker import make_directory

SKELETON = "/run/cloche/skeleton"
OUT = "/run/cloche/out"
LONGEST_LINE = 1 << 16  # bytes; a longer one is not tar's
TOUCHED = b": file changed as we read it"  # a warning of tar(1)
# A sandbox has file systems of its own here; the tarball has the directories of the layers, empty.
OWN = ("dev", "proc", "run", "sys", "tmp")

# Programs of the seed, by the word for them, with the extension. Nothing in what they write depends
# on the host or the time; xz divides into blocks however many threads there are, but not with one.
COMPRESSION = {
    "zstd": ("/usr/bin/zstd -T0 -3", ".zst"),
    "xz": ("/usr/bin/xz -T2", ".xz"),
    "gzip": ("/bin/gzip -n", ".gz"),
    "bzip2": ("/bin/bzip2", ".bz2"),
    "lzma": ("/usr/bin/xz --format=lzma", ".lzma"),
    "lzip": ("/usr/bin/lzip", ".lz"),
    "lzop": ("/usr/bin/lzop", ".lzo"),
    "none": ("", ""),
}

# tar(1) of the seed. No time later than the one date of all builds, names in order, and no trace of
# the overlay: two runs give the same bytes.
TAR = (
    "/bin/tar",
    "--create",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--sort=name",
    f"--mtime=@{SOURCE_DATE_EPOCH}",
    "--clamp-mtime",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-exclude=user.overlay.*",
    "--acls",
    # Not --sparse: tar(1) looks for holes only in files with fewer blocks than bytes, and how many
    # blocks a file has depends on the file system, and on how it was written there.
    "--one-file-system",
)
# What is in the tarball. In a root of its own nothing of a sandbox is mounted.
OVER_SEED = (
    "--directory=/",
    "--anchored",
    *(f"--exclude=./{name}" for name in OWN),
    ".",
    f"--directory={SKELETON}",
    *OWN,
)
ALONE = (f"--directory={ROOT}", ".")
PLAIN = "plain.tar"
#: Runs a command with its input and output in files: the first two words.
_THROUGH = 'from=$0; exec > "$1"; shift; exec "$@" < "$from"'


@dataclass(frozen=True, slots=True)
class Packer:
    """A program that compresses standard input to standard output, and the seed that has it."""

    tools: Layer
    program: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Its part of a key."""
        return " ".join((self.tools.id, *self.program))


def _packed(context: BuildContext, below: str) -> tuple[str, ...]:
    """Words for tar(1) that say what it packs."""
    if below != "/":
        root = context.root.rstrip("/")
        return (f"--directory={root}/{below.strip('/')}", ".")
    return ALONE if context.inputs.own_root else OVER_SEED


def write(done: Finished) -> Written:
    """Write the tarball of a machine. Raises StepError."""
    context, layers = done.context, done.layers
    if context.inputs.own_root:
        layers = (*context.inputs.bottom, *layers)
    program, extension = COMPRESSION[done.machine.compression]
    name = f"stage4.tar{extension}"
    packer = None
    if program and done.machine.packer is not None:
        packer = Packer(context.inputs.tools[done.machine.packer], tuple(program.split()))
    command = (
        *TAR[:2],
        f"--file={OUT}/{name if packer is None else PLAIN}",
        *((f"--use-compress-program={program}",) if program and packer is None else ()),
        *TAR[2:],
        *_packed(context, done.machine.below),
    )
    parts = {
        **context.inputs.key_base,
        **layer_parts([(f"{layer.kind} {layer.label}", layer.id) for layer in layers]),
        **{f"base {layer.kind}": layer.id for layer in context.inputs.base},
        "command": " ".join(command),
        **({"packer": packer.identity} if packer else {}),
    }
    key = make_key("stage4", parts)
    outputs = once(context, "pack", key, lambda: _tar(context, layers, command, name, packer))
    target = done.directory / name
    with alone(done.directory):  # two threads of this process would use the same name aside
        _deliver(done, context.store.blob(outputs["stage4"]).path, target)
    return Written(target, outputs["stage4"])


def _deliver(done: Finished, plain: Path, target: Path) -> None:
    """Put the tarball where its user finds it, with the secrets that are to be in it."""
    bus, titles = done.context.bus, ", ".join(each.title for each in done.machine.secrets)
    if done.secrets:
        with shown(done.context, "seal"):
            seal(plain, target, done.machine.compression, done.secrets)
        bus(Note(text=f"the tarball holds secrets ({titles}); only its owner may read it"))
        return
    replaced = is_sealed(target)
    place(plain, target)
    if titles and replaced:
        text = f"a tarball without secrets replaced the one that had them ({titles})"
        bus(Note(text=f"{text}; `--secrets` puts them in", level="warning"))
    elif titles:
        text = f"the tarball is without secrets ({titles}); `--secrets` puts them in"
        bus(Note(text=text))


def _tar(
    context: BuildContext,
    layers: Sequence[Layer],
    argv: tuple[str, ...],
    name: str,
    packer: Packer | None,
) -> Outcome:
    machine = context.inputs.machine
    log = new_log(context.store, context.inputs.log_name, "pack")
    with context.store.workspace("pack") as workspace:
        binds = (
            Bind(make_directory(workspace, "out"), OUT, writable=True),
            Bind(skeleton(context, layers, workspace), SKELETON),
        )
        # Nothing over the place of repositories, which may hold files of packages.
        sandbox = replace(context.sandbox(layers, upper=None, binds=binds), tmpfs=())
        command = Command(argv, ENVIRONMENT, timeout=context.policy.phase_seconds)
        ended = stage_command(context, "pack", sandbox, command, log)
        if not is_whole(ended, log):
            raise stage_failed(context, "pack", describe(ended), log)
        if packer is not None:
            _compress(context, packer, workspace / "out", name, log)
        try:  # the machine's own tar is untrusted, and may have left a link there
            blob = context.store.add_blob(workspace / "out" / name, f"{machine}-{name}")
        except OSError as error:
            if is_full(error):
                raise
            raise stage_failed(context, "pack", f"no tarball: {error.strerror}", log) from error
    return Outcome({"stage4": blob.id}, str(log.relative_to(context.store.logs)))


def _compress(context: BuildContext, packer: Packer, out: Path, name: str, log: Path) -> None:
    """Run a program of other tools over the tarball. Raises StepError."""
    binds = (Bind(out, OUT, writable=True),)
    sandbox = Sandbox((packer.tools.path,), binds=binds, limits=context.policy.limits)
    argv = ("/bin/sh", "-c", _THROUGH, f"{OUT}/{PLAIN}", f"{OUT}/{name}", *packer.program)
    command = Command(argv, ENVIRONMENT, timeout=context.policy.phase_seconds)
    ended = stage_command(context, "pack", sandbox, command, log)
    if not ended.ok:
        what = f"{packer.program[0]} of the tools: {describe(ended)}"
        raise stage_failed(context, "pack", what, log)


def is_whole(ended: Ended, log: Path) -> bool:
    """Whether tar(1) packed everything as it is.

    It ends with status 1 when a file's ctime changed in between, and a new hard link to an inode of
    the store changes that. The content of a layer never changes, so nothing is wrong then.
    """
    if ended.ok:
        return True
    with open_log(log) as file:
        said = iter(partial(file.readline, LONGEST_LINE), b"")
        lines = (line.rstrip(b"\n") for line in said if not line.startswith(b"=== cloche: "))
        first = next(lines, b"")
        only_touched = all(line.endswith(TOUCHED) for line in chain([first], lines))
    return replace(ended, status=0).ok and ended.status == 1 and only_touched


def skeleton(context: BuildContext, layers: Sequence[Layer], workspace: Path) -> Path:
    """Directories of the names in `OWN`, with the mode and owner that the root has them with."""
    skeleton = make_directory(workspace, "skeleton")
    for name in OWN:
        path = make_directory(skeleton, name)
        for layer in (*context.inputs.base, *layers):
            place = layer.path / name
            if place.is_dir() and not place.is_symlink():
                info = place.stat()
                os.chown(path, info.st_uid, info.st_gid)
                path.chmod(stat.S_IMODE(info.st_mode))
    return skeleton


def place(source: Path, target: Path) -> None:
    """Show a file of the store as ``target``: linked where that can be, else copied. Atomic.

    A linked file has mode 0444, as it has in the store: it must not be changed in place.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        aside.unlink()
    try:
        os.link(source, aside)
    except OSError:
        shutil.copyfile(source, aside)
    aside.rename(target)
    with suppress(FileNotFoundError):
        aside.unlink()  # rename(2) does nothing where both are links to one file already
