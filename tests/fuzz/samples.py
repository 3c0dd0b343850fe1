"""Valid data that fuzzing starts from, where it is longer than a few lines."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
from collections.abc import Sequence

LOCK = b"""version = 2
[seeds.a]
type = "debian"
suite = "bookworm"
arch = "amd64"
packages = [{name = "gcc", version = "4:12", arch = "amd64", sha256 = "aa"}]
portage = {version = "3.0", sha256 = "bb"}
[seeds.b]
type = "stage3"
arch = "amd64"
flavour = "openrc"
file = "stage3.tar.xz"
size = 3
digests = {SHA512 = "cc"}
[repos.local]
type = "path"
tree = "dd"
[machines.m]
seed = "a"
profile = "local:default"
config = "ee"
packages = ["a/b-1::local"]
distfiles = [{name = "x.tar", size = 1, digest = "BLAKE2B:ff"}]
"""
PROJECT = b"""[seeds.debian]
type = "debian"
suite = "bookworm"
packages = ["bison"]
[repos.local]
path = "repo"
priority = 5
[store]
path = "s"
[build]
jobs = 2
phase_timeout = "2h"
"""
MACHINE = b"""seed = "debian"
profile = "local:default"
portage = ["base"]
packages = ["a/b", "=c/d-1.2-r1:0::local[x,-y]"]
[output]
stage4 = true
[limits]
memory = "2G"
"""


def made_tar(kind: int) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=kind) as tar:
        for name, type_ in (("d", b"5"), ("d/" + "n" * 120, b"0"), ("l", b"2"), ("h", b"1")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type_, "d/x" if type_ in b"12" else ""
            member.size = 5 if type_ == b"0" else 0
            if kind == tarfile.PAX_FORMAT:
                member.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "1.5"}
            tar.addfile(member, io.BytesIO(b"12345"))
    return sink.getvalue()


def made_gpkg() -> bytes:
    members = {"gpkg-1": b"", "metadata.tar.zst": b"m", "image.tar.zst": b"i"}
    lines = [
        f"DATA {name} {len(data)} SHA512 {hashlib.sha512(data).hexdigest()}\n"
        for name, data in members.items()
    ]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {**members, "Manifest": "".join(lines).encode()}.items():
            member = tarfile.TarInfo(f"a-1/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def made_elf(order: str) -> bytes:
    """A shared library of 32 bits; ``order`` is "<" or ">", as struct has them."""
    strings = b"\0libx.so.1\0$ORIGIN\0"
    dynamic = struct.pack(f"{order}10I", 1, 1, 29, 11, 5, 0x1100, 14, 1, 0, 0)
    headers = b"".join(
        struct.pack(f"{order}8I", kind, at, address, 0, size, size, 4, 4)
        for kind, at, address, size in (
            (1, 0, 0x1000, 0x200), (2, 0x180, 0x1180, len(dynamic)), (3, 0x140, 0x1140, 8),
        )
    )  # fmt: skip
    ident = b"\x7fELF\x01" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    start = struct.pack(f"{order}HHIIIIIHHHHHH", 3, 20, 1, 0, 52, 0x200, 0, 52, 32, 3, 40, 2, 1)
    sections = struct.pack(f"{order}20I", *(0,) * 10, 1, 3, 0, 0, 0x100, len(strings), *(0,) * 4)
    whole = bytearray(0x200 + len(sections))
    for at, part in ((0, ident + start), (52, headers), (0x100, strings), (0x140, b"/lib/ld\0"),
                     (0x180, dynamic), (0x200, sections)):  # fmt: skip
        whole[at : at + len(part)] = part
    return bytes(whole)


def parts(data: bytes, number: int) -> Sequence[bytes]:
    """Several files out of one input, between lines of %%."""
    found = data.split(b"\n%%\n", number - 1)
    return [*found, *[b""] * (number - len(found))]
