"""Finds contradictions between fragments. Within one fragment the last line wins, as in Portage.

The order of fragments is that of a list in a machine's file. If one has ``-X`` for all servers and
another ``X`` for all desktops, a machine with both should report it instead of choosing one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloche.config import makeconf
from cloche.config.errors import ConfigError, Origin, contradiction

Texts = tuple[tuple[str, Path, str], ...]  # kind (make.conf, package.use, …), path, text

_ALL: Final = re.compile(r"(^|_)\*$")  # a word that stands for all, or all of USE_EXPAND's
# package.keywords is the old name of package.accept_keywords; both are read.
_SIGNED: Final[Mapping[str, str]] = {
    "package.use": "package.use",
    "package.accept_keywords": "package.accept_keywords",
    "package.keywords": "package.accept_keywords",
    "package.license": "package.license",
    "package.properties": "package.properties",
    "package.accept_restrict": "package.accept_restrict",
    "package.env": "package.env",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a fragment: its subject, value and origin.

    ``group`` is what ``-*`` clears: a variable, or the words of one atom in one kind of file, of
    which ``word`` is one. ``adds`` marks a value that extends the previous one, and so contradicts
    nothing.
    """

    subject: str
    value: str
    origin: Origin
    group: str = ""
    adds: bool = False
    word: str = ""

    @property
    def negative(self) -> bool:
        """Whether it removes something."""
        return self.value.startswith("“-")


@dataclass(frozen=True, slots=True)
class Clash:
    """Two statements of which a machine can have one; ``here`` is the later fragment's.

    ``cleared`` says that it is a ``-*`` which takes away what the earlier fragment adds.
    """

    here: Statement
    before: Statement
    cleared: bool = False

    @property
    def subject(self) -> str:
        """What they disagree about."""
        return self.before.subject

    @property
    def value(self) -> str:
        """What the later fragment says of it."""
        return f"taken away by {self.here.value}" if self.cleared else self.here.value


def check(fragments: Iterable[tuple[str, Texts]]) -> None:
    """Raise `ConfigError` for the first two fragments that disagree, in order."""
    for clash in clashes(fragments):
        raise contradiction(
            clash.here.origin,
            clash.before.origin,
            clash.subject,
            clash.value,
            clash.before.value,
        )


def clashes(fragments: Iterable[tuple[str, Texts]]) -> Iterator[Clash]:
    """Where fragments disagree with earlier ones, in order. Raises `ConfigError` for bad files."""
    said: dict[str, Statement] = {}
    for _, texts in fragments:
        own: dict[str, Statement] = {}
        for statement in _statements(texts):
            kept = own.get(statement.subject)
            # A later line of the same fragment replaces an earlier one, yet `A=1; A="$A 2"` is
            # still an assignment that ignores other fragments.
            adds = statement.adds and (kept is None or kept.adds)
            own[statement.subject] = replace(statement, adds=adds)
        for subject, statement in own.items():
            before = said.get(subject)
            if before and not statement.adds and before.value != statement.value:
                yield Clash(statement, before)
        yield from _cleared(said, own)
        said.update(own)


def _cleared(said: Mapping[str, Statement], own: Mapping[str, Statement]) -> Iterator[Clash]:
    """``-*`` removes what earlier fragments added, unless the fragment adds it again.

    ``-video_cards_*``, or ``VIDEO_CARDS: -*``, only removes what begins like this.
    """
    clears = [each for each in own.values() if each.negative and _ALL.search(each.word)]
    for by in clears:
        for subject, before in said.items():
            alike = before.group == by.group and before.word.startswith(by.word[:-1])
            if alike and not before.negative and subject not in own:
                yield Clash(by, before, cleared=True)


def _statements(texts: Texts) -> Iterator[Statement]:
    """All statements of a fragment."""
    for kind, path, text in texts:
        if kind == "make.conf":
            yield from _make_conf(text, path)
        elif kind in ("package.mask", "package.unmask"):
            yield from _masks(kind, text, path)
        elif kind in _SIGNED:
            yield from _package_words(_SIGNED[kind], text, path)


def _make_conf(text: str, path: Path) -> Iterator[Statement]:
    """Variables; the words of incremental ones, one by one."""
    for item in makeconf.parse(text, path):
        if item.name not in makeconf.INCREMENTALS:
            value = f"“{' '.join(item.value.split())}”"
            if not item.name.startswith("__"):
                yield Statement(item.name, value, item.origin, adds=item.refers_to_itself)
            continue
        for word, sign in makeconf.signs(item.value).items():
            yield _word(word, sign == "-", item.name, item.origin)


def _word(word: str, negative: bool, group: str, origin: Origin) -> Statement:
    """One word of a list in which ``-`` removes."""
    value = f"“{'-' if negative else ''}{word}”"
    return Statement(f"“{word}” in {group}", value, origin, group, word=word)


def _lines(text: str, path: Path) -> Iterator[tuple[Origin, list[str]]]:
    """The words of each line, comments left out as Portage does (grabdict, grabfile)."""
    for number, line in enumerate(text.splitlines(), 1):
        words: list[str] = []
        for word in line.split():
            if word.startswith("#"):
                break
            words.append(word)
        if words:
            yield Origin(path, number), words


def _package_words(kind: str, text: str, path: Path) -> Iterator[Statement]:
    """``ATOM WORD…``: each word with its sign; ``NAME:`` prefixes those after it (package.use)."""
    for origin, (atom, *words) in _lines(text, path):
        prefix = ""
        for word in words:
            if kind == "package.use" and word.endswith(":"):
                prefix = f"{word[:-1].lower()}_"
                continue
            flag = prefix + word.lstrip("+-")
            yield _word(flag, word.startswith("-"), f"{kind} of {atom}", origin)


def _masks(kind: str, text: str, path: Path) -> Iterator[Statement]:
    """Masked and unmasked atoms; ``-ATOM`` cancels one."""
    for origin, words in _lines(text, path):
        if len(words) > 1:
            raise ConfigError(origin, "more than one word in a line", "write one atom a line")
        masked = (kind == "package.mask") != words[0].startswith("-")
        yield Statement(words[0].lstrip("-"), "masked" if masked else "unmasked", origin)
