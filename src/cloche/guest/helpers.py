"""Portage's Python helpers, run by copies of a process that has Portage in memory already.

A new interpreter takes 70 ms to import what doins.py or gpkg-helper.py need. So Portage starts
`bin/portage-python` in their place: it hands its own process ID over, and waits for a status. A
copy of the process here takes on its arguments, environment, directory and files. One asks at a
time, and as root; all others start a Python as before.

The packer gets a clock that stands still, as Portage stamps the members of a GPKG with the time of
day, and an order in what it lists.
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

#: `bin/portage-python` knows these names, too.
PLACE = Path("/var/tmp/portage/.cloche-helpers")  # noqa: S108 - a directory of the sandbox
ASK, REPLY, LOCK = PLACE / "ask", PLACE / "reply", PLACE / "lock"
PACKER = "gpkg-helper.py"
FILES = ((8, 0), (7, 1), (2, 2))  # where the wrapper has standard input, output, error
NOT_RUN = 127  # the wrapper then starts a Python itself


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """Run helpers of Portage's while a block runs; gives the process that does it."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(0o700, parents=True)
    for fifo in (ASK, REPLY):
        os.mkfifo(fifo, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    server = os.fork()
    if not server:
        try:
            _serve()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
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
    """Once the server has ended, for whatever reason, let nobody wait for it."""
    os.waitpid(server, 0)
    ASK.unlink(missing_ok=True)
    os.write(os.open(REPLY, os.O_RDWR), b"%d\n" % NOT_RUN)


def _serve() -> NoReturn:
    # Open for both directions, so that they neither block nor end.
    ask, reply = os.open(ASK, os.O_RDWR), os.open(REPLY, os.O_RDWR | os.O_NONBLOCK)
    known: dict[str, CodeType] = {}
    while True:
        asked, status = os.read(ask, 64), NOT_RUN
        client = Path("/proc", os.fsdecode(asked.strip()))
        with contextlib.suppress(OSError, ValueError, IndexError):  # it is gone, or none of ours
            words = (client / "cmdline").read_bytes().split(b"\0")[2:-1]
            argv = [os.fsdecode(word) for word in words]  # after the shell and the wrapper
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
    """Wait for the client to take its answer, or to end; then nobody else shall take it."""
    waiting = bytearray(4)
    while True:
        fcntl.ioctl(fifo, termios.FIONREAD, waiting)
        if not (left := int.from_bytes(waiting, sys.byteorder)):
            return
        if not _is_alive(client):
            with contextlib.suppress(BlockingIOError):  # it has taken it, and ended since
                os.read(fifo, left)
            return
        time.sleep(0.0005)


def _is_alive(process: Path) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not (proc(5))."""
    with contextlib.suppress(OSError):
        return "\nState:\tZ" not in (process / "status").read_text()
    return False


def _run(client: Path, argv: list[str], code: CodeType) -> NoReturn:
    """Be the process that the client would have become."""
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
            raise OSError(errno.ESPIPE, "its place in a file would not be shared")
        with contextlib.suppress(OSError):  # a pipe has no place
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
    """A datetime whose now() is always the same."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> StillDatetime:
        """The one moment."""
        return cls.fromtimestamp(guest_settings.epoch(), tz)


def still_gpkg() -> None:
    """Make Portage's writer of GPKG files use the clock, and an order in what it lists."""
    from portage import gpkg

    from_directory = gpkg.gpkg._generate_metadata_from_dir

    def sorted_metadata(self: Any, directory: str) -> dict[str, Any]:
        return dict(sorted(from_directory(self, directory).items()))

    gpkg.datetime = StillDatetime
    gpkg.MANIFEST2_HASH_DEFAULTS = sorted(gpkg.MANIFEST2_HASH_DEFAULTS)  # a set
    gpkg.gpkg._generate_metadata_from_dir = sorted_metadata
