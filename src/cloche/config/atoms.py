"""The shape of package atoms and set names, so that a typing error gets its file and line.

Source: PMS 3.1 (names), 3.2 (versions), 8.3 (dependency specifications). Whether an atom means
anything is Portage's to say.
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
    rf"(?::(?:{_SLOT}(?:/{_SLOT})?=?|[*=]))?(?:::[A-Za-z0-9_][A-Za-z0-9_-]*)?"
    rf"(?:\[{_USE}(?:,{_USE})*\])?"
)
_ENDS_IN_VERSION: Final = re.compile(rf".*-{VERSION}\*?")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def atom_fault(text: str) -> str | None:
    """Say what is wrong with the shape of an atom, or None."""
    if text.startswith("!"):
        return "a blocker cannot be asked for"
    if "/" not in text:
        return "the category is missing, as in app-misc/hello"
    match = _split(text)
    if match is None:
        if re.match(r"[<>=~]*[^:\[]*\*", text):
            return "a wildcard cannot be asked for"
        return "expected something like app-misc/hello, >=app-misc/hello-2:0 or app-misc/hello[nls]"
    if match["op"] and not match["version"]:
        return f"“{match['op']}” wants a version at the end, as in {match['op']}{match['cp']}-1.0"
    if not match["op"] and match["version"]:
        return f"a version wants an operator in front, as in ={text} or ~{text}"
    if match["glob"] and match["op"] != "=":
        return "“*” after a version only goes with “=”"
    if match["op"] == "~" and re.search(r"-r\d+$", match["version"]):
        return "“~” wants a version without its revision"
    return None


def _split(text: str) -> re.Match[str] | None:
    """Match an atom; no package name ends in what looks like a version (PMS 3.1.2)."""
    match = _ATOM.fullmatch(text)
    return None if match and _ENDS_IN_VERSION.fullmatch(match["cp"]) else match


def is_name(text: str) -> bool:
    """Whether a name can be that of a machine, set, fragment, seed or repository."""
    return _NAME.fullmatch(text) is not None
