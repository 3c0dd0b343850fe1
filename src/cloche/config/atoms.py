"""The syntax of package atoms and set names, so that typing errors get a file and line.

Source: PMS 3.1 (names), 3.2 (versions), 8.3 (dependency specifications). Portage decides whether an
atom matches anything.
"""

from __future__ import annotations

import re
from typing import Final

CATEGORY: Final = r"[A-Za-z0-9_][A-Za-z0-9+_.-]*"
PACKAGE: Final = r"[A-Za-z0-9_][A-Za-z0-9+_-]*"
VERSION: Final = r"\d+(?:\.\d+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)\d*)*(?:-r\d+)?"
_SLOT: Final = r"[A-Za-z0-9_][A-Za-z0-9+_.-]*"
_USE: Final = r"[-!]?[A-Za-z0-9][A-Za-z0-9+_@-]*(?:\([+-]\))?[=?]?"

_ATOM: Final = re.compile(
    rf"(?P<op><=|>=|[<>=~])?(?P<cp>{CATEGORY}/{PACKAGE}?)(?:-(?P<version>{VERSION})(?P<glob>\*)?)?"
    rf"(?P<slot>:(?:{_SLOT}(?:/{_SLOT})?=?|[*=]))?"
    rf"(?P<rest>(?:::[A-Za-z0-9_][A-Za-z0-9_-]*)?(?:\[{_USE}(?:,{_USE})*\])?)"
)
_ENDS_IN_VERSION: Final = re.compile(rf".*-{VERSION}\*?")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def atom_fault(text: str) -> str | None:
    """Return what is wrong with the syntax of an atom, or None."""
    if text.startswith("!"):
        return "blockers are not allowed"
    if "/" not in text:
        return "the category is missing, as in app-misc/hello"
    match = _split(text)
    if match is None:
        if re.match(r"[<>=~]*[^:\[]*\*", text):
            return "wildcards are not allowed"
        return "expected something like app-misc/hello, >=app-misc/hello-2:0 or app-misc/hello[nls]"
    if match["op"] and not match["version"]:
        return f"“{match['op']}” needs a version, as in {match['op']}{match['cp']}-1.0"
    if not match["op"] and match["version"]:
        return f"a version needs an operator, as in ={text} or ~{text}"
    if match["glob"] and match["op"] != "=":
        return "“*” after a version requires “=”"
    if match["op"] == "~" and re.search(r"-r\d+$", match["version"]):
        return "“~” needs a version without revision"
    return None


def name_of(text: str) -> str | None:
    """CATEGORY/PN of an atom; None if it is not one."""
    match = _split(text)
    return match["cp"] if match else None


def at_version(text: str, version: str) -> str:
    """The atom with just another version; its repository and USE flags stay.

    So does its slot, unless that is a version itself, as of packages of kernel sources.
    """
    match = _split(text)
    if match is None:
        return text
    slot = match["slot"] or ""
    if re.fullmatch(rf":{VERSION}(?:/.*)?=?", slot) and "." in slot:
        slot = ""
    return f"={match['cp']}-{version}{slot}{match['rest']}"


def _split(text: str) -> re.Match[str] | None:
    """Match an atom; a package name does not end in what looks like a version (PMS 3.1.2)."""
    match = _ATOM.fullmatch(text)
    return None if match and _ENDS_IN_VERSION.fullmatch(match["cp"]) else match


def is_name(text: str) -> bool:
    """Whether a text is a valid name of a machine, set, fragment, seed or repository."""
    return _NAME.fullmatch(text) is not None
