"""Finds in Portage's output the line of a broken ebuild, and why each package is masked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_SYNTAX = re.compile(r"^(/\S+): line (\d+): ((?:syntax error|unexpected E).*)$", re.MULTILINE)
_DIED = re.compile(r"ERROR: \S+ failed \(depend phase\):\n \*   (.+)")
_SOURCED = re.compile(r"Called source '(/[^']+\.ebuild)'")
_CALLED = re.compile(r"^ \*\s+(\S+\.ebuild), line +(\d+):  Called ", re.MULTILINE)
_MASKED = re.compile(r"^- (\S+?)(?:::\S+)? \(masked by: (.*)\)(?:\n(/\S+):$)?", re.MULTILINE)


def broken(text: str) -> dict[str, Any]:
    """``file``, ``line`` and ``reason`` of an error in an ebuild's global scope; or {}.

    For a syntax error, perhaps in an eclass, it is bash's message. For ``die``, it is the message
    and the line of the ebuild from which it was called (with eclasses, the innermost).
    """
    if found := _SYNTAX.search(text):
        return {"file": found[1], "line": int(found[2]), "reason": found[3].rstrip(".")}
    died, sourced = _DIED.search(text), _SOURCED.search(text)
    if died and sourced and (called := _CALLED.findall(text, sourced.end())):
        return {"file": sourced[1], "line": int(called[-1][1]), "reason": died[1].rstrip(".")}
    return {}


def masks(text: str) -> list[dict[str, Any]]:
    """The masked packages that Portage lists: ``cpv``, ``reasons``, and ``file`` with the mask."""
    return [
        {"cpv": cpv, "reasons": _reasons(reasons), "file": file or None}
        for cpv, reasons, file in _MASKED.findall(text)
    ]


def _reasons(text: str) -> list[str]:
    """Split at commas, except "invalid: …", whose text may contain commas."""
    return [text] if text.startswith("invalid: ") else text.split(", ")


def located(mask: dict[str, Any]) -> dict[str, Any]:
    """The mask with ``line``: the line of its ``file`` whose atom matches the package."""
    from portage.dep import Atom, match_from_list
    from portage.exception import InvalidAtom

    if mask["file"] is None:
        return mask
    lines = Path(mask["file"]).read_text(errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            atom = Atom(line.strip(), allow_wildcard=True, allow_repo=True)
        except InvalidAtom:
            continue
        if match_from_list(atom.without_repo, [mask["cpv"]]):
            return {**mask, "line": number}
    return mask
