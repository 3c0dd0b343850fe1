"""Keeps what the tar in a GPKG cannot hold: FIFOs, extended attributes, holes in files.

Portage writes that tar with Python's tarfile, and refuses FIFOs when it reads one. So a list of
these goes into build-info, and with it into the package; the image is restored before Portage
merges it. A package without any of them has no list.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .protocol import Channel, Failed

#: In build-info; other programs treat it as another file of the VDB.
LIST = "CLOCHE_IMAGE"
#: Attributes that packages set; others come from the file system or the host.
OVERLAY = "user.overlay."
KEPT = ("security.capability", "system.posix_acl_access")
DIG = ("fallocate", "--dig-holes")
MOST = 50  # names in one warning


def put_aside(image: Path, build_info: Path, channel: Channel) -> None:
    """Write the list, and remove the FIFOs from the image. Raises Failed for a device.

    Reports to the host what Portage cannot merge at all.
    """
    fifos: dict[str, dict[str, int]] = {}
    attributes: dict[str, dict[str, str]] = {}
    sparse: list[str] = []
    lost: list[str] = []
    for path, status in _walk(image):
        name = path.relative_to(image).as_posix()
        mode = status.st_mode
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            text = f"/{name} is a device node, which Portage cannot merge from a binary package"
            raise Failed(phase="package", text=text)
        if stat.S_ISSOCK(mode):
            lost.append(f"/{name} (a socket)")
        elif stat.S_ISDIR(mode):
            lost += [f"/{name} ({each} of a directory)" for each in _attributes(path)]
        elif stat.S_ISFIFO(mode):
            fifos[name] = {
                "mode": stat.S_IMODE(mode),
                "uid": status.st_uid,
                "gid": status.st_gid,
                "mtime": int(status.st_mtime),
            }
        elif stat.S_ISREG(mode):
            if found := _attributes(path):
                attributes[name] = found
            if _has_holes(path, status.st_size):
                sparse.append(name)
    if lost:
        channel.event("lost", names=lost[:MOST])
    if fifos or attributes or sparse:
        content = {"fifos": fifos, "sparse": sorted(sparse), "xattrs": attributes}
        (build_info / LIST).write_text(json.dumps(content, sort_keys=True) + "\n")
    for name in fifos:
        with _time_kept((image / name).parent):
            (image / name).unlink()


def taken(build_info: Path) -> dict[str, Any]:
    """Read the list of an unpacked package and remove it, so that it is not in the VDB."""
    file = build_info / LIST
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    file.unlink()
    return dict(content)


def restore(image: Path, listed: dict[str, Any]) -> None:
    """Restore an unpacked image to what was built. Raises Failed."""
    try:
        for name, its in sorted(listed.get("fifos", {}).items()):
            path = image / name
            with _time_kept(path.parent):
                os.mkfifo(path)
            os.chown(path, its["uid"], its["gid"])
            path.chmod(its["mode"])
            os.utime(path, (its["mtime"], its["mtime"]))
        for name, values in sorted(listed.get("xattrs", {}).items()):
            for key, value in values.items():
                os.setxattr(image / name, key, base64.b64decode(value), follow_symlinks=False)
    except OSError as error:
        text = f"/{name} cannot be created as in the package: {error.strerror}"
        raise Failed(phase="unpack", text=text) from error


def dig(root: Path, listed: dict[str, Any]) -> None:
    """Make holes again in merged files that had some; their content does not change."""
    for name in listed.get("sparse", ()):
        path = root / name
        if path.is_file() and not path.is_symlink():
            with (
                _time_kept(path),
                contextlib.suppress(FileNotFoundError),
            ):  # fallocate is not installed
                subprocess.run([*DIG, "--", str(path)], check=False)


def _walk(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every name below a directory, in order."""
    for path in sorted(top.iterdir()):
        status = path.lstat()
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(path)


def _attributes(path: Path) -> dict[str, str]:
    found = {}
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        if key in KEPT or (key.startswith("user.") and not key.startswith(OVERLAY)):
            value = os.getxattr(path, key, follow_symlinks=False)
            found[key] = base64.b64encode(value).decode("ascii")
    return found


def _has_holes(path: Path, size: int) -> bool:
    if not size:
        return False
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return os.lseek(fd, 0, os.SEEK_HOLE) < size
    finally:
        os.close(fd)


@contextlib.contextmanager
def _time_kept(path: Path) -> Iterator[None]:
    before = path.stat()
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
