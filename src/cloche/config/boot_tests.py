"""``[test]`` of a machine: what has to be true once it has booted (`cloche boot --test`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.table import Table, duration

#: Without KVM a boot takes minutes.
TIMEOUT = 600.0  # seconds
MOST = 700  # characters of a command, which is typed at a console

_UNIT = re.compile(r"[\w@.:-]+", re.ASCII)
_USER = re.compile(r"[a-z_][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class BootTests:
    """The checks of a machine.

    ``units`` are systemd's units or OpenRC's services, which have to run; ``commands`` have to end
    with status 0. ``ready`` is a text on the console that ends the boot. ``user`` logs in at the
    console if it asks, with what ``password_file`` holds. ``image`` is the one that is booted.
    """

    origin: Origin
    units: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    timeout: float = TIMEOUT
    ready: str = ""
    user: str = "root"
    password_file: Path | None = None
    image: str = ""


def read_boot_tests(table: Table, root: Path) -> BootTests | None:
    """``[test]``, if there is one. Raises `ConfigError`."""
    if "test" not in table.data:
        return None
    test = table.table("test")
    test.only(("units", "commands", "timeout", "ready", "user", "password_file", "image"))
    for text, origin in test.strings("units"):
        if not _UNIT.fullmatch(text) or text.startswith("-"):
            what = f"“{text}” is not the name of a unit or service"
            raise ConfigError(origin, what, 'write it as "sshd" or "nginx.service"')
    for text, origin in test.strings("commands"):
        if not text.strip() or not text.isprintable() or len(text) > MOST:
            what = "a command of a test is one line"
            todo = f"write up to {MOST} printable characters; a script in the image can be longer"
            raise ConfigError(origin, what, todo)
    ready, user = test.get("ready", str, ""), test.get("user", str, "root")
    if not ready.isprintable():
        raise ConfigError(test.origin("ready"), "“ready” is a part of one line of the console")
    if not _USER.fullmatch(user):
        raise ConfigError(test.origin("user"), f"“{user}” is not the name of a user")
    found = BootTests(
        origin=test.origin(),
        units=tuple(text for text, _ in test.strings("units")),
        commands=tuple(text for text, _ in test.strings("commands")),
        timeout=test.measure("timeout", duration, 'a time such as "5m"') or TIMEOUT,
        ready=ready,
        user=user,
        password_file=_file(test, root),
        image=test.get("image", str, ""),
    )
    if not (found.units or found.commands or found.ready):
        todo = 'write `units`, `commands` or `ready`, as units = ["sshd"]'
        raise ConfigError(test.origin(), "[test] checks nothing", todo)
    return found


def _file(test: Table, root: Path) -> Path | None:
    name = test.optional("password_file", str)
    if name is None:
        return None
    try:
        return root / Path(name).expanduser()
    except RuntimeError as error:  # ~ of a user who is not there
        raise ConfigError(test.origin("password_file"), f"“{name}”: {error}") from error
