"""Reads files of a project, which are untrusted input.

A project may come from an unknown repository: a symbolic link must not bring a file of the host
into a build, a FIFO must not block, and a huge file must not fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloche.config.errors import ConfigError, Origin, unwritable
from cloche.errors import Exit

TEXT_LIMIT = 1 << 20  # bytes; machine files, make.conf and the like
FILE_LIMIT = 16 << 20  # bytes; a patch or a saved kernel configuration may be large
TREE_LIMIT = 10_000  # names below one directory, through links too
TREE_BYTES = 128 << 20  # of all files below one directory
_DEPTH_LIMIT = 32

# Portage's own list (lib/portage/const.py, VCS_DIRS).
VCS_DIRS = frozenset({"CVS", "RCS", "SCCS", ".bzr", ".git", ".hg", ".svn"})


def read_bytes(path: Path, root: Path, limit: int = FILE_LIMIT) -> bytes:
    """The content of a regular file inside ``root``; symbolic links may not lead out of it.

    A link to ``/dev/null`` counts as an empty file, by which portage(5) disables a patch.
    Raises `ConfigError`.
    """
    origin = Origin(path)
    try:
        real = path.resolve(strict=True)
        if str(real) == os.devnull:
            return b""
        if not real.is_relative_to(root.resolve()):
            raise ConfigError(
                origin, f"leads out of the project, to {real}", "put a copy into the project"
            )
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "symbolic links in a circle"
        status = Exit.HOST if isinstance(error, PermissionError) else None
        raise ConfigError(origin, f"cannot be read: {reason}", status=status) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigError(origin, "not a regular file")
    with open(descriptor, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ConfigError(origin, f"larger than {limit >> 20} MiB", "check the file")
    return content


def decode(content: bytes, path: Path) -> str:
    """The text of a UTF-8 file. Raises `ConfigError` with the line of the first wrong byte."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise ConfigError(
            Origin(path, line), f"not UTF-8 (byte 0x{byte:02x})", "save the file as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError(Origin(path, line), "holds a NUL byte", "this is not a text file")
    return text


def check_utf8(text: str, origin: Origin) -> None:
    """Check that a text, such as a word of the command line, is UTF-8. Raises `ConfigError`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(origin, f"“{text}” is not UTF-8", "write it in UTF-8") from error


def read_text(path: Path, root: Path) -> str:
    """The text of a UTF-8 file inside ``root``. Raises `ConfigError`."""
    return decode(read_bytes(path, root, TEXT_LIMIT), path)


def check_writable(file: Path) -> None:
    """Check that a file can be replaced, before long work for it. Raises `ConfigError`."""
    above = file.resolve().parent
    if not os.access(above, os.W_OK):
        read_only = os.statvfs(above).f_flag & os.ST_RDONLY
        raise unwritable(file, os.strerror(errno.EROFS if read_only else errno.EACCES))


def replace_text(file: Path, text: str) -> None:
    """Replace a file, or the target of a link, atomically, so that a full disk keeps the old one.

    A new file is world-readable; an old one keeps its mode. A device or pipe, such as
    /dev/stdout, is written to, not replaced. Raises `ConfigError`, OSError.
    """
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        return
    check_writable(file)
    file = file.resolve()
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o644
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as scratch:
        try:
            scratch.write(text)
            scratch.flush()
            os.fchmod(scratch.fileno(), mode)
            os.fsync(scratch.fileno())
            Path(scratch.name).rename(file)
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise


def project_directory(text: str, origin: Origin, root: Path) -> Path:
    """A directory of the project that one of its files names. Raises `ConfigError`."""
    path = root / text
    if not os.path.lexists(path):
        raise ConfigError(origin, f"no such directory: {text}", "correct the path, or make it")
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise ConfigError(origin, f"“{text}” cannot be read: {error}") from error
    if not real.is_relative_to(root.resolve()):
        raise ConfigError(origin, f"“{text}” is not in the project", "put a copy into the project")
    if not path.is_dir():
        raise ConfigError(origin, f"“{text}” is not a directory")
    if real == root.resolve():
        raise ConfigError(origin, f"“{text}” is the project itself", "name a directory of it")
    return path


def is_ignored(name: str) -> bool:
    """Whether Portage ignores a name in a configuration directory (portage(5))."""
    return name.startswith(".") or name.endswith("~") or name in VCS_DIRS


def names(directory: Path) -> list[str]:
    """The names in a directory that are not ignored, sorted; none without the directory."""
    try:
        found = sorted(path.name for path in directory.iterdir() if not is_ignored(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        status = Exit.HOST if isinstance(error, PermissionError) else None
        what = f"cannot be read: {error.strerror}"
        raise ConfigError(Origin(directory), what, status=status) from error
    for name in found:
        # Names appear in messages and in Portage's files, in which newlines are significant.
        if not name.isprintable():
            raise ConfigError(
                Origin(directory),
                f"holds a name that is not printable UTF-8: {name!a}",
                "rename it",
            )
    return found


def walk(directory: Path, root: Path) -> Iterator[tuple[str, Path]]:
    """All files below a directory in Portage's order, as relative name and path.

    Directories are entered through symbolic links too, as long as they stay inside ``root``.
    Raises `ConfigError`.
    """
    boundary = root.resolve()
    count = 0
    stack = [("", directory)]
    while stack:
        relative, path = stack.pop()
        # Directories count: links to a parent make an endless tree.
        count += 1
        if count > TREE_LIMIT:
            raise ConfigError(Origin(directory), f"more than {TREE_LIMIT} names below it")
        if not path.is_dir():
            yield relative, path
            continue
        if not path.resolve().is_relative_to(boundary):
            raise ConfigError(Origin(path), f"leads out of the project, to {path.resolve()}")
        if relative.count("/") > _DEPTH_LIMIT:
            raise ConfigError(Origin(path), "nested too deeply", "look for a link to a parent")
        below = [(f"{relative}/{name}".lstrip("/"), path / name) for name in names(path)]
        stack.extend(reversed(below))


def read_tree(directory: Path, root: Path) -> Iterator[tuple[str, Path, bytes]]:
    """All files below a directory as relative name, path and content. Raises `ConfigError`."""
    total = 0
    for relative, path in walk(directory, root):
        content = read_bytes(path, root)
        total += len(content)
        if total > TREE_BYTES:
            raise ConfigError(Origin(directory), f"holds more than {TREE_BYTES >> 20} MiB")
        yield relative, path, content
