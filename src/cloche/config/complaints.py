"""Maps Portage's complaints about files below ``/etc/portage`` to the user's own lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import Origin
from cloche.errors import ClocheError

_ETC: Final = "/etc/portage/"
_PLACE: Final = re.compile(rf"{_ETC}([^\s:'\"]*[^\s:'\",.;)/])")
_NAMED: Final = re.compile(r"\bpackage\.[a-z_.]*[a-z]")
_ABSOLUTE: Final = re.compile(r"(?:^|[\s'])/")
_MARKS: Final = re.compile(r"^(?:--- |!!! )")
#: An ebuild that Portage could not source, which the machine does not need.
_UNREAD: Final = re.compile(
    r"Messages for package (\S+): \* ERROR: \S+ failed \(depend phase\): \*\s+(.+?) \* Call stack:"
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """A setting in a machine's configuration that has no effect; ``origin`` if it is known."""

    origin: Origin | None
    text: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}" if self.origin else self.text


def ineffective(complaints: Sequence[Complaint]) -> ClocheError:
    """``--strict-config``, and some settings have no effect."""
    number = len(complaints)
    return ClocheError(
        f"{number} {'setting has' if number == 1 else 'settings have'} no effect",
        todo="correct or remove the settings that the warnings name, or omit --strict-config",
    )


def locate(lines: Iterable[str], sources: Mapping[str, Path]) -> tuple[Complaint, ...]:
    """Portage's complaints with the user's own file and line.

    ``sources`` are the files of a machine's ``/etc/portage``, by their path there. Portage may name
    a directory, so all files below are searched for the line; without a line that has the
    complaint's last word, only the file is named.
    """
    found = (_located(line, sources) for line in lines)
    return tuple(dict.fromkeys(found))


def other(sayings: Iterable[str]) -> tuple[Complaint, ...]:
    """Portage's other messages. Ebuilds that it cannot read for the same reason share a line."""
    unread: dict[str, list[str]] = {}
    rest = []
    for text in sayings:
        if found := _UNREAD.match(text):
            unread.setdefault(found[2], []).append(found[1])
        else:
            rest.append(text)
    for reason, names in unread.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        rest.append(f"{names[0]}{more} cannot be read: {reason}")
    return tuple(Complaint(None, f"Portage says: {text}") for text in rest)


def _located(line: str, sources: Mapping[str, Path]) -> Complaint:
    text = _MARKS.sub("", line)
    places = _PLACE.findall(text)
    if not places:
        if _ABSOLUTE.search(text):  # a repository's file, which the user cannot change here
            return Complaint(None, text)
        named = _NAMED.search(text)
        names = (named[0], f"profile/{named[0]}") if named else ("make.conf",)
        found = (_at(text, name, sources) for name in names)
        return next(filter(None, found), Complaint(None, text))
    short = _PLACE.sub(lambda place: _named(place[1]), text)
    return _at(short, places[0], sources) or Complaint(None, text)


def _named(place: str) -> str:
    """A path as the user knows it: without the numbered files of merged fragments."""
    head = place.partition("/")[0]
    return head if head.startswith(("package.", "make.conf")) else place


def _at(text: str, place: str, sources: Mapping[str, Path]) -> Complaint | None:
    """The complaint at the first line that holds all its words, else at the first file.

    A word that a line takes away (``-flag``) is named without its minus.
    """
    files = [p for name, p in sources.items() if name == place or name.startswith(f"{place}/")]
    if not files:
        return None
    if place.startswith("patches/"):
        return Complaint(Origin(files[0].parent), text)
    wanted = _wanted(text)
    for file in files:
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            words = re.split(r"[\s\"'=]+", line.partition("#")[0]) + line.split()
            words += [word.removeprefix("-") for word in words]
            if wanted and all(word in words for word in wanted):
                return Complaint(Origin(file, number), text)
    return Complaint(Origin(files[0]), text) if len(files) == 1 else None


def _wanted(text: str) -> tuple[str, ...]:
    """The user's words that a complaint repeats: the quoted ones, or the last one."""
    quoted = [w for w in re.findall(r"'([^']+)'", text) if not w.startswith("package.")]
    last = text.split()[-1].strip("'")
    return tuple(quoted) or (last.rpartition("env/")[2] if "non-existent" in text else last,)
