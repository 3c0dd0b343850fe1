"""Classifies failures by Portage's messages. Pure functions over text."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\][^\x07]*\x07")

#: The first pattern that matches gives the kind; its group, if it has one, gives the atom. The
#: order matters: Portage shows a conflict or a cycle together with the changes it proposes.
_RESOLVE: tuple[tuple[str, str], ...] = (
    ("other", r"^- (\S+?)(?:::\S+)? \(masked by: corruption\)"),
    ("circular", r"Error: circular dependencies"),
    ("circular", r"!!! virtual cycle detected"),
    ("conflict", r"!!! Multiple package instances within a single package slot"),
    ("conflict", r"contains packages which cannot be"),
    ("use", r"The following USE changes are necessary to proceed"),
    ("use", r"there are no \S+ built with USE flags to satisfy \"?([^\s\"]+)"),
    ("use", r"there are no ebuilds built with USE flags to satisfy \"?([^\s\"]+)"),
    ("use", r"The ebuild selected to satisfy \"?([^\s\"]+)\"? has unmet requirements"),
    ("use", r"REQUIRED_USE flag constraints"),
    ("masked", r"The following (?:keyword|mask|license) changes are necessary"),
    (
        "masked",
        r"All (?:binary packages|\S+) that could satisfy \"?([^\s\"]+)\"?(?: for \S+)? have been "
        "masked",
    ),
    ("unknown", r"there are no (?:ebuilds|binary packages|\S+) to satisfy \"?([^\s\"]+)"),
    ("unknown", r"The short ebuild name \"?([^\s\"]+)\"? is ambiguous"),
    ("unknown", r"'([^']+)' is not a valid package atom"),
    ("unknown", r"There are no sets to satisfy '([^']+)'"),
    ("other", r"ERROR: (\S+?)(?:::\S+)? failed \(depend phase\)"),
)
#: Where to find a package or an atom if the pattern of the kind has no group.
_ELSEWHERE = {
    "circular": r"^\s*\((\S+?/\S+?):\S+, ",
    "conflict": r"^(?:\[blocks [^\]]*\]\s+)?(\S+/\S+)(?: \(.* blocking .*\))?$",
    "masked": r"^(=\S+/\S+)",
    # An update that Portage skips is listed as `cat/name:0 for /target/`.
    "use": r"^((?:>=?|=|~)?[^\s/#]+/\S+) (?!for /)[-\w+]",
}
_REQUIRED_BY = re.compile(r"\(dependency required by \"([^\"]+)\"")


def plain(text: str) -> str:
    """Text without colours, carriage returns, and blank lines at the start and end."""
    text = _COLOUR.sub("", text)
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def classify_resolve(text: str) -> tuple[str, str | None]:
    """Kind and atom of a failed resolution, from Portage's (plain) output.

    If a package pulls in the unknown atom, the kind is ``unsatisfied`` instead of ``unknown``:
    the fault is in that package. A broken ebuild is ``other``, although Portage calls it masked.
    """
    for kind, pattern in _RESOLVE:
        found = re.search(pattern, text, re.MULTILINE)
        if found is None:
            continue
        if kind == "unknown" and needed_by(text):
            kind = "unsatisfied"
        if found.re.groups == 0:
            found = re.search(_ELSEWHERE[kind], text, re.MULTILINE)
        atom = found.group(1).rstrip(".") if found else None
        exact = kind in ("other", "circular") and atom is not None
        return kind, f"={atom}" if exact else atom
    return "other", None


def needed_by(text: str) -> str | None:
    """The package whose dependency cannot be satisfied; None if a set or the user asks for it."""
    found = _REQUIRED_BY.search(text)
    return None if found is None or found[1].startswith("@") else found[1]


_FETCH: tuple[tuple[str, str], ...] = (
    ("size", r"!!! Reason: Filesize does not match"),
    ("digest", r"!!! (?:Reason: )?Failed on \S+ verification|VERIFY FAILED|Verification failed"),
    ("missing", r"No digest file available|does not have a digest|Missing digest for"),
    ("network", r"unable to resolve|failed: |Connection |timed out|Network is unreachable|ERROR 5"),
    ("missing", r"ERROR 40[0-9]|ERROR 410|No such file"),
)


def classify_fetch(text: str) -> str:
    """Why a distfile could not be fetched, from the output of Portage and wget.

    ``missing``: no server has the file, or the Manifest does not list it; ``digest``, ``size``:
    the fetched file differs from the Manifest; ``network``: a server did not answer.
    """
    return next((kind for kind, pattern in _FETCH if re.search(pattern, text)), "network")


def failed_phase(text: str) -> str | None:
    """The phase that died, from the output of ``die``; None if none did."""
    found = re.findall(r"failed \((\w+) phase\)", text)
    return found[-1] if found else None


def tail(text: str, lines: int = 30) -> str:
    """The end of a log, plain."""
    return "\n".join(plain(text).splitlines()[-lines:])
