"""What is asked of a target over ssh: its description, the listing of its root, its files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cloche.archives.tarball import members
from cloche.archives.tarformat import Member, Read
from cloche.errors import ClocheError, Exit
from cloche.seeds.directory import NOT_OF_A_SYSTEM, SHADOWS
from cloche.store.tree import Entry
from cloche.targets.client_program import client_program
from cloche.targets.connection import Connection
from cloche.targets.description import LARGEST, Description, decode_description
from cloche.targets.listing import MOST, Listing, changed, decode_listing

_CLIENT = Path(__file__).resolve().parent.parent / "client"
_METADATA = 1 << 20  # bytes that describe one member of a tarball
_CHUNK = 1 << 20
#: Not part of the root that is made: what builds see of it comes with the description.
_ELSEWHERE = ("etc/portage", "lost+found")
#: GNU tar itself notices a program that compresses and fails.
_TAR = """\
command -v tar >/dev/null || exit 127
how=--gzip; [ "$1" = zstd ] && command -v zstd >/dev/null && how='--use-compress-program=zstd -1'
exec tar --create "$how" --directory=/ --null --no-unquote --no-recursion --files-from=- \
--format=gnu --numeric-owner --hard-dereference"""


def describe(connection: Connection) -> Description:
    """What identifies the target, as `cloche-client describe` has it. Raises ClocheError."""
    words = ("python3", "-", "describe", "--savedconfig")
    return decode_description(connection.output(words, client_program(), most=2 * LARGEST))


def list_root(connection: Connection, leave_out: Sequence[str] = ()) -> bytes:
    """The listing of the target's root, for `decode_listing`. Raises ClocheError.

    What holds secrets or belongs to users stays out, as for a seed that is the running system;
    ``leave_out`` are more paths.
    """
    request = {
        "apart": [_latin(name) for name in left_out(leave_out)],
        "shadows": [_latin(name) for name in SHADOWS],
    }
    script = (_CLIENT / "root_listing.py").read_bytes()
    words = ("python3", "-", json.dumps(request))
    return connection.output(words, script, most=MOST)


def left_out(more: Sequence[str]) -> tuple[str, ...]:
    """Paths below the root whose content never leaves a target."""
    return (*NOT_OF_A_SYSTEM, *_ELSEWHERE, *(name.strip("/") for name in more))


def read_listing(connection: Connection, leave_out: Sequence[str] = ()) -> tuple[bytes, Listing]:
    """The listing of the target's root, packed and read. Raises ClocheError."""
    packed = list_root(connection, leave_out)
    return packed, decode_listing(packed, connection.address)


def fetch(connection: Connection, wanted: Sequence[Entry], room: Path) -> Mapping[bytes, Path]:
    """Fetch files in one stream into a new directory; return where each one is.

    Each must be as the listing has it. Raises ClocheError.
    """
    room.mkdir()
    if not wanted:
        return {}
    where = connection.address
    names = b"".join(b"./%s\0" % entry.path for entry in wanted)
    packed = room / "packed"
    how = "zstd" if shutil.which("zstd") else "gzip"
    try:
        with (
            connection.started(("sh", "-c", _TAR, "sh", how), names) as stream,
            packed.open("xb") as file,
        ):
            while data := stream.read(_CHUNK):
                file.write(data)
    except ClocheError as error:
        if "changed as we read" in error.what or "No such file" in error.what:
            name = error.what.removeprefix("tar: ").split(":")[0].removeprefix("./")
            raise changed(os.fsencode(name), where) from error
        raise
    found = dict(_taken(packed, {entry.path: entry for entry in wanted}, room, where))
    packed.unlink()
    if missing := [entry.path for entry in wanted if entry.path not in found]:
        raise changed(missing[0], where)
    return found


def _taken(
    packed: Path, wanted: Mapping[bytes, Entry], room: Path, where: object
) -> Iterator[tuple[bytes, Path]]:
    """Write the members of a tarball, none of which but those asked for may be there."""
    left = dict(wanted)
    for member, read in members(packed, _METADATA):
        name = member.name.removeprefix(b"./")
        entry = left.pop(name, None)
        if entry is None:
            what = f"its tar sent “{os.fsdecode(name)}”, which was not asked for"
            raise ClocheError(what, where=where, status=Exit.FAILED)
        seconds = member.mtime_ns // 10**9
        if (member.type, member.size, seconds) != ("file", entry.size, entry.mtime_ns // 10**9):
            raise changed(name, where)
        target = room / str(len(left))
        _write(member, read, target)
        yield name, target


def _write(member: Member, read: Read, target: Path) -> None:
    with target.open("xb") as file:
        for offset, length in member.extents:
            file.seek(offset)
            end = offset + length
            while file.tell() < end and (data := read(min(_CHUNK, end - file.tell()))):
                file.write(data)
        file.truncate(member.size)


def _latin(name: str) -> str:
    return os.fsencode(name).decode("latin-1")
