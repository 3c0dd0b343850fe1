"""Checks a program before a sandbox executes it, so that no program of the host is executed.

The process that is about to execute the command is still the host's Python, and /proc/self/exe is a
link to it on the host's own mount, past the sandbox's root. If that ran as a program of the
sandbox, root inside could change it, for example to setuid. So no such link may be on the way to
the program, to the interpreter of a script, or to an interpreter that binfmt_misc registers.
Programs executed later have a /proc/self/exe inside the sandbox.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from pathlib import Path

from cloche.linux import paths

_SCRIPTS = 6  # scripts whose interpreters are scripts; the kernel gives up after five (fs/exec.c)
_HEAD = 256  # bytes of a program that the kernel looks at: BINPRM_BUF_SIZE
_INTERPRETER = re.compile(rb"#![ \t]*([^ \t\n\0]+)")
_REGISTERED = Path("/proc/sys/fs/binfmt_misc")


def check(path: str) -> None:
    """Raise OSError if the program does not exist, or leads out of the root."""
    name: bytes | None = os.fsencode(path)
    for number in range(_SCRIPTS):
        if name is None:
            break
        program = name
        try:
            name = _interpreter(program)
        except FileNotFoundError as error:
            if number == 0:
                raise
            text = f"its interpreter {os.fsdecode(program)} does not exist"
            raise FileNotFoundError(errno.ENOENT, text) from error
    for other in registered_interpreters():
        try:
            _interpreter(other)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise
    # The kernel reports all other faults itself.


@functools.cache
def registered_interpreters() -> tuple[bytes, ...]:
    """What binfmt_misc looks up inside. The first call must see the host's /proc."""
    found = []
    for entry in _REGISTERED.glob("*") if _REGISTERED.is_dir() else ():
        if entry.name not in ("register", "status"):
            fields = dict(line.partition(" ")[::2] for line in entry.read_text().splitlines())
            if "F" not in fields.get("flags:", ""):  # with F the host's own is open already
                found.append(os.fsencode(fields.get("interpreter", "/")))
    return tuple(found)


def _interpreter(name: bytes) -> bytes | None:
    """Return the interpreter that a script names; None if it is not a script."""
    try:
        fd = paths.open_plain(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            text = "it leads out of the root, or in a circle"
            raise OSError(errno.ELOOP, text, os.fsdecode(name)) from error
        raise
    try:
        found = _INTERPRETER.match(os.pread(fd, _HEAD, 0))
    except OSError:  # a directory, for one
        return None
    finally:
        os.close(fd)
    return found[1] if found else None
