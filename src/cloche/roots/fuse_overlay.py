"""Roots by fuse-overlayfs, for hosts without the kernel's overlays; much slower.

The program (https://github.com/containers/fuse-overlayfs) reads the same layers as the kernel with
``userxattr``. What it writes has marks of its own: attributes ``user.fuseoverlayfs.*`` and
``trusted.overlay.*``, files ``.wh..wh..opq`` in opaque directories, and files ``.wh.NAME`` for
whiteouts where it can make no devices. So names have at most 251 bytes, and none begins with
``.wh.``.

Version 1.10, of Debian 12, also gets these wrong, and so is unfit for builds:

- Making a FIFO, a socket or a device, or a directory in the place of a deleted file, can be refused
  (ENOENT, EEXIST) in directories that nothing was written to yet.
- A directory loses its setuid, setgid and sticky bits and its ACLs when something is written to it.
- Files that were renamed, or replaced and deleted, can stay visible. A write to one of several hard
  links may reach another file, and hard links show as separate files.
- Holes of a file are filled when it is written to.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from cloche.layers.capture import CaptureReport, capture
from cloche.linux import processes
from cloche.roots.backend import Backend, Capture, Place, Shown, writable_top
from cloche.roots.errors import BackendUnavailableError, read_only_root
from cloche.store.tree import OPAQUE, check_depth, open_directory

_PROGRAM = "fuse-overlayfs"
_PATIENCE = 20.0  # seconds, for the program to mount and to end
_OPAQUE_FILE = b".wh..wh..opq"
_WHITEOUT = b".wh."
_OWN = (b"user.fuseoverlayfs.", b"trusted.overlay.", b"user.containers.")


class FuseOverlay(Backend):
    """One process of fuse-overlayfs a root; it dies with the thread that opened the root."""

    name = _PROGRAM

    @contextmanager
    def show(self, place: Place) -> Iterator[Capture]:
        """Start the program, and wait until it shows the root."""
        if shutil.which(_PROGRAM) is None:
            raise BackendUnavailableError(self.name, f"the program {_PROGRAM} is missing")
        with ExitStack() as stack:
            if place.upper is None:
                shown = stack.enter_context(_running(place, None, None))
                yield _nothing_written
                return
            top, work = stack.enter_context(writable_top(place))
            shown = stack.enter_context(_running(place, top, work))

            def take(destination: Path, drop: Sequence[str]) -> CaptureReport:
                shown.end()
                _translate(top)
                return capture(top, place.lowers, destination, drop=drop)

            yield take


def _nothing_written(destination: Path, drop: Sequence[str]) -> CaptureReport:
    raise read_only_root(destination)


@contextmanager
def _running(place: Place, top: Path | None, work: Path | None) -> Iterator[Shown]:
    with ExitStack() as stack:
        # By descriptor, so that no character of a path is read as part of an option.
        names: dict[Path, str] = {}
        fds = []
        for path in (*place.lowers, *(path for path in (top, work) if path is not None)):
            fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
            stack.callback(os.close, fds[-1])
            names[path] = f"/proc/self/fd/{fds[-1]}"
        options = ["lowerdir=" + ":".join(names[lower] for lower in reversed(place.lowers))]
        if top is not None and work is not None:
            options += [f"upperdir={names[top]}", f"workdir={names[work]}"]
        said = stack.enter_context(tempfile.TemporaryFile())
        before = place.at.stat().st_dev
        process = subprocess.Popen(
            [_PROGRAM, "-f", "-o", ",".join(options), str(place.at.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=fds,
            cwd="/",
            preexec_fn=_die_with_parent,
        )
        stack.callback(_ended, process)
        _wait(process, place.at, before, said)
        shown = Shown(place.at, lambda: _ended(process))
        stack.callback(shown.abandon)
        yield shown


def _die_with_parent() -> None:
    processes.die_with_parent(signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], at: Path, before: int, said: BinaryIO) -> None:
    """Wait for the mount: another device under the same path."""
    end = time.monotonic() + _PATIENCE
    while at.stat().st_dev == before:
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            said.seek(0)
            lines = said.read().decode(errors="replace").splitlines()
            told = [line for line in lines if line and "ignored" not in line]
            reason = told[-1] if told else "it did not mount"
            raise BackendUnavailableError(_PROGRAM, reason.removeprefix(f"{_PROGRAM}: "))
        time.sleep(0.002)


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for the program, which ends when its mount has gone."""
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _translate(top: Path) -> None:
    """Turn the program's marks into the kernel's."""
    fd = open_directory(top)
    try:
        _translate_directory(top, fd, b"")
    finally:
        os.close(fd)


def _translate_directory(top: Path, fd: int, path: bytes) -> None:
    check_depth(top, path)
    before = os.fstat(fd)
    _strip(fd)
    for name in map(os.fsencode, os.listdir(fd)):
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if name == _OPAQUE_FILE:
            os.unlink(name, dir_fd=fd)
            os.setxattr(fd, OPAQUE, b"y")
        elif name.startswith(_WHITEOUT):
            os.unlink(name, dir_fd=fd)
            os.mknod(name.removeprefix(_WHITEOUT), stat.S_IFCHR, 0, dir_fd=fd)
        elif stat.S_ISDIR(info.st_mode):
            inner = open_directory(name, fd)
            try:
                _translate_directory(top, inner, path + b"/" + name if path else name)
            finally:
                os.close(inner)
        elif not stat.S_ISLNK(info.st_mode):
            _strip(b"/proc/self/fd/%d/%s" % (fd, name))
    os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))


def _strip(where: int | bytes) -> None:
    for name in map(os.fsencode, os.listxattr(where)):
        if name.startswith(_OWN):
            os.removexattr(where, name)
