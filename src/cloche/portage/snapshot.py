"""Normalised copies of repositories, and a quick check for changes."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import Origin
from cloche.config.files import VCS_DIRS
from cloche.layers import SOURCE_DATE_EPOCH
from cloche.portage.repository import RepositoryError

EPOCH: Final = SOURCE_DATE_EPOCH
_CHUNK: Final = 1 << 20  # bytes
_LEFTOVER: Final = re.compile(r".*~|\.#.*|#.*#|\..*\.sw[a-p]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or symbolic link of a repository, its name relative to the root."""

    name: str
    status: os.stat_result


def entries(repo: Path) -> Iterator[Entry]:
    """All names of a repository, parents before children, otherwise unordered.

    Left out: version control, editors' backups, and hidden names at the top (``.github``). Raises
    `RepositoryError` for anything but files, directories and symbolic links.
    """
    stack = [""]
    while stack:
        above = stack.pop()
        try:
            with os.scandir(repo / above) as found:
                children = list(found)
        except OSError as error:
            origin = Origin(repo / above)
            raise RepositoryError(origin, f"cannot be read: {error.strerror}") from error
        for child in children:
            if child.name in VCS_DIRS or _LEFTOVER.fullmatch(child.name):
                continue
            if not above and child.name.startswith("."):
                continue
            if not child.name.isprintable():
                raise RepositoryError(
                    Origin(repo / above),
                    f"holds a name that is not printable UTF-8: {child.name!a}",
                    "rename it",
                )
            name = f"{above}/{child.name}" if above else child.name
            status = child.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                stack.append(name)
            elif not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise RepositoryError(
                    Origin(repo / name), "neither file, directory nor symbolic link", "remove it"
                )
            yield Entry(name, status)


def fingerprint(repo: Path) -> str:
    """SHA-256 (hex) over names and inode data, which is equal if no file has changed since.

    Contents are not read. ctime is included, so that a file restored with its old mtime and size
    still counts as changed.
    """
    lines = [
        f"{entry.name}\0{s.st_mode}\0{s.st_size}\0{s.st_mtime_ns}\0{s.st_ctime_ns}\0{s.st_ino}"
        f"\0{s.st_dev}"
        if not stat.S_ISDIR((s := entry.status).st_mode)
        else f"{entry.name}/"
        for entry in entries(repo)
    ]
    body = "\0\0".join(sorted(lines))
    return hashlib.sha256(
        f"cloche fingerprint 1\0{repo}\0{body}".encode(errors="surrogateescape")
    ).hexdigest()


def snapshot(repo: Path, destination: Path, *, consume: bool = False) -> int:
    """Copy a repository into ``destination`` (new) in normal form; return the number of files.

    Modes become 0644 or 0755, owners the caller's (root, for cloche), times `EPOCH`. With
    ``consume`` files are moved and ``repo`` is unusable afterwards; both must be on one file
    system. Raises `RepositoryError` for a symbolic link that leads out of the repository.
    """
    root = repo.resolve()
    destination.mkdir(mode=0o755)
    directories = [str(destination)]
    count = 0
    for entry in entries(root):
        source, target = f"{root}/{entry.name}", f"{destination}/{entry.name}"
        mode = entry.status.st_mode
        if stat.S_ISDIR(mode):
            os.mkdir(target)  # noqa: PTH102 - a hundred thousand calls, so strings
            directories.append(target)
            continue
        count += 1
        if stat.S_ISLNK(mode):
            Path(target).symlink_to(_inside(Path(source), root))
            os.utime(target, (EPOCH, EPOCH), follow_symlinks=False)
            continue
        wanted = 0o755 if mode & 0o111 else 0o644
        if consume and entry.status.st_nlink == 1:
            _move(source, target, wanted)
        else:
            _copy(source, target, wanted)
    for directory in reversed(directories):
        Path(directory).chmod(0o755)
        os.utime(directory, (EPOCH, EPOCH))
    return count


def _move(source: str, target: str, mode: int) -> None:
    """Move a file of a private directory."""
    os.rename(source, target)  # noqa: PTH104
    os.chown(target, os.geteuid(), os.getegid())
    os.chmod(target, mode)  # noqa: PTH101
    os.utime(target, (EPOCH, EPOCH))


def _copy(source: str, target: str, mode: int) -> None:
    """Copy a file's bytes, without following a link that replaced it."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            while chunk := os.read(reader, _CHUNK):
                # A short write to a regular file means a full disk; the next write fails.
                while chunk:
                    chunk = chunk[os.write(writer, chunk) :]
            os.fchmod(writer, mode)
            os.utime(writer, (EPOCH, EPOCH))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _inside(link: Path, root: Path) -> str:
    """The target of a relative symbolic link that stays inside the repository."""
    target = os.readlink(link)  # noqa: PTH115 - the text as it is, which Path would tidy up
    # Both as text and resolved: `..` after another link leads elsewhere.
    written = Path(os.path.normpath(link.parent / target))
    followed = Path(os.path.realpath(link))
    inside = written.is_relative_to(root) and followed.is_relative_to(root)
    if Path(target).is_absolute() or not inside:
        raise RepositoryError(
            Origin(link),
            f"a symbolic link that leads out of the repository, to {target}",
            "put a copy into the repository",
        )
    return target
