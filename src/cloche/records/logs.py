"""Where logs lie: ``logs/CATEGORY/PF/TIME-STEP.log`` in the store, newest found by name.

A machine's own are in ``logs/machine/NAME@PLACE``: projects may have machines of equal names.

The process that writes a log holds a lock on it (flock(2), shared), by which readers know that more
will come, however the writer ends. When the step is done the log becomes ``….log.gz`` (RFC 1952);
that of a failed step stays plain until the package is built, like its root. A phase begins with a
line ``=== cloche: phase NAME``, which the guest writes; an ebuild can write one, too, but only
misleads the reader.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from cloche.store import Store

MACHINES = "machine/"
LONGEST_LINE = 1 << 16  # bytes; longer ones come in pieces
PHASE_MARK = "=== cloche: phase "
_YOUNG = 10.0  # seconds within which an unlocked log may still get its writer
_PAUSE = 0.2  # seconds between two looks at a log that is followed


def machine_logs(machine: str, place: str) -> str:
    """What the logs of a machine's own stages are called; ``place`` is its project's."""
    return f"{MACHINES}{machine}@{place}" if place else f"{MACHINES}{machine}"


def seen_from(names: Iterable[str], place: str | None) -> dict[str, tuple[str, ...]]:
    """Names of logs as people write them, with those that they stand for. A pure function.

    ``place`` is the project's in which they are written: machines of others have none there.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        short, at, where = name.partition("@")
        if not at or not name.startswith(MACHINES):
            found[name] = (*found.get(name, ()), name)
        elif place in (None, where):
            found[short] = (*found.get(short, ()), name)
    return found


def new_log(store: Store, cpv: str, step: str) -> Path:
    """Make a new, empty log file for one run of a step."""
    directory = store.logs / cpv
    directory.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for count in range(1000):
        path = directory / f"{stamp}-{count:03d}-{step}.log"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        if _packed(path).exists():  # an earlier one of this second
            path.unlink()
            continue
        return path
    raise FileExistsError(directory)


def logs_of(store: Store, cpv: str) -> tuple[Path, ...]:
    """Every log of a package, the oldest first."""
    directory = store.logs / cpv
    found = {step_name(path): path for end in ("*.log.gz", "*.log") for path in directory.glob(end)}
    return tuple(found[name] for name in sorted(found))


def step_name(path: Path) -> str:
    """The name of a log's file, whether it is compressed or not: ``TIME-COUNT-STEP``."""
    return path.name.removesuffix(".gz").removesuffix(".log")


def logged_packages(store: Store) -> tuple[str, ...]:
    """Each cpv that has a log."""
    return tuple(sorted(f"{d.parent.name}/{d.name}" for d in store.logs.glob("*/*") if d.is_dir()))


def _packed(plain: Path) -> Path:
    return plain.with_name(plain.name + ".gz")


def found_log(path: Path) -> Path:
    """The file that has the log ``path`` now: itself, or its compressed form."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    packed = _packed(plain)
    return packed if packed.exists() and not plain.exists() else plain


def open_log(path: Path) -> IO[bytes]:
    """Open a log for reading, compressed or not. Raises FileNotFoundError."""
    try:
        place = found_log(path)
        return _open(place)
    except FileNotFoundError:  # it was just compressed
        return _open(found_log(path))


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def log_lines(path: Path, *, errors: str = "replace") -> Iterator[str]:
    """The lines of a log; ``errors`` is what becomes of undecodable bytes, as in bytes.decode."""
    with open_log(path) as file:
        while line := file.readline(LONGEST_LINE):
            yield line.decode(errors=errors)


def phase_of(line: str) -> str | None:
    """The phase whose beginning a line marks, if any."""
    return line[len(PHASE_MARK) :].strip() if line.startswith(PHASE_MARK) else None


def only_phase(lines: Iterable[str], wanted: str) -> Iterator[str]:
    """The lines between the mark of a phase and the next mark."""
    inside = False
    for line in lines:
        if (phase := phase_of(line)) is not None:
            inside = phase == wanted
        elif inside:
            yield line


def phases_in(lines: Iterable[str]) -> tuple[str, ...]:
    """The phases that are marked, in order, each once."""
    return tuple(dict.fromkeys(filter(None, map(phase_of, lines))))


@contextmanager
def held_for_writing(file: IO[bytes]) -> Iterator[None]:
    """Mark an open log as being written, for a block."""
    fcntl.flock(file, fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)  # a fork of this process may have a copy


def is_written(file: IO[bytes]) -> bool:
    """Whether an open log still has a writer, or is about to get one."""
    if not _take(file):
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return _is_awaited(file)


def _take(file: IO[bytes]) -> bool:
    """Lock an open log exclusively, if it is not locked; closing it releases the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_awaited(file: IO[bytes]) -> bool:
    """Whether a log was made just now, and will get its writer soon."""
    return os.fstat(file.fileno()).st_size == 0 and _is_young(file)


def _is_young(file: IO[bytes]) -> bool:
    """Whether an open log was made or written to just now."""
    return time.time() - os.fstat(file.fileno()).st_mtime < _YOUNG


def follow(
    path: Path, pause: Callable[[float], None] = time.sleep, *, errors: str = "replace"
) -> Iterator[str]:
    """Lines of a log as they come, until it has no writer; ``errors`` as above."""
    place = found_log(path)
    if place.suffix == ".gz":
        yield from log_lines(place, errors=errors)
        return
    with place.open("rb") as file:
        rest = b""
        more = True
        while more:
            more = is_written(file)  # asked before reading: what came before is then read
            while data := file.read(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                yield from (line.decode(errors=errors) + "\n" for line in lines)
                if len(rest) > LONGEST_LINE:
                    yield rest.decode(errors=errors)
                    rest = b""
            if more:
                pause(_PAUSE)
        if rest:
            yield rest.decode(errors=errors)


def compress(path: Path) -> Path:
    """Compress a finished log; return the new path. The caller must have it locked."""
    target = _packed(path)
    part = path.with_name(path.name + ".part")
    with path.open("rb") as source, gzip.open(part, "wb", compresslevel=6) as sink:
        shutil.copyfileobj(source, sink)
    shutil.copystat(path, part)
    part.rename(target)
    path.unlink()
    return target


def compress_finished(store: Store, cpv: str, done: Path | None = None) -> None:
    """Compress the log of a step that is done, and each other that seems to be finished.

    Another process may write logs of the same name, as those of a machine are: it holds a lock
    while a program runs, and between two programs its log is young.
    """
    for path in (store.logs / cpv).glob("*.log"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            mine = _take(file) and os.fstat(file.fileno()).st_nlink > 0
            if mine and (path == done or not _is_young(file)):
                compress(path)


def put_away(store: Store, cpv: str, log: Path) -> str:
    """Compress a package's logs after its step; return this log's path below ``logs``."""
    compress_finished(store, cpv, log)
    return str(found_log(log).relative_to(store.logs))
