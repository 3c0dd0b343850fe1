"""A Gentoo system, read by `client/system_listing.py` here or over ssh; untrusted input."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError, Exit
from cloche.targets.connection import Connection

_READER = Path(__file__).resolve().parent.parent / "client" / "system_listing.py"
_PACKED = 64 << 20  # bytes of an answer
_UNPACKED = 256 << 20
_PATIENCE = 300  # seconds
_NAME = r"\A(?!/)(?!(.*/)?\.{1,2}(/|\Z))(?!.*//)[^\x00]+\Z"

Name = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=4096)]


class Person(msgspec.Struct, frozen=True, array_like=True):
    """A user as passwd(5) and group(5) have one; ``groups`` are others than its own ``group``."""

    name: str
    uid: int
    group: str
    groups: tuple[str, ...]
    comment: str
    home: str
    shell: str


class System(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of a system. All names are paths of its root, without the first slash.

    ``files`` are in base64. ``closed`` are names that could not be read, with the reason,
    ``secret`` those that were not opened, ``redacted`` files of which passwords were taken out.
    ``profile`` is where make.profile leads to, ``kernel`` the file with the kernel's
    configuration. ``owned`` are services that a package brings, ``links`` those that are switched
    on, ``others`` what else lies where services are switched on. ``users`` are people, ``groups``
    the GIDs of groups that were made for them.
    """

    portage: bool
    files: Mapping[Name, str] = {}
    links: Mapping[Name, str] = {}
    closed: Mapping[Name, str] = {}
    secret: tuple[Name, ...] = ()
    redacted: tuple[Name, ...] = ()
    packages: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    others: tuple[Name, ...] = ()
    users: tuple[Person, ...] = ()
    groups: Mapping[str, int] = {}
    profile: str = ""
    chost: str = ""
    kernel: str = ""
    timezone: str = ""

    def content(self, name: str) -> bytes:
        """The content of a file; empty if it is not there."""
        return base64.b64decode(self.files.get(name, ""))

    def text(self, name: str) -> str:
        """The text of a file."""
        return self.content(name).decode(errors="replace")

    def below(self, top: str) -> dict[str, bytes]:
        """The files below a directory, by their paths there."""
        names = (name for name in self.files if name.startswith(f"{top}/"))
        return {name.removeprefix(f"{top}/"): self.content(name) for name in names}


def read_directory(directory: Path) -> System:
    """The system in a directory. Raises ClocheError."""
    if not directory.is_dir():
        raise ClocheError("no such directory", where=directory, todo=_WHICH)
    request = json.dumps({"root": str(directory.absolute())})
    words = [sys.executable, "-I", str(_READER), request]
    try:
        done = subprocess.run(words, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        what = f"reading it took more than {_PATIENCE} seconds"
        raise ClocheError(what, where=directory, status=Exit.HOST) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        what = f"cannot be read: {said[-1] if said else f'status {done.returncode}'}"
        raise ClocheError(what, where=directory, status=Exit.HOST)
    return decode_system(done.stdout, directory)


def read_remote(connection: Connection) -> System:
    """The system at the other end of a connection. Raises ClocheError."""
    words = ("python3", "-", json.dumps({"root": "/"}))
    answer = connection.output(words, _READER.read_bytes(), most=_PACKED)
    return decode_system(answer, connection.address)


_WHICH = "name the root of a Gentoo system: / for this one, or ssh://USER@HOST"


def decode_system(packed: bytes, where: object) -> System:
    """What the reader wrote; ``where`` is the system's name for errors. Raises ClocheError."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, _UNPACKED)
        if not unpacker.eof:
            raise zlib.error("it is cut off or too large")
        found = msgspec.json.decode(text, type=System)
        for each in found.files.values():
            base64.b64decode(each, validate=True)
    except (zlib.error, *NOT_DECODABLE) as error:
        what = f"the listing of its configuration is malformed: {error}"
        raise ClocheError(what, where=where, status=Exit.FAILED) from error
    if not found.portage:
        raise ClocheError("no /etc/portage: not a Gentoo system", where=where, todo=_WHICH)
    if not found.packages:
        what = "no installed packages in /var/db/pkg: Portage has not made this root"
        raise ClocheError(what, where=where, todo=_WHICH)
    return found
