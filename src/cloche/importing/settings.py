"""What a system is besides its packages, as keys of a machine's file: services, locales, users."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloche.config.accounts import HIGHEST
from cloche.config.finish_steps import NAME
from cloche.config.system import HOSTNAME, LOCALE, ZONE
from cloche.importing.outcome import Omission
from cloche.importing.system import Person, System

_NAME = re.compile(NAME)
_SERVICE = re.compile(r"[A-Za-z0-9_@:.][A-Za-z0-9_@:.-]*")  # of `services_on`
_UNITS = re.compile(r"etc/systemd/system/[^/]+\.(?:wants|requires)/([^/]+)")
_RUNLEVEL = re.compile(r"etc/runlevels/([^/]+)/([^/]+)")
#: Files with settings that have no key.
PLAIN = ("etc/vconsole.conf", "etc/conf.d/keymaps")
_LANGUAGE = ("etc/env.d/02locale", "etc/locale.conf")


@dataclass(frozen=True, slots=True)
class Settings:
    """``keys`` and ``tables`` of a machine's file; ``systemd`` says which init system there is."""

    systemd: bool
    keys: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]
    omissions: tuple[Omission, ...] = ()


def settings_of(system: System) -> Settings:
    """What the files of a system say."""
    names = {cpv.partition("/")[2] for cpv in system.packages}
    systemd = any(re.fullmatch(r"systemd-\d.*", name) for name in names)
    openrc = any(re.fullmatch(r"openrc-\d.*", name) for name in names)
    systemd = systemd and not openrc
    services, omissions = _services(system, systemd=systemd)
    locales, more = _locales(system)
    keys = {"hostname": _hostname(system), "timezone": _timezone(system), "locales": locales}
    users, groups, others = _users(system)
    return Settings(
        systemd,
        {key: value for key, value in keys.items() if value},
        {"services": services, "groups": groups, "users": users},
        (*omissions, *more, *others),
    )


def _services(system: System, *, systemd: bool) -> tuple[dict[str, Any], list[Omission]]:
    owned = {path.rpartition("/")[2] for path in system.owned}
    found, masked, omissions = set(), set(), []
    for link, target in system.links.items():
        unit, runlevel = _UNITS.fullmatch(link), _RUNLEVEL.fullmatch(link)
        name = link.rpartition("/")[2]
        if unit is None and runlevel is None:
            if systemd and target == "/dev/null" and _SERVICE.fullmatch(name):
                masked.add(name)
            else:
                omissions.append(Omission(link, f"a link to {target}"))
            continue
        if (runlevel is not None) == systemd:
            continue  # of the other init system, which does not run
        source = re.sub(r"@[^.]*", "@", name)  # NAME@INSTANCE.service is made of NAME@.service
        if source not in owned and name not in owned:
            why = "it is switched on, but no package brings it"
            omissions.append(Omission(link, why, "put it below files/ and into [services]"))
        elif not _SERVICE.fullmatch(name):
            omissions.append(Omission(link, "not a name that [services] can have"))
        else:
            found.add(f"{name}|{runlevel[1]}" if runlevel else name)
    why = "files of its own are not carried over"
    omissions += [Omission(name, why, "put it below files/") for name in system.others]
    lists = {"on": sorted(found, key=_order), "mask": sorted(masked)}
    return {key: words for key, words in lists.items() if words}, omissions


def _order(service: str) -> tuple[str, str]:
    name, _, runlevel = service.partition("|")
    return runlevel, name


def _hostname(system: System) -> str:
    words = [line.strip() for line in system.text("etc/hostname").splitlines()]
    words = [word for word in words if word and not word.startswith("#")]
    words += [_assigned(system.text("etc/conf.d/hostname"), "hostname")]
    return next((word for word in words if HOSTNAME.fullmatch(word)), "")


def _timezone(system: System) -> str:
    words = (system.text("etc/timezone").strip(), system.timezone)
    return next((word for word in words if ZONE.fullmatch(word)), "")


def _locales(system: System) -> tuple[list[str], list[Omission]]:
    """The locales that are made, the language of the system first."""
    found, omissions, language = [], [], ""
    for line in system.text("etc/locale.gen").splitlines():
        words = " ".join(line.partition("#")[0].split())
        if LOCALE.fullmatch(words):
            found.append(words)
    for name in _LANGUAGE:
        language = language or _assigned(system.text(name), "LANG")
        for line in system.text(name).splitlines():
            if line.startswith(("LC_", "LANGUAGE")):
                why = "a machine has one language; `locales` begins with it"
                omissions.append(Omission(f"{name} ({line.partition('=')[0]})", why))
    plain = _canonical(language)
    if LOCALE.fullmatch(language) and plain not in map(_canonical, found):
        found.append(language)
    return sorted(dict.fromkeys(found), key=lambda line: _canonical(line) != plain), omissions


def _canonical(locale: str) -> str:
    """A locale as glibc compares them: de_DE.UTF-8 is de_DE.utf8."""
    return (locale.split() or [""])[0].lower().replace("-", "")


def _users(
    system: System,
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]], list[Omission]]:
    """Users that are people, and groups that were made for them."""
    users: dict[str, dict[str, Any]] = {}
    groups: dict[str, dict[str, Any]] = {}
    omissions = []
    for person in system.users:
        wanted = [*person.groups, *([person.group] if person.group else [])]
        texts = (person.comment, person.home, person.shell)
        plain = all(text.isprintable() and ":" not in text for text in texts)
        right = all(_NAME.fullmatch(name) for name in (person.name, *wanted))
        if not (plain and right and 0 <= person.uid <= HIGHEST):
            omissions.append(Omission(f"the user {person.name}", "not as [users.NAME] can have it"))
            continue
        users[person.name] = _user(person)
        groups |= {
            name: {"gid": system.groups[name]}
            for name in wanted
            if name in system.groups and (name != person.name or person.group != name)
        }
        omissions.append(
            Omission(
                f"the password of {person.name}",
                "secrets stay there",
                "see Secrets in docs/project-files.md",
            )
        )
    return users, groups, omissions


def _user(person: Person) -> dict[str, Any]:
    own = person.group if person.group != person.name else ""
    home = person.home if person.home != f"/home/{person.name}" else ""
    said = {"uid": person.uid, "group": own, "groups": list(person.groups)}
    said |= {"comment": person.comment, "home": home, "shell": person.shell}
    return {key: value for key, value in said.items() if value}


def _assigned(text: str, name: str) -> str:
    """The value of a shell variable that a file sets."""
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and key == name:
            try:
                return next(iter(shlex.split(value, comments=True)), "")
            except ValueError:
                return ""
    return ""
