"""What the user reads about an import: IMPORT.md of the project, and the lines of the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cloche.importing.outcome import Imported

FILE = "IMPORT.md"


def import_file(imported: Imported) -> bytes:
    """The text of IMPORT.md."""
    lines = [
        "# What this project was made of",
        "",
        _escaped(
            f"`cloche import` made it of {imported.source}. This file is for you alone: cloche "
            "does not read it."
        ),
        "",
        *_bullets(f"machine `{name}`: machines/{name}.toml" for name in imported.machines),
    ]
    for heading, about, items in _sections(imported):
        if items:
            lines += ["", f"## {heading}", about, "", *_bullets(map(_escaped, items))]
    lines += ["", "## Next", "```sh", *next_steps(imported, None), "```"]
    return ("\n".join(lines) + "\n").encode()


def lines_of(imported: Imported) -> list[str]:
    """The same for the terminal."""
    lines = []
    for heading, _, items in _sections(imported):
        if items:
            lines += [f"{heading.lower()}:", *(f"  {item}" for item in items)]
    return lines


def next_steps(imported: Imported, project: Path | None) -> list[str]:
    """The commands that lead to the first plan, in the project or for its path."""
    begin = "cloche" if project is None else f"cloche -C {shlex.quote(str(project))}"
    steps = [f"{begin} repo sync {' '.join(imported.synced)}"] if imported.synced else []
    steps += [f"{begin} seed bootstrap {name}" for name in imported.seeds]
    return [*steps, *(f"{begin} plan {name}" for name in imported.machines)]


def as_data(imported: Imported, project: Path, *, written: bool) -> dict[str, Any]:
    """The same for programs."""
    return {
        "project": str(project),
        "source": imported.source,
        "written": written,
        "machines": list(imported.machines),
        "files": sorted(imported.files),
        "conflicts": [
            {
                "subject": each.subject,
                "first": {"place": each.first, "value": each.first_value},
                "second": {"place": each.second, "value": each.second_value},
                "holds": each.second,
                "machines": list(each.machines),
                "before": each.before,
            }
            for each in imported.conflicts
        ],
        "not_carried_over": [
            {"name": each.name, "why": each.why, "todo": each.todo} for each in imported.omissions
        ],
        "checks": list(imported.checks),
        "next": next_steps(imported, project),
    }


def _sections(imported: Imported) -> list[tuple[str, str, list[str]]]:
    return [
        (
            "Conflicts",
            "Two fragments of a machine contradict each other. cloche would refuse that, so the "
            "first line was taken out.",
            [str(each) for each in imported.conflicts],
        ),
        (
            "Not carried over",
            "What the project does not have, and why.",
            [str(each) for each in imported.omissions],
        ),
        ("To be checked", "Guesses, and what means something else here.", list(imported.checks)),
    ]


def _bullets(items: Iterable[str]) -> list[str]:
    return [f"- {item}" for item in items]


def _escaped(text: str) -> str:
    """A line of Markdown that shows a text as it is."""
    plain = "".join(char if char.isprintable() else "?" for char in text)
    return "".join(f"\\{char}" if char in "*_<>[]#|" else char for char in plain)
