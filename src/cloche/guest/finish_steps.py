"""Changes a finished root as its machine asks: files, accounts, names; removes and unmerges."""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH101, PTH102, PTH108, PTH112, PTH114, PTH118, PTH207, PTH208, PTH211

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import errno
import glob
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import accounts, identity, minimal, phases
from . import settings as guest_settings
from .finish import clean
from .protocol import Channel, Failed, serve

#: Where the directories of "files" are bound, by their numbers.
FILES = Path("/run/cloche/files")
#: How the process that changes the root ends if what the user wrote does not fit the root.
OF_INPUT = 2
OWN = {**accounts.STEPS, **identity.STEPS, **minimal.STEPS}


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol: carry out its steps, in order."""
    guest_settings.apply(request["root"], **guest_settings.MERGING)
    for number, step in enumerate(request["steps"]):
        kind, words = step["kind"], list(step["words"])
        print(f"=== cloche: {kind} {' '.join(words)}", flush=True)
        try:
            do(kind, words)
        except Failed as failure:
            raise Failed(**failure.fields, step=number) from failure
    return {}


def do(kind: str, words: list[str]) -> None:
    """Carry out one step. Raises Failed."""
    if kind == "unmerge":
        unmerge(words)
    elif kind == "files":
        source = os.open(FILES / words[0], os.O_RDONLY | os.O_DIRECTORY)
        inside(partial(copy, source, b"."))
        os.close(source)
    elif kind == "owners":
        inside(partial(give, words))
    elif kind in OWN:
        inside(partial(OWN[kind], words))
        if kind == "locales":
            phases.refresh_generated(Path(guest_settings.root()), always=True)
    else:
        inside(partial(remove, words, whole=kind == "remove"))


def inside(change: Callable[[], None]) -> None:
    """Make a change in a process whose root is this one: no link leads out of it. Raises Failed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chroot(guest_settings.root())
            os.chdir("/")
            change()
        except BaseException as error:
            os.write(writer, f"{error}"[:1000].encode(errors="replace"))
            os._exit(OF_INPUT if type(error) in (LookupError, ValueError) else 1)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as said:
        text = said.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        kind = "input" if status == OF_INPUT else "other"
        raise Failed(kind=kind, text=text or "a file could not be changed")


def copy(source: int, place: bytes) -> None:
    """Copy a directory's content into one of this root; root owns the copies.

    A directory that is there, also through a link, keeps its mode. Anything else is replaced.
    """
    with os.scandir(source) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        target = os.path.join(place, os.fsencode(entry.name))
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if not os.path.isdir(target):
                _away(target)
                os.mkdir(target)
                os.chmod(target, stat.S_IMODE(mode))
            fd = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
            copy(fd, target)
            os.close(fd)
            continue
        _away(target)
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(entry.name, dir_fd=source), target)
        elif stat.S_ISREG(mode):
            _copy_file(source, entry.name, target, stat.S_IMODE(mode))
        else:  # opening a FIFO would wait for a writer
            raise ValueError(f"{entry.name} is neither a file, a directory nor a link")


def _copy_file(source: int, name: str, target: bytes, mode: int) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source)
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(reader, "rb") as old, open(writer, "wb") as new:
        shutil.copyfileobj(old, new)
        os.fchmod(writer, mode)


def _away(path: bytes) -> None:
    """Remove what is at a path, if anything is."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def give(lines: list[str]) -> None:
    """Make USER and GROUP of each ``USER:GROUP PATH`` the owners of all below that path."""
    for line in lines:
        names, _, path = line.partition(" ")
        user, _, group = names.partition(":")
        uid, gid = identity.number("passwd", user), identity.number("group", group)
        if not os.path.lexists(path):
            print(f"nothing there: {path}", flush=True)
            continue
        for name in identity.below(path):
            os.chown(name, uid, gid, follow_symlinks=False)


def remove(patterns: list[str], *, whole: bool) -> None:
    """Remove what matches the patterns; without ``whole`` only what the directories hold."""
    for pattern in patterns:
        for path in _matching(pattern):
            try:
                _remove(path, whole)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                what = f"“{pattern}” has file systems of the kernel below it, as /dev"
                raise ValueError(what) from error


def _remove(path: bytes, whole: bool) -> None:
    if whole:
        _away(path)
    elif os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            _away(os.path.join(path, name))
    else:
        print(f"not a directory: {os.fsdecode(path)}", flush=True)


def _matching(pattern: str) -> Iterator[bytes]:
    """What a shell would make of a pattern, hidden names only if it names them."""
    found = sorted(glob.glob(os.fsencode(pattern)))
    if not found:
        print(f"nothing there: {pattern}", flush=True)
    yield from found


def unmerge(atoms: list[str]) -> None:
    """Unmerge as ``emerge --unmerge`` does, with the hooks of the packages. Raises Failed."""
    program = shutil.which("emerge")
    if program is None:
        raise Failed(kind="other", text="no emerge to unmerge with")
    options = ("--unmerge", "--quiet", "--color=n", "--ignore-default-opts")
    for atom in atoms:
        if not _installed(atom):
            print(f"nothing there: {atom}", flush=True)
            continue
        done = subprocess.run([program, *options, atom], check=False)
        if done.returncode:
            raise Failed(kind="other", text=f"{atom} could not be unmerged")
    clean(guest_settings.root())


def _installed(atom: str) -> bool:
    _, trees = phases.load()
    return bool(trees["vartree"].dbapi.match(atom))


if __name__ == "__main__":
    serve(main)
