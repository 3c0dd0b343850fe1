"""Why a tarball, or a directory, was refused. ``source`` is the file; names are as it has them."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

import os
from pathlib import Path

from cloche.errors import ClocheError, Exit


class ImportRefusedError(ClocheError):
    """Base of them all: ``source`` holds ``name``, which is refused. Nothing of it is used."""

    def __init__(self, source: Path, name: bytes, *data: object) -> None:
        super().__init__(source, name, *data)
        self.source = source
        self.name = name

    @property
    def where(self) -> str:
        return f"{self.source}: {os.fsdecode(self.name)}" if self.name else str(self.source)


class MalformedTarballError(ImportRefusedError):
    """Not a tarball, cut off, or damaged; ``why`` says in what, ``offset`` in bytes where."""

    def __init__(self, source: Path, name: bytes, why: str, offset: int) -> None:
        super().__init__(source, name, why, offset)
        self.why = why
        self.offset = offset

    @property
    def what(self) -> str:
        return f"this is not a whole tarball: {self.why}, at byte {self.offset}"

    @property
    def todo(self) -> str:
        return "get it again, and compare its digest"


class UnsupportedMemberError(ImportRefusedError):
    """A kind of member that no tree can hold, or none that we know; ``kind`` is its type flag."""

    def __init__(self, source: Path, name: bytes, kind: bytes) -> None:
        super().__init__(source, name, kind)
        self.kind = kind

    @property
    def what(self) -> str:
        return f"a member of type {self.kind!r} cannot be unpacked"


class UnsafeNameError(ImportRefusedError):
    """A name that leads out of the tree, or none at all; ``why`` says which of these."""

    def __init__(self, source: Path, name: bytes, why: str) -> None:
        super().__init__(source, name, why)
        self.why = why

    @property
    def what(self) -> str:
        return f"the name {self.why}"

    @property
    def todo(self) -> str:
        return "do not trust what it comes from"


class ThroughLinkError(ImportRefusedError):
    """A name whose way leads through ``parent``, which is a link or no directory."""

    def __init__(self, source: Path, name: bytes, parent: bytes) -> None:
        super().__init__(source, name, parent)
        self.parent = parent

    @property
    def what(self) -> str:
        return f"the name leads through {os.fsdecode(self.parent)}, which is not a directory"


class LinkTargetError(ImportRefusedError):
    """A hard link to ``target``, which is no file that came before it."""

    def __init__(self, source: Path, name: bytes, target: bytes) -> None:
        super().__init__(source, name, target)
        self.target = target

    @property
    def what(self) -> str:
        return f"a hard link to {os.fsdecode(self.target)}, which is not a file of the tree so far"


class ClashError(ImportRefusedError):
    """A directory and something else have the same name."""

    @property
    def what(self) -> str:
        return "the name comes twice, as a directory and as something else"


class DeviceRefusedError(ImportRefusedError):
    """A device node, where none is wanted; 0:0 is overlayfs's mark that a name is gone."""

    def __init__(self, source: Path, name: bytes, major: int, minor: int) -> None:
        super().__init__(source, name, major, minor)
        self.major = major
        self.minor = minor

    @property
    def what(self) -> str:
        return f"a device node ({self.major}:{self.minor})"

    @property
    def todo(self) -> str:
        return 'import it with devices="skip" to leave these out'


class AttributeRefusedError(ImportRefusedError):
    """An extended attribute that the file system does not take; ``why`` are the kernel's words."""

    status = Exit.HOST

    def __init__(self, source: Path, name: bytes, attribute: bytes, why: str) -> None:
        super().__init__(source, name, attribute, why)
        self.attribute = attribute
        self.why = why

    @property
    def what(self) -> str:
        return f"the extended attribute {os.fsdecode(self.attribute)} cannot be set: {self.why}"


class LimitError(ImportRefusedError):
    """More of something than `Limits` allow; ``limit`` is the field's name, ``allowed`` its value.

    ``found`` is how much it is, as far as it was read.
    """

    def __init__(self, source: Path, name: bytes, limit: str, found: int, allowed: int) -> None:
        super().__init__(source, name, limit, found, allowed)
        self.limit = limit
        self.found = found
        self.allowed = allowed

    @property
    def what(self) -> str:
        return f"over the limit `{self.limit}`: {self.found}, and {self.allowed} are allowed"

    @property
    def todo(self) -> str:
        return f"raise `{self.limit}` if you trust where it comes from"


class NoUnpackerError(ImportRefusedError):
    """The program that unpacks this kind of compression is not there."""

    status = Exit.HOST

    def __init__(self, source: Path, program: str) -> None:
        super().__init__(source, b"", program)
        self.program = program

    @property
    def what(self) -> str:
        return f"there is no program `{self.program}` to unpack this with"

    @property
    def todo(self) -> str:
        return f"install {self.program}"
