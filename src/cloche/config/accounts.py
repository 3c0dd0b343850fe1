"""``[users.NAME]`` and ``[groups.NAME]`` of a machine's file.

What they say becomes words in the formats of group(5) and passwd(5), in which an empty field is
what the file does not say. Of secrets nothing is here (`cloche.config.secrets`).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.files import read_text
from cloche.config.finish_steps import NAME, FinishStep
from cloche.config.table import Table

OF_USER = ("uid", "group", "groups", "comment", "home", "shell", "ssh_keys", "password")

#: The greatest ID of a user or group.
HIGHEST = 65_533  # an ordinary user's sandbox has no higher ones; 65534 is nobody
_PUBLIC = re.compile(r"(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?")  # sshd(8)


def groups(table: Table) -> Iterator[FinishStep]:
    """Each group as ``NAME:GID``. Raises `ConfigError`."""
    _check_ids(table, "groups", "gid")
    for name, group in table.tables("groups").items():
        group.only(("gid",))
        _check_name(name, group.origin())
        yield FinishStep("group", group.origin(), (f"{name}:{_id(group, 'gid')}",))


def users(table: Table) -> Iterator[FinishStep]:
    """Each user as ``NAME:UID:GROUP:GROUPS:COMMENT:HOME:SHELL``. Raises `ConfigError`."""
    _check_ids(table, "users", "uid")
    for name, user in table.tables("users").items():
        user.only(OF_USER)
        _check_name(name, user.origin())
        if "group" in user.data:
            _check_name(user.get("group", str, ""), user.origin("group"))
        for group, origin in user.strings("groups"):
            _check_name(group, origin)
        others = ",".join(group for group, _ in user.strings("groups"))
        own = [_field(user, key) for key in ("comment", "home", "shell")]
        words = (name, _id(user, "uid"), user.get("group", str, ""), others, *own)
        yield FinishStep("user", user.origin(), (":".join(words),))


def ssh_keys(table: Table, root: Path) -> Iterator[FinishStep]:
    """A user and the lines of its authorized_keys(5). Raises `ConfigError`."""
    for name, user in table.tables("users").items():
        keys = [key for item in user.strings("ssh_keys") for key in _public(*item, root)]
        if keys:
            yield FinishStep("ssh_keys", user.origin("ssh_keys"), (name, *keys))


def _public(text: str, origin: Origin, root: Path) -> Iterator[str]:
    """The keys of a file of the project, or the one that is written there."""
    path = root / text
    if _PUBLIC.fullmatch(text):
        yield _whole(text, origin)
        return
    if not os.path.lexists(path):
        what = f"“{text}” is neither a public key of ssh nor a file of the project"
        raise ConfigError(origin, what, 'write "ssh-ed25519 AAAA… name", or the path of a file')
    for number, line in enumerate(read_text(path, root).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not _PUBLIC.fullmatch(line.strip()):
            todo = 'write public keys, as in ~/.ssh/id_ed25519.pub: "ssh-ed25519 AAAA… name"'
            raise ConfigError(Origin(path, number), "this is not a public key of ssh", todo)
        yield _whole(line.strip(), Origin(path, number))


def _whole(text: str, origin: Origin) -> str:
    """See that a public key has fields to its end, the first with its type (RFC 4253, 6.6)."""
    kind, encoded = text.split()[:2]
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        data = b""
    fields = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            break
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    if data or len(fields) < 2:
        what = f"this is not a whole public key: “{text if len(text) < 60 else text[:57] + '…'}”"
        raise ConfigError(origin, what, "copy the whole line of ~/.ssh/id_ed25519.pub")
    if fields[0] != kind.encode():
        what = f"this is a key of the type {fields[0].decode(errors='replace')!r}, not {kind!r}"
        raise ConfigError(origin, what, "copy the whole line of ~/.ssh/id_ed25519.pub")
    return text


def _check_name(name: str, origin: Origin) -> None:
    if not re.fullmatch(NAME, name):
        raise ConfigError(origin, f"“{name}” is not a name for a user or a group")


def _id(table: Table, key: str) -> str:
    """A user's or a group's number."""
    number = table.optional(key, int)
    if number is None:
        return ""
    if number == 0 and table.path[-1] != "root":
        raise ConfigError(table.origin(key), f"the {key} 0 is root's", "choose another, or none")
    if not 0 <= number <= HIGHEST:
        what = f"“{key}” is {number}, expected 0 to {HIGHEST}"
        raise ConfigError(table.origin(key), what, "a sandbox has no other IDs")
    return str(number)


def _check_ids(table: Table, kind: str, key: str) -> None:
    """Refuse one number for two users or groups."""
    before: dict[int, Table] = {}
    for each in table.tables(kind).values():
        number = each.optional(key, int)
        if number is None:
            continue
        other = before.setdefault(number, each)
        if other is not each:
            what = f"{key} {number} is also that of “{other.path[-1]}” in {other.origin(key)}"
            raise ConfigError(each.origin(key), what, "give each a number of its own")


def _field(user: Table, key: str) -> str:
    """A field of passwd(5)."""
    text, origin = user.get(key, str, ""), user.origin(key)
    if any(each in text for each in ":\n\0"):
        raise ConfigError(
            origin, f"“{key}” has a colon or a line's end, which passwd(5) cannot hold"
        )
    absolute = text.startswith("/") and ".." not in text.split("/")
    if key != "comment" and text and not absolute:
        raise ConfigError(origin, f"“{text}” is not an absolute path")
    return text
