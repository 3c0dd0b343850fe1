#!/usr/bin/env python3
"""Lists what a machine's root holds, for `cloche build --target`; it only reads.

It is run from standard input: ``ssh HOST python3 - REQUEST < root_listing.py``, with Python 3.9 or
later. REQUEST is JSON: ``apart`` are paths that stay on the machine, ``shadows`` files from which
passwords are taken out here, ``root`` is where to begin. The answer is compressed by zlib: a line
of JSON for each name, and a last one. Names are written as Latin-1, so that any byte can be sent.
"""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH110, PTH115, PTH116, PTH118

from __future__ import annotations

import base64
import json
import os
import re
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

#: File systems that belong to the machine. Others are shown as empty directories.
OWN = frozenset(
    (
        *("bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay"),
        *("reiserfs", "squashfs", "xfs", "zfs"),
    )
)
#: Below /var is what services and users keep. Of its files only these and those of packages count.
KEPT_OF_VAR = ("var/db/pkg", "var/lib/gentoo", "var/lib/portage")
_CAPABILITY = "security.capability"


class Listing:
    """Walks a root and writes its lines."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.root = os.fsencode(request.get("root", "/")).rstrip(b"/") or b"/"
        self.apart = {name.encode("latin-1") for name in request["apart"]}
        self.apart |= set(foreign_mounts(self.root))
        self.shadows = {name.encode("latin-1") for name in request["shadows"]}
        self.packer = zlib.compressobj(6)
        self.count = 0
        self.closed: list[bytes] = []
        self.owned = owned_of_var(os.path.join(self.root, b"var/db/pkg"))

    def write(self, *row: Any) -> None:
        """Write a line without the empty fields at its end."""
        fields = list(row)
        while fields and fields[-1] in (0, "", [], None):
            fields.pop()
        line = json.dumps(fields, separators=(",", ":")) + "\n"
        sys.stdout.buffer.write(self.packer.compress(line.encode()))
        self.count += 1

    def run(self) -> None:
        """List everything."""
        began = int(time.time())
        self.name(b"", os.stat(self.root), self.root)
        self.directory(b"", self.root)
        closed = [name.decode("latin-1") for name in self.closed]
        last = {"count": self.count, "began": began, "closed": closed[:100]}
        self.write("", "end", {**last, "closed_count": len(closed)})
        sys.stdout.buffer.write(self.packer.flush())
        sys.stdout.buffer.flush()

    def directory(self, path: bytes, place: bytes) -> None:
        """List what is in a directory."""
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            self.closed.append(path)
            return
        if os.path.exists(os.path.join(place, b"profiles/repo_name")):
            return  # an ebuild repository
        for entry in entries:
            name = path + b"/" + entry.name if path else entry.name
            try:
                info = entry.stat(follow_symlinks=False)
                inside = stat.S_ISDIR(info.st_mode)
                if not inside and (name in self.apart or self.is_data(name)):
                    continue
                self.name(name, info, entry.path)
            except OSError:  # gone meanwhile, or not for this user
                self.closed.append(name)
                continue
            if inside and name not in self.apart:
                self.directory(name, entry.path)

    def is_data(self, name: bytes) -> bool:
        """Whether a file is below /var and no package's."""
        if not name.startswith(b"var/") or name in self.owned:
            return False
        return not any(name.startswith(kept.encode() + b"/") for kept in KEPT_OF_VAR)

    def name(self, path: bytes, info: os.stat_result, place: bytes) -> None:
        """Write one name: path, kind, mode, uid, gid, mtime, size, ctime, inode, target, xattrs,
        content."""
        kind = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}.get(
            stat.S_IFMT(info.st_mode)
        )
        if kind is None:
            return
        size = ctime = 0
        inode = target = ""
        content = None
        if kind == "f":
            size, ctime = info.st_size, int(info.st_ctime)
            if path in self.shadows:
                text = without_passwords(place)
                size, content = len(text), base64.b64encode(text).decode()
            elif not os.access(place, os.R_OK):
                self.closed.append(path)
                return
        if kind == "l":
            target = os.readlink(place).decode("latin-1")
        if kind != "d" and info.st_nlink > 1:
            inode = f"{info.st_dev:x}:{info.st_ino:x}"
        self.write(
            path.decode("latin-1"), kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid,
            int(info.st_mtime // 1), size, ctime, inode, target, xattrs(place), content,
        )  # fmt: skip


def xattrs(place: bytes) -> list[list[str]]:
    """Capabilities, ACLs and the user's own attributes of a name."""
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError:
        return []
    found = []
    for name in sorted(names):
        if name.startswith("user.overlay.") or not (
            name == _CAPABILITY or name.startswith(("user.", "system.posix_acl_"))
        ):
            continue
        value = os.getxattr(place, name, follow_symlinks=False)
        found.append([os.fsencode(name).decode("latin-1"), base64.b64encode(value).decode()])
    return found


def without_passwords(place: bytes) -> bytes:
    """A shadow(5) or gshadow(5) with every password locked."""
    lines = []
    with open(place, "rb") as file:
        for line in file.read().splitlines():
            fields = line.split(b":")
            if len(fields) > 1 and not fields[1].startswith((b"!", b"*")):
                fields[1] = b"!"
            lines.append(b":".join(fields) + b"\n")
    return b"".join(lines)


def foreign_mounts(root: bytes) -> Iterator[bytes]:
    """Mount points of file systems that are not the machine's own, relative to its root."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    above = root.rstrip(b"/") + b"/"
    for line in lines:
        before, _, after = line.partition(b" - ")
        point = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), before.split(b" ")[4])
        if after.split(b" ")[0].decode() not in OWN and point.startswith(above):
            yield point[len(above) :]


def owned_of_var(vdb: bytes) -> set[bytes]:
    """The files below /var that packages own."""
    found = set()
    for category in scan(vdb):
        for package in scan(category):
            try:
                with open(os.path.join(package, b"CONTENTS"), "rb") as file:
                    lines = file.read().split(b"\n")
            except OSError:
                continue
            for line in lines:
                if line.startswith(b"obj /var/"):
                    found.add(line[5:].rsplit(b" ", 2)[0])
                elif line.startswith(b"sym /var/"):
                    found.add(line[5:].split(b" -> ", 1)[0])
    return found


def scan(place: bytes) -> list[bytes]:
    """The directories in a directory; none if it does not exist."""
    try:
        with os.scandir(place) as found:
            return [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


if __name__ == "__main__":
    Listing(json.loads(sys.argv[1])).run()
