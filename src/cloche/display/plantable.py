"""The table of a plan, as ``emerge --pretend --verbose`` lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloche.display.text import count, size
from cloche.display.theme import Line, Segment, Theme
from cloche.plan.changes import Change, Flag

FATES = ("build", "fetch", "merge", "perhaps", "reuse")
_LETTERS = {"N": "new", "S": "new", "U": "update", "D": "downgrade", "R": "again"}
_ALL = 1 << 30  # columns: nothing is cut
STATUSES = {
    "N": ("new", "new"),
    "NS": ("in a new slot", "in new slots"),
    "U": ("update", "updates"),
    "UD": ("downgrade", "downgrades"),
    "R": ("made again", "made again"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A package of the plan: its name, what becomes of it, and how many bytes are to be fetched.

    ``marks`` are words for people, such as "for building only".
    """

    fate: str
    cpv: str
    slot: str
    repo: str
    change: Change
    fetch: int = 0
    marks: tuple[str, ...] = ()


def as_table(rows: Sequence[Row], gone: Sequence[str], theme: Theme) -> list[str]:
    """Lines of text: a row for each package, then what goes, then the totals."""
    lines: list[Line] = [_row(row) for row in rows]
    lines += [[("[", ""), (f"{'gone':<14}", "dim"), ("] ", ""), (cpv, "dim")] for cpv in gone]
    lines += [[], [(_totals(rows, gone), "")]]
    return [theme.draw(line, _ALL) for line in lines]


def _row(row: Row) -> list[Segment]:
    line: list[Segment] = [("[", ""), (f"{row.fate:<8}", ""), *_letters(row.change.status)]
    strong = "dim" if row.fate == "reuse" and not row.change.status else "built"
    slot = f":{row.slot}" if row.slot not in ("0", "0/0") else ""
    line += [("] ", ""), (f"{row.cpv}{slot}::{row.repo}", strong)]
    if row.change.before is not None:
        line.append((f" [{row.change.before}]", "flag-off"))
    for name, flags in row.change.shown.items():
        line += [(f' {name}="', ""), *_flags(flags), ('"', "")]
    if row.fetch or row.fate not in ("reuse", "merge"):
        line.append((f" {size(row.fetch)}", ""))
    line += [(f"  ({mark})", "dim") for mark in row.marks]
    return line


def _letters(status: str) -> list[Segment]:
    """Each letter in a column of its own, so that a column can be read downwards."""
    return [(" ", ""), *((c, _LETTERS[c]) if c in status else (" ", "") for c in "NSRUD")]


def _flags(flags: Sequence[Flag]) -> list[Segment]:
    line: list[Segment] = []
    for flag in flags:
        line += [(" ", "")] * bool(line) + [(flag_text(flag), _style(flag))]
    return line


def flag_text(flag: Flag) -> str:
    """A flag with emerge's marks: ``-off``, ``changed*``, ``new%``, ``(fixed)``."""
    text = flag.name if flag.enabled else f"-{flag.name}"
    if flag.removed or (flag.new and (flag.enabled or not flag.fixed)):
        text += "%"
    text += "*" if flag.changed else ""
    return f"({text})" if flag.fixed or flag.removed else text


def _style(flag: Flag) -> str:
    if flag.new or flag.removed:
        return "flag-new"
    if flag.changed:
        return "flag-changed"
    return "flag-on" if flag.enabled else "flag-off"


def _totals(rows: Sequence[Row], gone: Sequence[str]) -> str:
    fates = Counter(row.fate for row in rows)
    statuses: Mapping[str, int] = Counter(row.change.status for row in rows)
    verbs = {fate: "perhaps" if fate == "perhaps" else f"to {fate}" for fate in FATES}
    parts = [f"{fates[fate]} {verbs[fate]}" for fate in FATES if fates[fate]]
    words = [f"{number} {STATUSES[status][number != 1]}"
             for status in STATUSES if (number := statuses[status])]  # fmt: skip
    words += [f"{len(gone)} gone"] if gone else []
    text = count(len(rows), "package") + (f": {', '.join(parts)}" if parts else "")
    text += f" ({', '.join(words)})" if words else ""
    return f"{text}; {size(sum(row.fetch for row in rows))} to fetch"
