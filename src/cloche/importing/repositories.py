"""repos.conf and binrepos.conf (portage(5)) as tables of cloche.toml."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloche.config.atoms import is_name
from cloche.errors import ClocheError
from cloche.importing.outcome import Omission
from cloche.importing.secrets import without_passwords

#: Sync types of Portage that cloche has.
_TYPES: Final = {"git": "git", "rsync": "rsync", "webrsync": "webrsync"}
#: Whether a sync checks signatures, by the option of each type.
_VERIFY: Final = {
    "git": "sync-git-verify-commit-signature",
    "rsync": "sync-rsync-verify-metamanifest",
    "webrsync": "sync-webrsync-verify-signature",
}
_GENTOO_KEYS = "/usr/share/openpgp-keys/gentoo-release.asc"
_MOST = 500  # repositories


@dataclass(frozen=True, slots=True)
class Repositories:
    """Tables of cloche.toml by name, where each repository lies at the source, what is left out."""

    tables: Mapping[str, Mapping[str, Any]]
    locations: Mapping[str, str]
    omissions: tuple[Omission, ...] = ()
    main: str = "gentoo"


@dataclass(slots=True)
class _Found:
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    omissions: list[Omission] = field(default_factory=list)


def read_repositories(files: Iterable[tuple[str, str]], fallback: str | None) -> Repositories:
    """The repositories of repos.conf, of which later files replace keys of earlier ones.

    ``fallback`` is the directory of which a repository without a sync is a directory of the same
    name; None: it is to be copied to ``repos/NAME`` of the project. Raises ClocheError.
    """
    sections, defaults, place = _sections(files)
    found, locations = _Found(), {}
    main = defaults.get("main-repo", "gentoo")
    for name, options in sections.items():
        if not is_name(name):
            found.omissions.append(Omission(f"{place} [{name}]", "not a name of a repository"))
            continue
        location = options.get("location", "")
        if not location:
            continue  # Portage ignores it, too
        locations[name] = location
        table = _synced(name, options, place, found.omissions)
        if not table:
            table = {"path": _path(name, location, fallback, place, found.omissions)}
        if (priority := options.get("priority", "")).lstrip("-").isdecimal():
            table["priority"] = int(priority)
        if name == main and name != "gentoo":
            table["main"] = True
        found.tables[name] = table
    return Repositories(found.tables, locations, tuple(found.omissions), main)


def read_binrepos(files: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], list[Omission]]:
    """The hosts of binrepos.conf, without their passwords. Raises ClocheError."""
    sections, _, place = _sections(files)
    tables, omissions = {}, []
    for name, options in sections.items():
        uri, count = without_passwords(options.get("sync-uri", ""))
        if count:
            omissions.append(Omission(f"{place} [{name}]", "user and password are taken out"))
        if not uri.startswith(("https://", "http://", "file://", "/")) or not is_name(name):
            omissions.append(Omission(f"{place} [{name}]", "cloche cannot use its sync-uri"))
            continue
        tables[name] = {"sync_uri": uri}
        omissions += [
            Omission(f"{place} [{name}] {option}", "cloche itself fetches")
            for option in ("fetchcommand", "resumecommand")
            if option in options
        ]
    return tables, omissions


def _sections(
    files: Iterable[tuple[str, str]],
) -> tuple[dict[str, dict[str, str]], Mapping[str, str], str]:
    """The sections with the defaults in them, the defaults, and the name of the last file."""
    parser = configparser.RawConfigParser(strict=False, default_section="DEFAULT")
    place = "repos.conf"
    for place, text in files:
        try:
            parser.read_string(text, place)
        except configparser.Error as error:
            what = " ".join(str(error).split())
            todo = "correct it, as `emerge --info` would want it, too"
            raise ClocheError(f"cannot be read: {what}", where=place, todo=todo) from error
    if len(parser.sections()) > _MOST:
        raise ClocheError(f"more than {_MOST} sections", where=place)
    sections = {name: dict(parser.items(name)) for name in parser.sections()}
    return sections, parser.defaults(), place


def _synced(
    name: str, options: Mapping[str, str], place: str, omissions: list[Omission]
) -> dict[str, Any]:
    """How a repository is synced; empty if cloche cannot."""
    kind, where = options.get("sync-type", ""), f"{place} [{name}]"
    uri, count = without_passwords(options.get("sync-uri", ""))
    if count:
        omissions.append(Omission(f"{where} sync-uri", "user and password are taken out"))
    if not kind or (not uri and kind != "webrsync"):
        return {}
    if kind not in _TYPES:
        why = f"cloche has no sync-type {kind}"
        omissions.append(Omission(where, why, "sync it by git or rsync, or use its directory"))
        return {}
    table: dict[str, Any] = {"sync_type": _TYPES[kind]}
    if kind != "webrsync":
        table["sync_uri"] = uri
    verify = options.get(_VERIFY[kind], "")
    if kind == "git" and verify in ("yes", "true"):
        table["sync_verify"] = True
    elif kind != "git" and (verify in ("no", "false") or (name != "gentoo" and not verify)):
        table["sync_verify"] = False
    key = options.get("sync-openpgp-key-path", "")
    if key not in ("", _GENTOO_KEYS) and table.get("sync_verify") is not False:
        why = f"the keys of {key} stay where they are"
        todo = f"copy the file, and name it as sync_openpgp_key_path in [repos.{name}]"
        omissions.append(Omission(f"{where} sync-openpgp-key-path", why, todo))
    return table


def _path(
    name: str, location: str, fallback: str | None, place: str, omissions: list[Omission]
) -> str:
    if fallback is not None:
        return f"{fallback.rstrip('/')}{location}" if location.startswith("/") else location
    why = f"it has no sync that cloche has: {location} stays where it is"
    todo = f"copy that directory to repos/{name} of the project"
    omissions.append(Omission(f"{place} [{name}]", why, todo))
    return f"repos/{name}"
