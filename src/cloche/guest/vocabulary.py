"""Finds unknown flags, licenses, keywords and FEATURES in make.conf and package.*."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .iuse import Flags
from .settings import FEATURES_OFF

CONF = "/etc/portage/make.conf"


def unknown_words(settings: Any, known: Flags) -> Iterator[str]:
    """Warnings about make.conf, in the form of Portage's own."""
    from portage.util import getconfig

    # Not settings.configdict["conf"]: Portage adds lines for */* of package.* to it.
    conf = getconfig(CONF, tolerant=True, allow_sourcing=True, recursive=True) or {}
    yield from _flags(conf, settings, known)
    yield from _features(conf)
    for word in unknown_licences(conf.get("ACCEPT_LICENSE", "").split(), settings):
        yield f"--- {no_licence(word)} in {CONF}: {word}"


def flags(words: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The USE flags in a line of package.use, each with its variable and the word as written."""
    variable, found = "", {}
    for word in words:
        if word == "\n":
            variable = ""
        elif word.endswith(":"):
            variable = word[:-1]
        elif not word.endswith("*"):
            name = word.removeprefix("-")
            found[f"{variable.lower()}_{name}" if variable else name] = (variable, name)
    return found


def no_flag(variable: str) -> str:
    """Begins a warning about an unknown flag or value of a USE_EXPAND variable."""
    return f"No such value of {variable}" if variable else "No such USE flag"


def unknown_licences(words: Iterable[str], settings: Any) -> list[str]:
    """The licenses and @groups among ``words`` that no repository and no license_groups has."""
    places = [Path(repository.location, "licenses") for repository in settings.repositories]
    groups = settings._license_manager._license_groups
    found = []
    for word in words:
        name = word.removeprefix("-")
        if name.startswith("@"):
            known = name[1:] in groups
        else:
            known = name in ("*", "\n") or any((place / name).is_file() for place in places)
        if not known:
            found.append(name)
    return found


def no_licence(word: str) -> str:
    """Begins a warning about an unknown license or group."""
    return f"No repository has the license{' group' if word.startswith('@') else ''}"


def unknown_keywords(words: Iterable[str], settings: Any) -> list[str]:
    """The keywords among ``words`` that are not in any arch.list."""
    known = {"*", "~*", "**", "\n", *settings.archlist()}
    return [word for word in words if word.removeprefix("-") not in known]


def _flags(conf: Mapping[str, str], settings: Any, known: Flags) -> Iterator[str]:
    named = flags(conf.get("USE", "").split())
    for variable in settings.get("USE_EXPAND", "").split():
        named |= flags([f"{variable}:", *conf.get(variable, "").split()])
    for flag in sorted(known.unknown(named)):
        variable, word = named[flag]
        yield f"--- {no_flag(variable)} in any repository, in {CONF}: {word}"


def _features(conf: Mapping[str, str]) -> Iterator[str]:
    from portage.const import SUPPORTED_FEATURES

    for word in conf.get("FEATURES", "").split():
        if word.startswith("-") or word == "*":
            continue
        if word not in SUPPORTED_FEATURES:
            yield f"--- Unknown value of FEATURES in {CONF}: {word}"
        elif word in FEATURES_OFF:
            yield f"--- cloche switches off this value of FEATURES in {CONF}: {word}"
