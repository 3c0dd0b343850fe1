"""What the formats of images share: running the tools beside the machine's root."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.stages import stage_command, stage_failed
from cloche.composing.places import Places, look_of
from cloche.config.images import Image
from cloche.layers import SOURCE_DATE_EPOCH, Layer, Merged
from cloche.layers.merge import Node
from cloche.sandbox.base import Command, Ended, Sandbox
from cloche.sandbox.errors import ProgramError
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import ENVIRONMENT, describe

OUT = "/run/cloche/out"  # where the tools may write
GIVEN = "/run/cloche/given"  # their input besides the root
IMAGE, CONTENTS = "image", "contents"  # what a format leaves in OUT

_MAX_LINKS = 40  # as the kernel
_SHOWN = 400  # characters of a command in the log

#: Standard output to a file: its name is the first word, the command the others.
_INTO = 'exec > "$0"; exec "$@"'


@dataclass(frozen=True, slots=True)
class Imaging:
    """An image in the making.

    ``root`` are the layers of the machine's root, the bottom first, ``files`` those of the
    directories that its table names. ``out`` and ``given`` are `OUT` and `GIVEN` on the host.
    Numbers that are random elsewhere are derived from ``key``.
    """

    context: BuildContext
    image: Image
    root: tuple[Layer, ...]
    tools: Layer
    files: tuple[Layer, ...]
    out: Path
    given: Path
    sandbox: Sandbox
    log: Path
    key: str

    def run(self, *argv: str) -> None:
        """Run a program of the tools. Raises StepError."""
        if not (ended := self.ended(*argv)).ok:
            raise self.failed(f"{argv[0]}: {describe(ended)}")

    def run_into(self, file: str, *argv: str) -> None:
        """Run a program with its output in a file of `OUT`. Raises StepError."""
        self.run("/bin/sh", "-c", _INTO, f"{OUT}/{file}", *argv)

    def ended(self, *argv: str) -> Ended:
        """Run a program of the tools, and say how it ended. Raises StepError."""
        with self.log.open("ab") as stream:
            stream.write(f"=== cloche: {_shown(argv)}\n".encode(errors="surrogateescape"))
        timeout = self.context.policy.phase_seconds
        command = Command(argv, {**ENVIRONMENT, "MTOOLS_SKIP_CHECK": "1"}, timeout=timeout)
        try:
            return stage_command(self.context, "image", self.sandbox, command, self.log)
        except ProgramError as error:
            text = f"{argv[0]} not found in the seed {self.image.tools}: add its package there"
            raise self.failed(text) from error

    def failed(self, text: str) -> StepError:
        """The error for an image that cannot be made, with the end of its log."""
        return stage_failed(self.context, "image", f"{self.image.origin}: {text}", self.log)

    def made(self, name: str) -> Path:
        """A file in `OUT` to be read here: the tools are not trusted. Raises StepError."""
        path = self.out / name
        if not os.path.lexists(path) or not stat.S_ISREG(path.lstat().st_mode):
            raise self.failed(f"{name} is not a regular file")
        return path

    def number(self, name: str, bits: int) -> int:
        """A number for a purpose, always the same for this image."""
        digest = hashlib.sha256(f"{self.key} {name}".encode()).digest()
        return int.from_bytes(digest, "big") >> (256 - bits)

    def uuid(self, name: str) -> str:
        """A UUID for a purpose, in the form of a random one (RFC 9562, 5.4)."""
        return str(uuid.UUID(int=self.number(name, 128), version=4))

    def serial(self, name: str) -> str:
        """The serial number of a FAT, eight hexadecimal digits."""
        return f"{self.number(name, 32):08x}"

    def still(self, purpose: str) -> tuple[str, ...]:
        """The words before a program that asks for times and random numbers (faketime(1))."""
        time = datetime.fromtimestamp(SOURCE_DATE_EPOCH, UTC)
        seed = f"FAKERANDOM_SEED={self.number(purpose, 64):#x}"
        frozen = ("/usr/bin/faketime", "--exclude-monotonic", "-f", f"{time:%Y-%m-%d %H:%M:%S}")
        return ("/usr/bin/env", seed, *frozen)

    def has(self, path: str) -> bool:
        """Whether the tools have a file or directory, by its path without a slash."""
        return Merged([self.tools.path]).lookup(os.fsencode(path)) is not None

    def node(self, path: str) -> Node | None:
        """A file or directory of the machine's root, by its path without a slash."""
        return Merged([layer.path for layer in self.root]).lookup(os.fsencode(path))

    def in_root(self, path: str) -> bool:
        """Whether the machine's root has a file or directory, by its path without a slash."""
        return self.node(path) is not None

    def last(self, path: str) -> tuple[Merged, Node] | None:
        """The last content of a path in the root, even if a later layer has removed it."""
        layers = [layer.path for layer in self.root]
        for count in range(len(layers), 0, -1):
            merged = Merged(layers[:count])
            if node := merged.lookup(os.fsencode(path.strip("/"))):
                return merged, node
        return None

    def regular(self, path: str) -> Node | None:
        """As `last`, a regular file alone: links are followed, within the root."""
        layers = [layer.path for layer in self.root]
        for count in range(len(layers), 0, -1):
            if node := _followed(Merged(layers[:count]), path.strip("/")):
                return node if stat.S_ISREG(node.info.st_mode) else None
        return None


def _followed(merged: Merged, path: str) -> Node | None:
    """What a path of a root leads to."""
    places = Places(look_of(merged))
    for _ in range(_MAX_LINKS):
        real = places.place(path).real
        node = None if real is None else merged.lookup(os.fsencode(real))
        if node is None or not stat.S_ISLNK(node.info.st_mode):
            return node
        target = Path(os.fsdecode(node.origin)).readlink()
        path = os.path.normpath(Path("/", str(real)).parent / target).lstrip("/")
    return None


def _shown(argv: Sequence[str]) -> str:
    """A command for the log; some name hundreds of files."""
    text = " ".join(argv)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … ({len(argv)} words)"


def linked(node: Node, place: Path) -> None:
    """A regular file of a layer under another name, for tools that only read it."""
    source = os.fsdecode(node.origin)
    with suppress(OSError):
        os.link(source, place, follow_symlinks=False)
        return
    shutil.copyfile(source, place, follow_symlinks=False)
    os.utime(place, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))
