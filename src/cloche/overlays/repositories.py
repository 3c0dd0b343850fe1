"""The repositories that are configured: those of a project, or of a system's repos.conf."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import names, read_text
from cloche.portage.etc import REPOS

_DEFAULTS = "usr/share/portage/config/repos.conf"
CONF = "etc/portage/repos.conf"
_HEAD = "# Written by `cloche overlay`.\n"


@dataclass(frozen=True, slots=True)
class Configured:
    """A repository: where it lies, its priority, and its ``eclass-overrides`` (portage(5)).

    ``declared`` is the file that says so, of which ``uri`` is its address.
    """

    name: str
    path: Path
    declared: Path
    priority: int | None = None
    overrides: tuple[str, ...] = ()
    uri: str = ""


def of_system(root: Path) -> tuple[Mapping[str, Configured], str]:
    """The repositories of a system, and the name of the main one. Raises `ConfigError`."""
    parser = configparser.RawConfigParser(strict=False, default_section="DEFAULT")
    declared: dict[str, Path] = {}
    for file in _files(root):
        before = set(parser.sections())
        try:
            parser.read_string(read_text(file, root), str(file))
        except configparser.Error as error:
            raise ConfigError(Origin(file), " ".join(str(error).split())) from error
        declared.update(dict.fromkeys(set(parser.sections()) - before, file))
    found = {}
    for name in parser.sections():
        options = dict(parser.items(name))
        location = options.get("location", "")
        if not location.startswith("/") or not is_name(name):
            continue  # Portage ignores the one, and refuses the other
        priority = options.get("priority", "")
        found[name] = Configured(
            name,
            root / location.lstrip("/"),
            declared[name],
            int(priority) if priority.lstrip("-").isdecimal() else None,
            tuple(options.get("eclass-overrides", "").split()),
            options.get("sync-uri", "") if options.get("sync-type") == "git" else "",
        )
    return found, parser.defaults().get("main-repo", "gentoo")


def _files(root: Path) -> Iterator[Path]:
    if (root / _DEFAULTS).is_file():
        yield root / _DEFAULTS
    place = root / CONF
    if place.is_dir():
        yield from (place / name for name in names(place) if (place / name).is_file())
    elif place.exists():
        yield place


def repos_conf(overlay: str, repos: Mapping[str, Configured], main: str) -> str:
    """The text of a repos.conf inside of a sandbox: the overlay and all others."""
    lines = ["[DEFAULT]", f"main-repo = {main if main in repos else overlay}"]
    for name in sorted({*repos, overlay}):
        lines += [f"[{name}]", f"location = {REPOS}/{name}"]
        each = repos.get(name)
        if each is not None and each.priority is not None:
            lines.append(f"priority = {each.priority}")
        if each is not None and (known := [o for o in each.overrides if o in repos]):
            # Without `force` egencache's kind of configuration has none (portage(5)).
            lines += [f"eclass-overrides = {' '.join(known)}", "force = eclass-overrides"]
    return "\n".join((*lines, ""))


def rewritten(old: str, wanted: Mapping[str, str], place: Callable[[str], str]) -> str | None:
    """The text of our file in repos.conf, for these names with their locations; None: no file.

    What somebody wrote into it stays: more keys of a section, and sections that are not at the
    ``place`` of an overlay.
    """
    head, *rest = re.split(r"(?m)^(?=\[)", old or _HEAD)
    sections = {text[1:].partition("]")[0]: text for text in rest}
    kept = {
        name: text
        for name, text in sections.items()
        if name in wanted or not _location(place(name)).search(text)
    }
    for name, location in wanted.items():
        line = f"location = {location}"
        if name not in kept:
            kept[name] = f"[{name}]\n{line}\nauto-sync = no\n"
        elif not _location(location).search(kept[name]):
            text = re.sub(r"(?m)^location[ \t]*[=:].*\n?", "", kept[name])
            kept[name] = text.replace("]\n", f"]\n{line}\n", 1)
    if not kept:
        return None
    return "\n".join(f"{text.rstrip()}\n" for text in (head, *kept.values()) if text.strip())


def _location(place: str) -> re.Pattern[str]:
    return re.compile(rf"(?m)^location[ \t]*[=:][ \t]*{re.escape(place)}/?[ \t]*$")


def existing(repos: Iterable[Configured]) -> Mapping[str, Configured]:
    """Those that are there."""
    return {each.name: each for each in repos if each.path.is_dir()}
