"""Spec files, read exactly as catalyst reads them, with the place of each value.

The format is simple, and full of traps (docs/catalyst.md): a line with `:` starts a key wherever it
stands, `#` cuts a line anywhere, a key given again replaces the first. So besides the values, a
`Spec` has a `Trap` for each part of the text that catalyst drops or reads otherwise than it looks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_utf8, read_text

#: One word is a string, several are a list, `none` is None, as in catalyst.
Value = str | tuple[str, ...] | None

Kind = Literal["comment", "repeated", "empty", "orphan", "percent", "quote"]

_COMMENT = re.compile(r"\s*#.*$")
_REFERENCE = re.compile(r"%\((?P<key>[^)]*)\)s|%%|%")
_LONGEST = 1 << 20  # characters that references may add to a file: each could double the last

#: Where `-C` and the like come from.
COMMAND_LINE = Path("command line")


@dataclass(frozen=True, slots=True)
class Setting:
    """A key with its value; ``origins`` has the place of each word, ``origin`` that of the key."""

    key: str
    value: Value
    origin: Origin
    origins: tuple[Origin, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the value, however many they are."""
        if self.value is None:
            return ()
        return (self.value,) if isinstance(self.value, str) else self.value

    @property
    def text(self) -> str:
        """The value as `clst_*` variables have it: words with one space between them."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Trap:
    """Text that catalyst drops or reads otherwise than it looks; ``text`` is what it is about."""

    kind: Kind
    origin: Origin
    key: str
    text: str = ""
    earlier: Origin | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec file; the settings are in the order in which catalyst has them."""

    file: Path
    settings: Mapping[str, Setting] = field(default_factory=dict)
    traps: tuple[Trap, ...] = ()

    def value(self, key: str) -> Value:
        """The value of a key; None also where it is not given."""
        found = self.settings.get(key)
        return None if found is None else found.value

    def text(self, key: str) -> str:
        """The value of a key as one string, empty where it is not given."""
        found = self.settings.get(key)
        return "" if found is None else found.text

    def words(self, key: str) -> tuple[str, ...]:
        """The words of a key's value; none where it is not given."""
        found = self.settings.get(key)
        return () if found is None else found.words

    def placed_words(self, key: str) -> Iterator[tuple[str, Origin]]:
        """The words of a key's value, each with its place."""
        found = self.settings.get(key)
        if found is not None:  # the word `none` has a place, but is not a word of the value
            yield from zip(found.words, found.origins, strict=False)

    def origin(self, key: str) -> Origin:
        """The place of a key, or the file."""
        found = self.settings.get(key)
        return Origin(self.file) if found is None else found.origin

    def overridden(self, options: Iterable[str]) -> Spec:
        """With ``KEY=VALUE`` options in place of its own values. Raises `ConfigError`."""
        options = tuple(options)
        settings = dict(self.settings)
        for option in options:
            check_utf8(option, Origin(COMMAND_LINE))
            key, equals, text = option.partition("=")
            if not key or not equals:
                what, todo = f"“{option}” is not KEY=VALUE", "for example compression_mode=xz"
                raise ConfigError(Origin(COMMAND_LINE), what, todo)
            words = tuple(text.strip().strip('"').split())
            settings.pop(key, None)
            if words:
                origin = Origin(COMMAND_LINE)
                settings[key] = Setting(key, _value(words), origin, (origin,) * len(words))
        return replace(self, settings=settings)


def read_spec(file: Path, change: Callable[[str], str] = str) -> Spec:
    """Read a spec file; ``change`` fills in tokens first. Raises `ConfigError`."""
    return parse_spec(change(read_text(file, Path("/"))), file)


def parse_spec(text: str, file: Path) -> Spec:
    """Parse the text of a spec file.

    Raises `ConfigError` where catalyst ends with a traceback: a reference to a key that has no
    value yet, a `%` that is not `%(KEY)s` or `%%`.
    """
    reading = _Reading(file)
    # As a file opened as text: \r\n and \r end lines, and other characters do not.
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        reading.line(line, Origin(file, number))
    return reading.spec()


def snapshot_spec(treeish: str) -> Spec:
    """The spec that `-s TREEISH` stands for."""
    given = {"target": "snapshot", "snapshot_treeish": treeish}
    return Spec(COMMAND_LINE).overridden(f"{key}={value}" for key, value in given.items())


def _value(words: tuple[str, ...]) -> Value:
    if len(words) != 1:
        return words
    return None if words[0].lower() == "none" else words[0]


def _in_a_word(line: str, place: int) -> bool:
    """Whether a `#` cuts a word or a quoted text: nobody begins a comment there."""
    before = line[:place]
    return not before[-1:].isspace() or before.count('"') % 2 == 1


class _Reading:
    """The state of a parse: the key that lines without `:` belong to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.words: dict[str, tuple[str, ...]] = {}
        self.keys: dict[str, Origin] = {}
        self.origins: dict[str, tuple[Origin, ...]] = {}
        self.traps: list[Trap] = []
        self.key: str | None = None
        self.grown = 0  # characters that came from references

    def line(self, line: str, origin: Origin) -> None:
        full = line.strip()
        line = _COMMENT.sub("", full)
        if line and "#" in full and _in_a_word(full, full.index("#")):
            self._trap("comment", origin, line.partition(":")[0], full[full.index("#") :])
        if not line:
            return
        key, colon, rest = line.partition(":")
        if colon:
            self._start(key, rest, origin)
        else:
            self._go_on(line.split(), origin)

    def _start(self, key: str, rest: str, origin: Origin) -> None:
        if key in self.keys:
            self._trap("repeated", origin, key, earlier=self.keys[key])
        plain = rest.strip()
        rest = plain.strip('"')
        if rest.count('"') % 2:  # one of a pair is gone
            self._trap("quote", origin, key, plain)
        words = tuple(self._filled(rest, origin).split())
        self.key, self.keys[key] = key, origin
        self.words[key], self.origins[key] = words, (origin,) * len(words)

    def _go_on(self, words: list[str], origin: Origin) -> None:
        if self.key is None:  # catalyst takes the first word for a key
            self._trap("orphan", origin, words[0], " ".join(words))
            self.key, words = words[0], words[1:]
            self.keys[self.key] = origin
        key = self.key
        if any("%(" in word for word in words):
            self._trap("percent", origin, key, " ".join(words))
        self.words[key] = (*self.words.get(key, ()), *words)
        self.origins[key] = (*self.origins.get(key, ()), *[origin] * len(words))

    def _filled(self, text: str, origin: Origin) -> str:
        """Python's own ``text % values``, as far as it means something."""

        def fill(match: re.Match[str]) -> str:
            key = match["key"]
            if match[0] == "%%":
                return "%"
            if key is None:
                raise ConfigError(
                    origin,
                    f"a bare “%” (catalyst ends with a traceback): “{text}”",
                    "write %% for a per cent sign, or %(KEY)s for the value of a key",
                )
            if key not in self.words:
                raise ConfigError(
                    origin,
                    f"%({key})s has no value (catalyst ends with a traceback)",
                    f"give “{key}” in a line above",
                )
            words = self.words[key]
            found = words[0] if len(words) == 1 else repr(list(words))
            self.grown += len(found)
            if self.grown > _LONGEST:
                raise ConfigError(origin, "its references make the file larger than 1 MiB")
            return found

        return _REFERENCE.sub(fill, text)

    def _trap(
        self, kind: Kind, origin: Origin, key: str, text: str = "", earlier: Origin | None = None
    ) -> None:
        self.traps.append(Trap(kind, origin, key, text, earlier))

    def spec(self) -> Spec:
        settings: dict[str, Setting] = {}
        for key, words in self.words.items():
            if words:
                settings[key] = Setting(key, _value(words), self.keys[key], self.origins[key])
            else:
                self._trap("empty", self.keys[key], key)
        return Spec(self.file, settings, tuple(self.traps))
