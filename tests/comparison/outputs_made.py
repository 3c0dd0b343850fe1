"""Makes outputs for tests: tarballs with members of any owner, mode and attribute; ELF files."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.comparison.outputs import read_output
from cloche.errors import ClocheError


@dataclass(frozen=True)
class Name:
    """A member of a tarball."""

    type: bytes = tarfile.REGTYPE
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, str] = field(default_factory=dict)


Names = Mapping[str, Name]


def file(content: bytes | str = b"", mode: int = 0o644, **more: object) -> Name:
    content = content.encode() if isinstance(content, str) else content
    return Name(content=content, mode=mode, **more)  # type: ignore[arg-type]


def directory(mode: int = 0o755, **more: object) -> Name:
    return Name(tarfile.DIRTYPE, mode=mode, **more)  # type: ignore[arg-type]


def link(target: str) -> Name:
    return Name(tarfile.SYMTYPE, target=target, mode=0o777)


def hard_link(target: str) -> Name:
    return Name(tarfile.LNKTYPE, target=target)


def device(major: int, minor: int) -> Name:
    return Name(tarfile.CHRTYPE, device=(major, minor))


def package(cpv: str, *owned: str, **records: str) -> dict[str, Name]:
    """The records of a package; ``owned`` are lines of CONTENTS, or names of files."""
    lines = [each if " " in each else f"obj /{each} {'0' * 32} 1" for each in owned]
    values = {"SLOT": "0", "BUILD_TIME": "1", **records, "CONTENTS": "\n".join([*lines, ""])}
    place = f"var/db/pkg/{cpv}"
    return {place: directory(), **{f"{place}/{key}": file(text) for key, text in values.items()}}


def tarball(path: Path, names: Names) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, each in names.items():
            member = tarfile.TarInfo(f"./{name}" if name else ".")
            member.type, member.mode, member.linkname = each.type, each.mode, each.target
            member.uid, member.gid, member.size = each.uid, each.gid, len(each.content)
            member.devmajor, member.devminor = each.device
            member.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in each.xattrs.items()}
            tar.addfile(member, io.BytesIO(each.content))
    return path


def refusal(path: Path) -> str:
    """Why an output is refused; empty if it is read. Any other exception fails the test."""
    try:
        read_output(path)
    except ClocheError as error:
        return str(error)
    return ""


_NEEDED, _STRTAB, _SONAME, _RUNPATH = 1, 5, 14, 29


def elf(
    *,
    soname: str = "",
    needed: tuple[str, ...] = (),
    runpath: str = "",
    interpreter: str = "",
    machine: int = 62,
    build_id: bytes = b"",
    code: bytes = b"",
) -> bytes:
    """A shared library of 64 bits, as ld.so reads it: three segments, a build ID in a section."""
    strings, entries = bytearray(b"\0"), []
    for tag, text in [(_NEEDED, n) for n in needed] + [(_SONAME, soname), (_RUNPATH, runpath)]:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    names = b"\0.note.gnu.build-id\0.shstrtab\0"
    parts, at = {}, 64 + 3 * 56
    for key, data in (
        ("strings", bytes(strings)),
        ("interpreter", interpreter.encode() + b"\0"),
        ("dynamic", b"".join(struct.pack("<qQ", *e) for e in [*entries, (_STRTAB, 0), (0, 0)])),
        ("note", build_id), ("names", names), ("code", code),
    ):  # fmt: skip
        parts[key] = (at, data)
        at += len(data)
    place, dynamic = parts["dynamic"]
    fixed = dynamic[: len(entries) * 16] + struct.pack("<qQ", _STRTAB, parts["strings"][0])
    parts["dynamic"] = (place, fixed + dynamic[len(fixed) :])
    segments = [(1, 0, at), (2, place, len(dynamic))]
    segments += [(3, parts["interpreter"][0], len(interpreter) + 1)] if interpreter else [(0, 0, 0)]
    headers = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, start, start, 0, size, size, 8)
        for kind, start, size in segments
    )
    sections = struct.pack("<IIQQQQIIQQ", *(0,) * 10)
    for name, kind, key in ((1, 7, "note"), (20, 3, "names")):
        start, data = parts[key]
        sections += struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, start, len(data), 0, 0, 1, 0)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    start = struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, at, 0, 64, 56, 3, 64, 3, 2)
    return ident + start + headers + b"".join(data for _, data in parts.values()) + sections
