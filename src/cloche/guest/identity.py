"""Writes what a system is called and where it is: host name, time zone, locales, and who owns what.

The root is this process's own. The files are those that OpenRC and systemd read (hostname(5),
localtime(5), locale.conf(5), Gentoo's /etc/conf.d and /etc/env.d).
"""

# Names with wildcards are text.
# ruff: noqa: PTH101, PTH103, PTH108, PTH110, PTH112, PTH113, PTH114, PTH118, PTH120, PTH207, PTH211

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator

ZONES = "/usr/share/zoneinfo"
CONF = "/etc/conf.d/hostname"
PRESETS = "/etc/systemd/system-preset/00-machine.preset"
SYSTEMD = "/usr/lib/systemd/systemd"


def hostname(words: list[str]) -> None:
    """Name the system."""
    write("/etc/hostname", f"{words[0]}\n")
    if os.path.isdir(os.path.dirname(CONF)):
        line = f'hostname="{words[0]}"'
        text = read(CONF)
        new, number = re.subn(r"(?m)^hostname=.*$", line, text)
        write(CONF, new if number else f"{text}{line}\n")


def timezone(words: list[str]) -> None:
    """Choose the time zone."""
    zone = words[0]
    if not os.path.isfile(f"{ZONES}/{zone}"):
        raise LookupError(f"no package of the machine brings the time zone {zone}")
    if os.path.lexists("/etc/localtime"):
        os.unlink("/etc/localtime")
    os.symlink(f"..{ZONES}/{zone}", "/etc/localtime")
    write("/etc/timezone", f"{zone}\n")


def locales(words: list[str]) -> None:
    """Say which locales there are: lines of /etc/locale.gen. The first one is the system's."""
    write("/etc/locale.gen", "".join(f"{line}\n" for line in words))
    if not words:
        return
    first = words[0].split()[0]
    os.makedirs("/etc/env.d", exist_ok=True)
    write("/etc/env.d/02locale", f'LANG="{first}"\n')
    if os.path.exists(SYSTEMD):
        write("/etc/locale.conf", f"LANG={first}\n")


def presets(words: list[str]) -> None:
    """Write a preset file of systemd."""
    os.makedirs(os.path.dirname(PRESETS), exist_ok=True)
    write(PRESETS, "".join(f"{line}\n" for line in words))


def permission(words: list[str]) -> None:
    """Change owner and mode, as ``USER:GROUP MODE PATH``; "-" leaves what is there."""
    owners, mode, path = words[0].split(" ", 2)
    found = glob.glob(path.rstrip("/"))
    if not found:
        raise LookupError(f"nothing is at {path}")
    user, _, group = owners.partition(":")
    ids = None if owners == "-" else (number("passwd", user), number("group", group))
    for each in sorted(found):
        if os.path.islink(each) and mode != "-":
            raise ValueError(f"{each} is a link, which has no mode")
        for name in below(each) if path.endswith("/") else (each,):
            before = os.lstat(name).st_mode
            if ids is not None:
                os.chown(name, *ids, follow_symlinks=False)
            if not os.path.islink(name):  # chown(2) takes setuid and setgid away
                os.chmod(name, before & 0o7777 if mode == "-" else int(mode, 8))


def below(path: str) -> Iterator[str]:
    """A path and all that is below it."""
    yield path
    for above, directories, files in os.walk(path):
        for name in (*directories, *files):
            yield os.path.join(above, name)


def number(file: str, name: str) -> int:
    """The ID of a user ("passwd") or a group ("group") of this root."""
    for line in lines(f"/etc/{file}"):
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise LookupError(f"the root has no {'user' if file == 'passwd' else file} {name}")


def read(path: str) -> str:
    """A file's text; nothing where it is not there."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def lines(path: str) -> list[str]:
    """A file's lines. Only a newline ends one: fields may have what else ends lines for Python."""
    text = read(path)
    return text.removesuffix("\n").split("\n") if text else []


def write(path: str, text: str) -> None:
    """Write a file, also in the place of a link."""
    if os.path.islink(path):
        os.unlink(path)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


#: What this does, by the kinds of steps.
STEPS: dict[str, Callable[[list[str]], None]] = {
    "hostname": hostname,
    "timezone": timezone,
    "locales": locales,
    "presets": presets,
    "permission": permission,
}
