"""The list of overlays: Gentoo's repositories.xml, which says where each of them is.

It is fetched, and kept in the store for a day, or given as a file or an address.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from xml.parsers import expat

from cloche.config.files import decode, read_bytes
from cloche.errors import ClocheError
from cloche.fetching.download import fetch_text, shown
from cloche.fetching.errors import FetchingError
from cloche.overlays.errors import OverlayError, offered

LIST = "https://api.gentoo.org/overlays/repositories.xml"
_FILE = "repositories.xml"
_FRESH = 24 * 3600.0  # seconds
_LIMIT = 16 << 20  # bytes
_ORDER = ("https://", "http://", "git://", "ssh://", "git+ssh://", "file://")


class _Refused(Exception):  # noqa: N818 - only here
    """The list declares entities."""


def address_of(name: str, given: str | None, cache: Path) -> str:
    """The address of an overlay's git repository. Raises OverlayError, FetchingError."""
    for fresh in (False, True):
        known = overlays(given, cache, fresh=fresh)
        if found := known.get(name):
            return found
        if given is not None:
            break  # it will not change
    if name in known:
        raise OverlayError(f"the overlay “{name}” is not in git", todo="give the address of a copy")
    todo = offered(name, known)
    more = "or write its address after CATEGORY/PN::OVERLAY"
    raise OverlayError(f"no overlay is called “{name}”", todo=f"{todo} {more}" if todo else more)


def overlays(given: str | None, cache: Path, *, fresh: bool = False) -> Mapping[str, str]:
    """The address of each overlay by name, empty where it is not in git.

    ``given`` is a file or an address to use in place of Gentoo's. Raises ClocheError.
    """
    if given is not None and "://" not in given:
        path = Path(given).absolute()
        return parse(decode(read_bytes(path, path.parent, _LIMIT), path), given)
    address = given or LIST
    if given is not None:
        return parse(fetch_text(address), shown(address))
    file = cache / _FILE
    with suppress(FileNotFoundError):
        if not fresh and time.time() - file.stat().st_mtime < _FRESH:
            return parse(file.read_text("utf-8", "replace"), str(file))
    cache.mkdir(exist_ok=True)
    try:
        text = fetch_text(address)
    except FetchingError:
        if not file.exists():
            raise
        return parse(file.read_text("utf-8", "replace"), str(file))  # an old one is better
    found = parse(text, address)
    scratch = file.with_name(f".{_FILE}")
    scratch.write_text(text, "utf-8")
    scratch.rename(file)
    return found


def parse(text: str, where: str) -> Mapping[str, str]:
    """Read a repositories.xml. Raises ClocheError."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except (expat.ExpatError, _Refused, ValueError) as error:
        raise ClocheError(
            f"not a list of overlays: {str(error) or 'it declares entities'}",
            where=where,
            todo="give a repositories.xml, as Gentoo publishes it",
        ) from error
    return reader.found


class _Reader:
    """Collects the addresses of ``<repo>`` elements."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._path: list[str] = []
        self._name, self._text, self._git = "", "", False
        self._sources: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        self._text = ""
        if tag == "repo":
            self._name, self._sources = attributes.get("name", ""), []
        elif tag == "source":
            self._git = attributes.get("type") == "git"

    def text(self, data: str) -> None:
        self._text += data

    def end(self, tag: str) -> None:
        self._path.pop()
        inside = self._path[-1:] == ["repo"]
        word = self._text.strip()
        if tag == "name" and inside:
            self._name = word
        elif tag == "source" and inside and self._git and word.isprintable():
            self._sources.append(word)
        elif tag == "repo" and self._name:
            usable = [each for each in self._sources if each.startswith(_ORDER)]
            best = min(usable, key=lambda each: _rank(each), default="")
            self.found[self._name] = best.removeprefix("git+")
        self._text = ""

    def refuse(self, *_: object) -> None:
        raise _Refused


def _rank(address: str) -> int:
    return next(n for n, scheme in enumerate(_ORDER) if address.startswith(scheme))
