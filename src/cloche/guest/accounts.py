"""Adds groups and users to a root, and the keys by which users may log in.

By the files alone (passwd(5), group(5), shadow(5), gshadow(5)), as not each root has the programs
of shadow; nothing depends on the day. The root is this process's own.
"""

# Files of the root, whose names are text; pathlib would make nothing plainer.
# ruff: noqa: PTH101, PTH102, PTH103, PTH110, PTH112, PTH118, PTH120

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable

from . import identity

PASSWD, SHADOW, GROUP, GSHADOW = "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"
SKEL = "/etc/skel"
FIRST, LAST = 1000, 59_999  # of ordinary users and groups, as useradd(8)
Line = list[str]


def group(word: str) -> None:
    """Add a group, as ``NAME:GID``."""
    name, gid = word.split(":")
    there = _line(GROUP, name)
    if there is None:
        _add_group(name, gid)
    elif gid not in ("", there[2]):
        raise ValueError(f"the root has the group {name} already, with the GID {there[2]}")


def user(word: str) -> None:
    """Add a user, or change one that is there: ``NAME:UID:GROUP:GROUPS:COMMENT:HOME:SHELL``."""
    name, uid, own, others, comment, home, shell = word.split(":")
    there = _line(PASSWD, name)
    if there is None:
        there = _new_user(name, uid, own, home or f"/home/{name}")
    elif uid not in ("", there[2]):
        raise ValueError(f"the root has the user {name} already, with the UID {there[2]}")
    elif own:
        there[3] = _gid(own)
    if shell and not os.access(shell, os.X_OK):
        raise LookupError(f"no package of the machine brings the shell {shell}")
    said = (*there[:4], comment or there[4], home or there[5], shell or there[6])
    _put(PASSWD, name, list(said))
    for other in filter(None, others.split(",")):
        _join(other, name)
    _make_home(said[5], int(said[2]), int(said[3]))


def ssh_keys(words: list[str]) -> None:
    """Let a user log in with keys: the name, and lines of authorized_keys(5)."""
    name, *keys = words
    there = _line(PASSWD, name)
    if there is None:
        raise LookupError(f"the root has no user {name}")
    uid, gid, directory = int(there[2]), int(there[3]), os.path.join(there[5], ".ssh")
    _make_home(there[5], uid, gid)
    if not os.path.isdir(there[5]):
        raise LookupError(f"the user {name} has no home directory for keys: {there[5]}")
    if not os.path.isdir(directory):
        os.mkdir(directory)
    path = os.path.join(directory, "authorized_keys")
    lines = identity.lines(path)
    _write(path, [*lines, *(key for key in keys if key not in lines)])
    for each, mode in ((directory, 0o700), (path, 0o600)):
        os.chown(each, uid, gid)
        os.chmod(each, mode)


def _new_user(name: str, uid: str, own: str, home: str) -> Line:
    """A line for a user, whose group and line of shadow(5) are made."""
    uid = _free(PASSWD, uid)
    if not own and _line(GROUP, name) is None:
        taken = {line[2] for line in _lines(GROUP)}
        _add_group(name, "" if uid in taken else uid)
    if os.path.exists(SHADOW):
        # Without a day of the last change, a password does not grow old.
        _put(SHADOW, name, [name, "!", "", "0", "99999", "7", "", "", ""])
    shell = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
    return [name, "x", uid, _gid(own or name), "", home, shell]


def _add_group(name: str, gid: str) -> None:
    _put(GROUP, name, [name, "x", _free(GROUP, gid), ""])
    if os.path.exists(GSHADOW):
        _put(GSHADOW, name, [name, "!", "", ""])


def _free(file: str, number: str) -> str:
    """This ID if nobody has it; without one, that after the highest of ordinary users."""
    lines = [line for line in _lines(file) if line[2].isdigit()]
    taken = {int(line[2]) for line in lines}
    if number:
        if int(number) in taken:
            other = next(line[0] for line in lines if int(line[2]) == int(number))
            raise ValueError(f"the ID {number} is {other}'s in {file}")
        return number
    return str(max((each for each in taken if FIRST <= each <= LAST), default=FIRST - 1) + 1)


def _gid(name: str) -> str:
    line = _line(GROUP, name)
    if line is None:
        raise LookupError(f"the root has no group {name}")
    return line[2]


def _join(group: str, name: str) -> None:
    """Make a user a member of a group."""
    _gid(group)
    for file in filter(os.path.exists, (GROUP, GSHADOW)):
        line = _line(file, group)
        members = [each for each in (line or ["", "", "", ""])[3].split(",") if each]
        if line is not None and name not in members:
            _put(file, group, [*line[:3], ",".join([*members, name])])


def is_home(path: str) -> bool:
    """Whether a home of passwd(5) can be a directory.

    /dev and /proc are the kernel's: what lies there in the root is covered when it runs.
    /nonexistent must not exist, so that daemons find nothing there (Debian Policy 9.2.3).
    """
    top = os.path.normpath(path).lstrip("/").split("/")[0]
    return path.startswith("/") and top not in ("dev", "proc", "nonexistent")


def _make_home(home: str, uid: int, gid: int) -> None:
    """Make a home directory from /etc/skel, unless it is there.

    One below /home that root owns came with files of the machine, and becomes the user's. A home
    like /dev/null, or /nonexistent, says that the user has none.
    """
    if not is_home(home):
        return
    there = os.path.lexists(home)
    if there and not (home.startswith("/home/") and uid and os.lstat(home).st_uid == 0):
        return
    if not there:
        try:
            os.makedirs(os.path.dirname(home), exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ValueError(f"{home} cannot be a home: something above it is a file") from error
        if os.path.isdir(SKEL):
            shutil.copytree(SKEL, home, symlinks=True)
        else:
            os.mkdir(home)
        os.chmod(home, 0o700)
    for above, directories, files in os.walk(home):
        for each in (above, *(os.path.join(above, name) for name in (*directories, *files))):
            os.chown(each, uid, gid, follow_symlinks=False)


def _line(file: str, name: str) -> Line | None:
    return next((line for line in _lines(file) if line[0] == name), None)


def _lines(file: str) -> Iterable[Line]:
    """The lines of a file of accounts, without malformed ones."""
    return [line.split(":") for line in identity.lines(file) if line.count(":") >= 3]


def _put(file: str, name: str, fields: Line) -> None:
    """Replace the line of a name, or add one."""
    text, lines = ":".join(fields), identity.lines(file)
    found = [number for number, line in enumerate(lines) if line.split(":")[0] == name]
    if found:
        lines[found[0]] = text
    else:
        lines.append(text)
    _write(file, lines)


def _write(file: str, lines: list[str]) -> None:
    """Write a file that keeps its owner and mode."""
    with open(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.writelines(f"{line}\n" for line in lines)


#: What this does, by the kinds of steps.
STEPS: dict[str, Callable[[list[str]], None]] = {
    "group": lambda words: group(words[0]),
    "user": lambda words: user(words[0]),
    "ssh_keys": ssh_keys,
}
