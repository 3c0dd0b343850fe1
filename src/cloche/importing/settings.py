"""What a system is besides its packages: services, host name, time zone, locales."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from cloche.importing.outcome import Omission
from cloche.importing.system import System

_SERVICE = re.compile(r"[A-Za-z0-9_@:.][A-Za-z0-9_@:.-]*")  # of `services_on`
_UNITS = re.compile(r"etc/systemd/system/[^/]+\.(?:wants|requires)/([^/]+)")
_RUNLEVEL = re.compile(r"etc/runlevels/([^/]+)/([^/]+)")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_LOCALE = re.compile(r"[A-Za-z_]+(\.[A-Za-z0-9-]+)?(@[a-z0-9]+)?( [A-Za-z0-9-]+)?")
#: Files with one setting or two, which are taken as they are.
PLAIN = ("etc/env.d/02locale", "etc/locale.conf", "etc/vconsole.conf", "etc/conf.d/keymaps")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a system. ``services`` are ``SERVICE|RUNLEVEL`` of OpenRC, or units.

    ``systemd`` says which of the two the system has. ``locales`` are lines of locale.gen.
    """

    systemd: bool
    services: tuple[str, ...]
    hostname: str
    timezone: str
    locales: tuple[str, ...]
    omissions: tuple[Omission, ...] = ()


def settings_of(system: System) -> Settings:
    """What the files of a system say."""
    names = {cpv.partition("/")[2] for cpv in system.packages}
    systemd = any(re.fullmatch(r"systemd-\d.*", name) for name in names)
    openrc = any(re.fullmatch(r"openrc-\d.*", name) for name in names)
    systemd = systemd and not openrc
    services, omissions = _services(system, systemd=systemd)
    return Settings(
        systemd,
        services,
        _hostname(system),
        _timezone(system),
        tuple(dict.fromkeys(_locales(system))),
        omissions,
    )


def _services(system: System, *, systemd: bool) -> tuple[tuple[str, ...], tuple[Omission, ...]]:
    owned = {path.rpartition("/")[2] for path in system.owned}
    found, omissions = set(), []
    for link, target in system.links.items():
        unit, runlevel = _UNITS.fullmatch(link), _RUNLEVEL.fullmatch(link)
        if unit is None and runlevel is None:
            omissions.append(_other_link(link, target))
            continue
        if (runlevel is not None) == systemd:
            continue  # of the other init system, which does not run
        name = unit[1] if unit else runlevel[2] if runlevel else ""
        source = re.sub(r"@[^.]*", "@", name)  # NAME@INSTANCE.service is made of NAME@.service
        if source not in owned and name not in owned:
            why = "it is switched on, but no package brings it"
            omissions.append(Omission(link, why, "put it into files/ and a [[finish]] step"))
        elif not _SERVICE.fullmatch(name):
            omissions.append(Omission(link, "not a name that `services_on` can have"))
        else:
            found.add(f"{name}|{runlevel[1]}" if runlevel else name)
    omissions += [Omission(name, "files of its own are not carried over") for name in system.others]
    return tuple(sorted(found, key=_order)), tuple(omissions)


def _other_link(link: str, target: str) -> Omission:
    if target == "/dev/null":
        return Omission(link, "a masked unit")
    return Omission(link, f"a link to {target}")


def _order(service: str) -> tuple[str, str]:
    name, _, runlevel = service.partition("|")
    return runlevel, name


def _hostname(system: System) -> str:
    words = [line.strip() for line in system.text("etc/hostname").splitlines()]
    words = [word for word in words if word and not word.startswith("#")]
    words += [_assigned(system.text("etc/conf.d/hostname"), "hostname")]
    return next((word for word in words if _HOSTNAME.fullmatch(word)), "")


def _timezone(system: System) -> str:
    words = (system.text("etc/timezone").strip(), system.timezone)
    return next((word for word in words if _ZONE.fullmatch(word)), "")


def _locales(system: System) -> Iterator[str]:
    for line in system.text("etc/locale.gen").splitlines():
        words = " ".join(line.partition("#")[0].split())
        if _LOCALE.fullmatch(words):
            yield words


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
