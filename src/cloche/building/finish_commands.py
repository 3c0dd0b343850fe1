"""The commands by which programs of a root carry out steps of a machine's finish."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from cloche.building.finish_root import FinishRoot
from cloche.config.errors import ConfigError, meant
from cloche.config.finish_steps import FinishStep

HOOK = "/run/cloche/hook"
SYSTEMCTL = "usr/bin/systemctl"
RC_UPDATE = "sbin/rc-update"
LOCALEDEF = "usr/bin/localedef"
LOCALES, CHARMAPS = "usr/share/i18n/locales", "usr/share/i18n/charmaps"
SERVICES, RUNLEVELS = "etc/init.d", "etc/runlevels"
_NAMED = 12  # locales of one language that advice names
#: Where systemd looks for units (systemd.unit(5)), and which there are that can be enabled.
UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
UNITS = (
    *(".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap"),
    *(".target", ".slice"),
)


def commands(step: FinishStep, root: FinishRoot) -> Iterator[tuple[str, ...]]:
    """The commands of a step, none where there is nothing to do.

    Raises `ConfigError` where the root lacks what they need.
    """
    if step.kind == "hook":
        # As execvp(3), and so chroot(1), runs files of an unknown format.
        direct = step.script.startswith((b"#!", b"\x7fELF"))
        yield (HOOK,) if direct else ("/bin/sh", HOOK)
    if step.kind == "preset_all":
        if not root.has(SYSTEMCTL):
            what = "presets are of systemd, and no package of the machine brings it"
            raise ConfigError(step.origin, what, "add sys-apps/systemd, or remove the line")
        yield (f"/{SYSTEMCTL}", "--root=/", "preset-all")
    for word in step.words:
        if step.kind == "groups":
            yield ("/usr/sbin/groupadd", word)
        elif step.kind == "users":
            name, _, groups = word.partition("=")
            yield ("/usr/sbin/useradd", "-m", *(("-G", groups) if groups else ()), name)
        elif step.kind == "localedef":
            yield from _locale(word, step, root)
        elif step.kind.startswith("services_"):
            yield _service(word, step, root)


def _locale(line: str, step: FinishStep, root: FinishRoot) -> Iterator[tuple[str, ...]]:
    """How a line of locale.gen is made; a root of musl has no such program, and needs none."""
    name, _, charmap = line.partition(" ")
    source = re.sub(r"\.[^@]*", "", name)
    if not root.has(LOCALEDEF):
        if any(each.startswith("ld-musl-") for each in root.names("lib")):
            return
        what = f"the root has no localedef, so it cannot have the locale “{name}”"
        raise ConfigError(step.origin, what, "add sys-libs/glibc, or remove the line")
    if not root.has(f"{LOCALES}/{source}"):
        what = f"no package of the machine brings the locale “{source}”"
        raise ConfigError(step.origin, what, _meant_locale(source, root.names(LOCALES)))
    charmaps = {each.removesuffix(".gz") for each in root.names(CHARMAPS)}
    if charmaps and charmap not in charmaps:
        what = f"no package of the machine brings the character set “{charmap}”"
        raise ConfigError(step.origin, what, meant(charmap, charmaps))
    yield (f"/{LOCALEDEF}", "--no-archive", "-i", source, "-f", charmap, name)


def _meant_locale(wanted: str, there: list[str]) -> str:
    """Advice for a locale without a source: a similar one, or those of its language."""
    if not there:
        return f"the root has no /{LOCALES}: add sys-libs/glibc, or write C.UTF-8, which needs none"
    language = wanted.partition("_")[0].lower()
    alike = [each for each in there if each.partition("_")[0] == language]
    advice = meant(wanted, there, f"see /{LOCALES} of the root")
    if len(alike) < 2:
        return advice
    more = ", …" if len(alike) > _NAMED else ""
    return f"{advice} of this language there is: {', '.join(alike[:_NAMED])}{more}"


def _service(word: str, step: FinishStep, root: FinishRoot) -> tuple[str, ...]:
    """How a service is switched: by rc-update, or by systemctl where a root has it."""
    how = step.kind.removeprefix("services_")
    name, _, runlevel = word.partition("|")
    if root.has(SYSTEMCTL):
        unit = name if PurePosixPath(name).suffix in UNITS else f"{name}.service"
        template = re.sub(r"@[^.]*", "@", unit)
        there = any(root.has(f"{each}/{template}") for each in UNIT_DIRECTORIES)
        verb = {"on": "enable", "off": "disable"}.get(how, how)
        command = (f"/{SYSTEMCTL}", "--root=/", verb, name)
        if runlevel and not root.has(RC_UPDATE):
            what = f"“{word}” has a runlevel, as in OpenRC, and the root has systemd"
            raise ConfigError(step.origin, what, f'write "{name}"')
    else:
        if how == "mask":
            what = "only systemd masks services, and the root has none"
            raise ConfigError(step.origin, what, "add sys-apps/systemd, or remove the line")
        if not root.has(RC_UPDATE):
            what = "services are switched by OpenRC or systemd, and no package brings one of them"
            raise ConfigError(step.origin, what, "add sys-apps/openrc or sys-apps/systemd")
        there = root.has(f"{SERVICES}/{name}")
        command = (f"/{RC_UPDATE}", "add" if how == "on" else "del", name, runlevel or "default")
    if how == "on" and not there:
        what = f"no package of the machine brings the service “{name}”"
        raise ConfigError(step.origin, what, meant(name, _services(root)))
    of_openrc = command[0] == f"/{RC_UPDATE}"
    if how == "on" and of_openrc and runlevel and not root.has(f"{RUNLEVELS}/{runlevel}"):
        what = f"the root has no runlevel “{runlevel}”"
        raise ConfigError(step.origin, what, meant(runlevel, root.names(RUNLEVELS)))
    return command


def _services(root: FinishRoot) -> list[str]:
    """The names of the services that a root has."""
    if not root.has(SYSTEMCTL):
        return root.names(SERVICES)
    units = (name for each in UNIT_DIRECTORIES for name in root.names(each))
    return [name.removesuffix(".service") for name in units if name.endswith(UNITS)]
