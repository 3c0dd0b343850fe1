"""What a machine's file says of the finished system, as steps of `cloche.config.finish_steps`.

The keys have one fixed order in which they are done, whatever theirs in the file is; `[[finish]]`
comes after them. What each step does is in `cloche.building.finish_steps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from cloche.config import accounts
from cloche.config.atoms import name_of
from cloche.config.errors import ConfigError
from cloche.config.finish_steps import NAME, FinishStep, check_atom_or_path, check_once, step_of
from cloche.config.sets import Asked
from cloche.config.table import Table

KEYS = (
    "hostname", "timezone", "locales", "groups", "users", "services", "files", "permissions",
    "hooks", "remove",
)  # fmt: skip
SERVICES = ("on", "off", "mask", "presets")
OPENRC, SYSTEMD = "sys-apps/openrc", "sys-apps/systemd"
BUILT_IN = ("C", "POSIX", "C.UTF-8")  # locales that every C library has

#: What no service of OpenRC is called, and units of systemd are (systemd.unit(5)).
_UNITS = (".service", ".socket", ".timer", ".target")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # hostname(7)
#: What hostname(7), the tz database and locale.gen call theirs.
HOSTNAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*)*")  # names of the tz database
LOCALE = re.compile(r"[A-Za-z_]{1,16}(\.[A-Za-z0-9-]+)?(@[a-z0-9]+)?( [A-Za-z0-9-]+)?")
_UTF8 = re.compile(r"(?i)(?<=[. ])utf-?8\b")  # as localedef(1) knows it, and as people write it
_PERMISSION = re.compile(rf"({NAME}:{NAME}( [0-7]{{3,4}})?|[0-7]{{3,4}})")
_PRESET = re.compile(r"(enable|disable|ignore) [A-Za-z0-9_@:.*?\[\]\\-]+")  # systemd.preset(5)


def read_system(table: Table, root: Path) -> tuple[FinishStep, ...]:
    """The steps, in the order in which they are done. Raises `ConfigError`."""
    return (
        *(step_of("files", item, root) for item in table.strings("files")),
        *accounts.groups(table),
        *accounts.users(table),
        *_permissions(table.table("permissions")),
        *accounts.ssh_keys(table, root),
        *_places(table),
        *_services(table.table("services"), root),
        *(step_of("hook", item, root) for item in table.strings("hooks")),
        *_removals(table, root),
    )


def check_init(table: Table, atoms: Iterable[Asked]) -> None:
    """Refuse a machine that asks for both init systems, by packages or by words of services.

    Raises `ConfigError`.
    """
    asked = {
        name: each.origin for each in atoms if (name := name_of(each.atom)) in (OPENRC, SYSTEMD)
    }
    services = table.table("services")
    for text, origin in (item for key in ("on", "off") for item in services.strings(key)):
        if "|" in text:
            asked.setdefault(OPENRC, origin)
        elif text.endswith(_UNITS):
            asked.setdefault(SYSTEMD, origin)
    for key in ("mask", "presets"):
        if services.strings(key):
            asked.setdefault(SYSTEMD, services.origin(key))
    if len(asked) > 1:
        what = f"the machine is for {OPENRC} here, and for {SYSTEMD} in {asked[SYSTEMD]}"
        todo = (
            'a machine has one: "NAME|RUNLEVEL" is of OpenRC, "NAME.service" or `mask` of systemd'
        )
        raise ConfigError(asked[OPENRC], what, todo)


def _permissions(table: Table) -> Iterator[FinishStep]:
    """``"PATH" = "USER:GROUP MODE"``, one of them or both; as the word ``USER:GROUP MODE PATH``.

    What is not said is "-". A path that ends with "/" is a directory with all below it.
    """
    before: dict[str, str] = {}
    for path in table.data:
        said, origin = table.get(path, str, ""), table.origin(path)
        if not path.startswith("/") or ".." in PurePosixPath(path).parts or path == "/":
            raise ConfigError(origin, f"“{path}” is not an absolute path below /")
        check_once(path, origin, before)
        if not _PERMISSION.fullmatch(said):
            todo = 'write "USER:GROUP", "MODE" or both, as "root:www 0640"'
            raise ConfigError(origin, f"“{said}” is no owner and mode", todo)
        owners = next((word for word in said.split() if ":" in word), "-")
        mode = next((word for word in said.split() if ":" not in word), "-")
        if path.endswith("/") and mode != "-":
            what = "a directory and the files below it cannot have one mode"
            raise ConfigError(origin, what, f'name them apart, or "{path.rstrip("/")}" alone')
        yield FinishStep("permission", origin, (f"{owners} {mode} {path}",))


def _places(table: Table) -> Iterator[FinishStep]:
    """``locales``, ``timezone``, ``hostname``."""
    for text, origin in table.strings("locales"):
        if not LOCALE.fullmatch(text):
            todo = 'write a line of locale.gen, as "de_DE.UTF-8" or "de_DE@euro ISO-8859-15"'
            raise ConfigError(origin, f"“{text}” is not a locale", todo)
        for charset in _UTF8.findall(text):
            if charset != "UTF-8":
                meant = text.replace(charset, "UTF-8")
                raise ConfigError(origin, f"“{text}” is not a locale", f"write “{meant}”")
    if "locales" in table.data:
        lines = tuple(_line(text) for text, _ in table.strings("locales"))
        yield FinishStep("locales", table.origin("locales"), lines)
        made = tuple(line for line in lines if line.split()[0] not in BUILT_IN)
        if made:
            yield FinishStep("localedef", table.origin("locales"), made)
    for key, right, example in (
        ("timezone", ZONE, "Europe/Berlin"),
        ("hostname", HOSTNAME, "web1"),
    ):
        if key in table.data:
            text, origin = table.get(key, str, ""), table.origin(key)
            if not right.fullmatch(text):
                raise ConfigError(
                    origin, f"“{text}” is not a {key}", f'write a name as "{example}"'
                )
            yield FinishStep(key, origin, (text,))


def _line(locale: str) -> str:
    """A line of locale.gen, which names the character set, too."""
    charmap = locale.partition(".")[2].partition("@")[0] or "ISO-8859-1"
    return locale if " " in locale else f"{locale} {charmap}"


def _services(table: Table, root: Path) -> Iterator[FinishStep]:
    """``on``, ``off``: ``"SERVICE|RUNLEVEL"`` or units; ``mask``, ``presets``: of systemd alone."""
    table.only(SERVICES)
    for text, origin in table.strings("presets"):
        if not _PRESET.fullmatch(text):
            todo = 'write "enable UNIT" or "disable UNIT", with wildcards if you like'
            raise ConfigError(origin, f"“{text}” is no line of a preset file", todo)
    if presets := table.strings("presets"):
        words = tuple(text for text, _ in presets)
        yield FinishStep("presets", table.origin("presets"), words)
        yield FinishStep("preset_all", table.origin("presets"))
    for key in ("on", "off", "mask"):
        for item in table.strings(key):
            yield step_of(f"services_{key}", item, root)


def _removals(table: Table, root: Path) -> Iterator[FinishStep]:
    """``remove``: paths, and packages, which go before them."""
    items = table.strings("remove")
    for item in items:
        check_atom_or_path(*item)
    for kind, found in (
        ("unmerge", [item for item in items if not item[0].startswith("/")]),
        ("remove", [item for item in items if item[0].startswith("/")]),
    ):
        for item in found:
            yield replace(step_of(kind, item, root), strict=kind == "unmerge")
