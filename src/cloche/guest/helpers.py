"""Runs Portage's Python helpers in forks of a process that has already imported Portage.

A new interpreter needs 70 ms to import what doins.py or gpkg-helper.py use. So Portage starts
`bin/portage-python` instead, which sends its process ID to the server here and waits for a status.
The server forks a child that takes over the arguments, environment, directory and files of that
process. Requests come one at a time, and only from root; other processes start Python as usual.

For the packer, the clock is fixed, because Portage stamps the members of a GPKG with the current
time, and its lists are sorted.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import shutil
import signal
import stat
import sys
import termios
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

from . import settings as guest_settings

#: `bin/portage-python` uses the same names.
PLACE = Path("/var/tmp/portage/.cloche-helpers")  # noqa: S108 - a directory of the sandbox
ASK, REPLY, LOCK = PLACE / "ask", PLACE / "reply", PLACE / "lock"
PACKER = "gpkg-helper.py"
FILES = ((8, 0), (7, 1), (2, 2))  # the wrapper's descriptors of stdin, stdout and stderr
NOT_RUN = 127  # the wrapper then starts a Python itself


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """Run Portage's helpers during a block; yields the PID of the server."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(0o700, parents=True)
    for fifo in (ASK, REPLY):
        os.mkfifo(fifo, 0o600)
    # Open for reading and writing, so that opening does not block and reading does not end; and
    # before the server runs, because a FIFO forgets what was written once nobody has it open.
    ask, reply = os.open(ASK, os.O_RDWR), os.open(REPLY, os.O_RDWR | os.O_NONBLOCK)
    sys.stdout.flush()
    sys.stderr.flush()
    server = os.fork()
    if not server:
        try:
            _serve(ask, reply)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(ask)
    os.close(reply)
    watch = threading.Thread(target=_released, args=(server,), daemon=True)
    watch.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
        watch.join()
        shutil.rmtree(PLACE)


def _released(server: int) -> None:
    """When the server has ended, for any reason, release processes that wait for it."""
    os.waitpid(server, 0)
    ASK.unlink(missing_ok=True)
    os.write(os.open(REPLY, os.O_RDWR), b"%d\n" % NOT_RUN)


def _serve(ask: int, reply: int) -> NoReturn:
    known: dict[str, CodeType] = {}
    while True:
        asked, status = os.read(ask, 64), NOT_RUN
        client = Path("/proc", os.fsdecode(asked.strip()))
        with contextlib.suppress(
            OSError, ValueError, IndexError
        ):  # it has ended, or is not the wrapper
            words = (client / "cmdline").read_bytes().split(b"\0")[2:-1]
            argv = [os.fsdecode(word) for word in words]  # without the shell and the wrapper
            if argv[0] not in known:
                known[argv[0]] = compile(Path(argv[0]).read_bytes(), argv[0], "exec")
            child = os.fork()
            if not child:
                _run(client, argv, known[argv[0]])
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            status = ended if ended >= 0 else 128 - ended
        os.write(reply, b"%d\n" % status)
        _until_read(reply, client)
        LOCK.unlink(missing_ok=True)


def _until_read(fifo: int, client: Path) -> None:
    """Wait until the client has read its answer, or remove the answer if the client has ended."""
    waiting = bytearray(4)
    while True:
        fcntl.ioctl(fifo, termios.FIONREAD, waiting)
        if not (left := int.from_bytes(waiting, sys.byteorder)):
            return
        if not _is_alive(client):
            with contextlib.suppress(BlockingIOError):  # it has read it, then ended
                os.read(fifo, left)
            return
        time.sleep(0.0005)


def _is_alive(process: Path) -> bool:
    """Whether a process runs; a zombie does not (proc(5))."""
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in (process / "status").read_text()
    return False


def _run(client: Path, argv: list[str], code: CodeType) -> NoReturn:
    """Run the helper in place of the client."""
    status = NOT_RUN
    try:
        _take_on(client)
        status = 1
        sys.argv = argv
        if Path(argv[0]).name == PACKER:
            still_gpkg()
        exec(code, {"__name__": "__main__", "__file__": argv[0]})  # noqa: S102 - Portage's own
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _take_on(process: Path) -> None:
    """Take over environment, files, directory and umask of a process (proc(5))."""
    variables = (process / "environ").read_bytes().split(b"\0")
    os.environb.clear()
    os.environb.update(dict(each.split(b"=", 1) for each in variables if b"=" in each))
    for theirs, number in FILES:
        said = dict(
            line.split() for line in (process / f"fdinfo/{theirs}").read_text().splitlines()[:2]
        )
        flags = int(said["flags:"], 8) & (os.O_ACCMODE | os.O_APPEND)
        fd = os.open(process / f"fd/{theirs}", flags)
        if number and not flags & os.O_APPEND and stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ESPIPE, "the file offset would not be shared")
        with contextlib.suppress(OSError):  # a pipe has no offset
            os.lseek(fd, int(said["pos:"]), os.SEEK_SET)
        os.dup2(fd, number)
        os.close(fd)
    umask = next(
        line.split()[1]
        for line in (process / "status").read_text().splitlines()
        if line.startswith("Umask:")
    )
    os.umask(int(umask, 8))
    os.chdir(process / "cwd")


class StillDatetime(datetime.datetime):
    """A datetime whose now() is always SOURCE_DATE_EPOCH."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> StillDatetime:
        """SOURCE_DATE_EPOCH."""
        return cls.fromtimestamp(guest_settings.epoch(), tz)


def still_gpkg() -> None:
    """Make Portage's GPKG writer use the fixed clock, and sort its lists."""
    from portage import gpkg

    from_directory = gpkg.gpkg._generate_metadata_from_dir

    def sorted_metadata(self: Any, directory: str) -> dict[str, Any]:
        return dict(sorted(from_directory(self, directory).items()))

    gpkg.datetime = StillDatetime
    gpkg.MANIFEST2_HASH_DEFAULTS = sorted(gpkg.MANIFEST2_HASH_DEFAULTS)  # a set
    gpkg.gpkg._generate_metadata_from_dir = sorted_metadata
