"""The comparison of two outputs as one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from cloche.comparison.comparison import Comparison, Judged
from cloche.comparison.rules import JUDGEMENTS, Judgement, Rule
from cloche.display import onefile
from cloche.display.comparison import change, grouped, holds, subject, verdict
from cloche.layers.compare import printable

_ROWS = 2000  # shown for a rule; the command line shows all
_CLASSES: dict[Judgement, str] = {
    "wrong": "wrong",
    "to look at": "look",
    "harmless": "harmless",
    "left out": "left",
}


def page(found: Comparison, old: str, new: str) -> str:
    """The whole file."""
    parts = {
        "TITLE": _text(f"{_short(old)} and {_short(new)}: comparison"),
        "VERDICT": _text(verdict(found)),
        "CARDS": "".join(_cards(found)),
        "LINKS": "".join(_links(found)),
        "TREES": "".join(_trees(found, old, new)),
        "RULES": "".join(_sections(found)),
    }
    return onefile.page("comparison.html", parts, ["report.css", "comparison.css"])


def _short(output: str) -> str:
    """The last part of an output's path."""
    return output.rstrip("/").rpartition("/")[2] or output


def _text(text: str) -> str:
    """Text from outside, escaped."""
    return html.escape(printable(text))


def _cards(found: Comparison) -> Iterator[str]:
    counts = found.counts()
    for judgement in JUDGEMENTS:
        number = counts.get(judgement, 0)
        kind = f" {_CLASSES[judgement]}" if number else ""
        yield f'<div class="card{kind}"><b>{number:,}</b><span>{judgement}</span></div>'
    yield f'<div class="card"><b>{found.same:,}</b><span>identical names</span></div>'


def _links(found: Comparison) -> Iterator[str]:
    yield '<a href="#outputs">Outputs</a>'
    counts = found.counts()
    for judgement in JUDGEMENTS:
        if counts.get(judgement):
            yield f'<a href="#{_CLASSES[judgement]}">{judgement.capitalize()}</a>'


def _trees(found: Comparison, old: str, new: str) -> Iterator[str]:
    yield f"<table><tr><th></th><th>{_text(old)}</th><th>{_text(new)}</th></tr>"
    for name, sides in found.trees.items():
        cells = "".join(f"<td>{_text(holds(tree))}</td>" for tree in sides)
        yield f"<tr><td>{_text(name)}</td>{cells}</tr>"
    yield "</table>"


def _sections(found: Comparison) -> Iterator[str]:
    for judgement in JUDGEMENTS:
        rules = [pair for pair in grouped(found) if pair[0].judgement == judgement]
        if not rules:
            continue
        kind = _CLASSES[judgement]
        yield f'<section id="{kind}" class="{kind}"><h2>{judgement.capitalize()}</h2>'
        for rule, each in rules:
            yield from _rule(rule, each)
        yield "</section>"


def _rule(rule: Rule, found: list[Judged]) -> Iterator[str]:
    opened = " open" if rule.judgement == "wrong" else ""
    yield f"<details{opened}><summary><b>{len(found):,}</b> {_text(rule.name)} "
    yield f"<span>{_text(rule.reason)}</span></summary>"
    if rule.judgement != "left out":
        yield '<div class="scroll"><table>'
        yield from _rows(found[:_ROWS])
        yield "</table></div>"
        if len(found) > _ROWS:
            yield f'<p class="hint">and {len(found) - _ROWS:,} more: --rule {rule.name}</p>'
    yield "</details>"


def _rows(found: Iterable[Judged]) -> Iterator[str]:
    for judged in found:
        each = judged.difference
        diff = "\n".join(map(_text, each.lines))
        pre = f"<pre>{diff}</pre>" if diff else ""
        yield (
            f"<tr><td>{_text(judged.tree)}</td><td>{_text(subject(each))}{pre}</td>"
            f"<td>{_text(each.package)}</td><td>{_text(change(each))}</td></tr>"
        )
