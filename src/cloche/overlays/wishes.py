"""What is wanted: ``CATEGORY/PN::OVERLAY [ADDRESS] [branch=B] [keyring=FILE] [deps=OVERLAY]``.

They stand in a file, or in all files of a directory, as Portage reads its own (portage(5)).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cloche.config.atoms import CATEGORY, PACKAGE, VERSION
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import names, read_text, replace_text

_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_-]*"  # PMS 3.1.5
_PAIR: Final = re.compile(rf"(?P<cp>{CATEGORY}/{PACKAGE})::(?P<overlay>{_NAME})")
_PACKAGE: Final = re.compile(rf"{CATEGORY}/{PACKAGE}")
_VERSIONED: Final = re.compile(rf".*-{VERSION}")
_SCHEMES: Final = ("https://", "http://", "git://", "ssh://", "file://")
_OPTIONS: Final = ("branch", "keyring", "deps")
_NOTE: Final = "# Packages out of overlays: CATEGORY/PN::OVERLAY [ADDRESS]; see `cloche overlay`.\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """One line: a package of an overlay.

    The rest says where the overlay is: its ``address``, empty for one of the list of overlays, its
    ``branch``, and the ``keyring`` of those who sign its commits. ``deps`` are overlays that its
    dependencies may come from, too.
    """

    package: str
    overlay: str
    address: str = ""
    branch: str = ""
    keyring: str = ""
    deps: tuple[str, ...] = ()
    origin: Origin = field(default=Origin(Path("-")), compare=False)

    @property
    def pair(self) -> str:
        """As it is written."""
        return f"{self.package}::{self.overlay}"

    @property
    def line(self) -> str:
        """The whole line."""
        options = {"branch": self.branch, "keyring": self.keyring, "deps": ",".join(self.deps)}
        words = [f"{name}={value}" for name, value in options.items() if value]
        return " ".join(filter(None, (self.pair, self.address, *words)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one overlay, from all of its lines."""

    overlay: str
    packages: tuple[str, ...]
    address: str = ""
    branch: str = ""
    keyring: str = ""
    deps: tuple[str, ...] = ()


def parse(text: str, origin: Origin) -> Wish:
    """One line. Raises `ConfigError`."""
    pair, *words = text.split()
    match = _PAIR.fullmatch(pair)
    if match is None or _VERSIONED.fullmatch(match["cp"]):
        todo = "write CATEGORY/PN::OVERLAY, as in app-misc/foo::guru"
        raise ConfigError(origin, f"“{pair}” is not a package of an overlay", todo)
    wish = Wish(match["cp"], match["overlay"], origin=origin)
    seen: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        if not (equals and name in _OPTIONS and value and word.isprintable()):
            name = "address"
        if name in seen:
            what = f"{pair} has a second {name}, “{word.rpartition('@')[2]}”"
            raise ConfigError(origin, what, "keep one of them")
        seen.add(name)
        if name == "address":
            wish = replace(wish, address=checked_address(word, origin))
        else:
            wish = _with_option(wish, name, value)
    return wish


def _with_option(wish: Wish, name: str, value: str) -> Wish:
    if name == "deps":
        found = tuple(value.split(","))
        wrong = next((each for each in found if not is_overlay(each)), None)
        if wrong is not None:
            raise ConfigError(wish.origin, f"“{wrong}” is not the name of an overlay")
        return replace(wish, deps=found)
    if name == "branch":
        if not is_branch(value):
            raise ConfigError(wish.origin, f"“{value}” is not a branch")
        return replace(wish, branch=value)
    return replace(wish, keyring=value)


def is_overlay(text: str) -> bool:
    """Whether this can be the name of an overlay."""
    return re.fullmatch(_NAME, text) is not None


def is_package(text: str) -> bool:
    """Whether this is CATEGORY/PN."""
    return _PACKAGE.fullmatch(text) is not None


def is_branch(text: str) -> bool:
    """Whether this can be a branch, or none: git gets it as a part of a refspec."""
    return text.isprintable() and not (text.startswith("-") or ".." in text or ":" in text)


def checked_address(text: str, origin: Origin) -> str:
    """An address of a git repository; a path becomes ``file:``'s. Raises `ConfigError`."""
    if text.startswith("/") and text.isprintable():
        return Path(text).as_uri()
    if not text.startswith(_SCHEMES) or not text.isprintable():
        words = ", ".join(f"{name}=" for name in _OPTIONS)
        todo = f"begin with {', '.join(_SCHEMES)} or /; or write {words}"
        raise ConfigError(origin, f"“{text.rpartition('@')[2]}” is not an address of git", todo)
    return text


def read(place: Path) -> tuple[Wish, ...]:
    """All lines of a file, or of the files in a directory; none where nothing is there.

    Raises `ConfigError`.
    """
    return tuple(wish for file in _files(place) for wish in _lines(file, place))


def by_overlay(wishes: Iterable[Wish]) -> Mapping[str, Wanted]:
    """The lines of each overlay as one. Raises `ConfigError` if two contradict each other."""
    found: dict[str, Wanted] = {}
    for wish in wishes:
        old = found.get(wish.overlay) or Wanted(wish.overlay, ())
        for key in ("address", "branch", "keyring"):
            ours, theirs = getattr(wish, key), getattr(old, key)
            if ours and theirs and ours != theirs:
                what = f"another line of {wish.overlay} has the {key} {theirs.rpartition('@')[2]}"
                raise ConfigError(wish.origin, what, "keep one of them")
        found[wish.overlay] = Wanted(
            wish.overlay,
            tuple(dict.fromkeys((*old.packages, wish.package))),
            old.address or wish.address,
            old.branch or wish.branch,
            old.keyring or wish.keyring,
            tuple(dict.fromkeys((*old.deps, *wish.deps))),
        )
    return dict(sorted(found.items()))


def added(place: Path, wishes: Iterable[Wish]) -> Mapping[Path, str]:
    """The files that change if these lines are added, with their new texts."""
    texts: dict[Path, str] = {}
    for wish in wishes:
        file = place / wish.overlay if place.is_dir() else place
        if file not in texts:
            texts[file] = read_text(file, place.parent) if file.exists() else _NOTE
        gap = "" if not texts[file] or texts[file].endswith("\n") else "\n"
        texts[file] += f"{gap}{wish.line}\n"
    return texts


def removed(place: Path, pairs: Iterable[str]) -> Mapping[Path, str]:
    """The files that change if the lines of these packages are removed, with their new texts."""
    there, gone, texts = read(place), set(pairs), {}
    changed = {wish.origin: wish for wish in set(left(there, gone)) - set(there)}
    for file in _files(place):
        lines = read_text(file, place.parent).splitlines(keepends=True)
        kept = [
            _rewritten(line, changed.get(Origin(file, number)))
            for number, line in enumerate(lines, 1)
            if (line.partition("#")[0].split() or [""])[0] not in gone
        ]
        if kept != lines:
            texts[file] = "".join(kept)
    return texts


def left(wishes: Iterable[Wish], gone: Collection[str]) -> tuple[Wish, ...]:
    """The lines that stay if these packages go.

    What only a line that goes says of the overlay is carried over to the first that stays: where
    it is, and whose signatures it needs, must not change by this.
    """
    there = tuple(wishes)
    found: list[Wish] = []
    for wish in there:
        if wish.pair in gone:
            continue
        first = all(each.overlay != wish.overlay for each in found)
        lines = [each for each in there if each.overlay == wish.overlay]
        said = _said(lines)
        lost = said != _said(each for each in lines if each.pair not in gone)
        found.append(replace(wish, **said) if first and lost else wish)
    return tuple(found)


def _said(lines: Iterable[Wish]) -> dict[str, Any]:
    """What lines of one overlay say of it together."""
    all_ = tuple(lines)
    first = {
        key: next((value for each in all_ if (value := getattr(each, key))), "")
        for key in ("address", "branch", "keyring")
    }
    return {**first, "deps": tuple(dict.fromkeys(name for each in all_ for name in each.deps))}


def _rewritten(line: str, wish: Wish | None) -> str:
    """A line that says what a wish does, with the comment that it has."""
    if wish is None:
        return line
    _, mark, comment = line.rstrip("\n").partition("#")
    return f"{wish.line}{' #' if mark else ''}{comment}\n"


def contradicted(there: Iterable[Wish], new: Wish) -> str | None:
    """What a line says otherwise than those of its overlay that are there, if anything."""
    said = _said(each for each in there if each.overlay == new.overlay)
    for key in ("address", "branch", "keyring"):
        if getattr(new, key) not in ("", said[key]):
            return key
    return None if {*new.deps} <= {*said["deps"]} else "deps"


def beside(place: Path, file: str) -> Path:
    """A file that a list names: a relative path begins at the list's directory."""
    return (place if place.is_dir() else place.parent) / file


def write(texts: Mapping[Path, str]) -> None:
    """Write these files, each atomically. Raises `ConfigError`, OSError."""
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return [place / name for name in names(place)]
    return [place] if place.exists() or place.is_symlink() else []


def _lines(file: Path, place: Path) -> Iterable[Wish]:
    text = read_text(file, place.parent)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words:
            yield parse(words, Origin(file, number))
