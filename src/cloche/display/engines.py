"""Engines for people: which ones are there, and what the battery has found, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cloche.display.text import one_line, visible
from cloche.engines.choice import DEFAULT
from cloche.probing.availability import Availability
from cloche.probing.battery import QUESTIONS, Costs, Probed

_CELLS = {
    "shows": "shows",
    "hidden": "-",
    "works": "works",
    "does not work": "no",
    "unknown": "?",
    None: "",
}
_HEADS = {
    "shows": "Does it show inside? (-: no, ?: it could not be tried)",
    "works": "Does it work inside?",
}

Row = tuple[str, ...]  # one cell: a heading


def listing(looked: Sequence[Availability]) -> str:
    """Each engine with what it is and keeps out, or why it is not there."""
    width = max(len(each.name) for each in looked)
    lines = []
    for each in looked:
        default = ", the default" if each.name == DEFAULT else ""
        lines.append(
            f"{each.name:<{width}}  {'yes' if each.there else 'no '}  {each.nature.title}{default}"
        )
        kept = ", ".join(each.nature.isolates) or "nothing"
        more = [f"keeps out: {kept}" + ("" if each.nature.shares_kernel else "; own kernel")]
        more += [each.nature.caution] if each.there and each.nature.caution else []
        more += [] if each.there else [f"not available: {why_not(each)}"]
        lines += [f"{'':<{width}}       {line}" for line in more]
    return visible("\n".join(lines))


def why_not(each: Availability) -> str:
    """Why an engine is not there, and the next step."""
    return one_line("; ".join(filter(None, (each.reason, each.todo))))


def rows(probed: Sequence[Probed]) -> list[Row]:
    """All lines: what shows, what works, what it costs if that was measured; headings between."""
    lines: list[Row] = []
    for kind, head in _HEADS.items():
        lines.append((head,))
        for question in QUESTIONS:
            if question.kind == kind:
                cells = (_CELLS[each.said(question.id)] for each in probed)
                lines.append((question.text, *cells))
    if any(each.costs for each in probed):
        lines += [("What does it cost?",), *_costs(probed)]
    return lines


def table(probed: Sequence[Probed]) -> str:
    """The table for a terminal, and what failed below it."""
    names = ("", *(each.engine for each in probed))
    every = [names, *rows(probed)]
    wide = [row for row in every if len(row) > 1]
    widths = [max(len(row[column]) for row in wide) for column in range(len(names))]
    lines = [_padded(row, widths) for row in every]
    return visible("\n".join([*lines, *_errors(probed)]))


def markdown(probed: Sequence[Probed]) -> str:
    """The same for a document."""
    names = ("", *(f"`{each.engine}`" for each in probed))
    lines = [names, ("---",) * len(names)]
    blank = [""] * len(probed)
    lines += [row if len(row) > 1 else (f"**{row[0]}**", *blank) for row in rows(probed)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines]
    return "\n".join([*table, *(f"\n{error}" for error in _errors(probed))])


def details(probed: Sequence[Probed]) -> str:
    """What every answer rests on, a line each."""
    lines = [
        f"{each.engine}: {answer.question}: {answer.said}"
        + (f" ({answer.detail})" if answer.detail else "")
        for each in probed
        for answer in each.answers
    ]
    return visible("\n".join(lines))


def _costs(probed: Sequence[Probed]) -> Iterable[Row]:
    reference = next((e.costs for e in probed if e.engine == DEFAULT), None)
    kinds: tuple[tuple[str, Callable[[Costs], float]], ...] = (
        ("a start, to the end of `true`", lambda costs: costs.start),
        ("a small file: made, looked at, removed", lambda costs: costs.file),
        ("a process: started, ended", lambda costs: costs.process),
    )
    for name, pick in kinds:
        known = [pick(each.costs) if each.costs else None for each in probed]
        base = pick(reference) if reference else None
        yield (name, *("" if value is None else _duration(value) for value in known))
        if base and len(probed) > 1:
            ratios = ("" if value is None else f"{value / base:.2f}" for value in known)
            yield (f"  as a multiple of {DEFAULT}", *ratios)


def _duration(value: float) -> str:
    """Three significant digits with a unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= scale or unit == "µs":
            number = value / scale
            return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f} {unit}"
    raise AssertionError(value)


def _errors(probed: Sequence[Probed]) -> list[str]:
    return [f"{each.engine}: {each.error}" for each in probed if each.error]


def _padded(row: Row, widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
    return "  ".join(cells).rstrip() if len(row) > 1 else f"\n{row[0]}"
