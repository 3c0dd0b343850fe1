"""The report of a run of many specs as one HTML file that loads nothing and runs no script."""

from __future__ import annotations

import html
from collections.abc import Iterator

from cloche.display import onefile
from cloche.display.text import one_line, seconds, size
from cloche.plan.names import bare
from cloche.releng.report import Report, SpecReport


def page(report: Report) -> str:
    """The whole file."""
    heading = _text(f"{report.name} {report.timestamp}")
    parts = {
        "TITLE": f"{heading}: releng report",
        "HEADING": heading,
        "SENTENCE": f"{_text(report.sentence)}; tree {_text(report.treeish)}",
        "CARDS": "".join(_cards(report)),
        "SECTIONS": "".join(
            (*_failures(report), *_specs(report), *_catalyst(report), *_outputs(report))
        ),
    }
    return onefile.page("releng.html", parts, ["report.css", "releng.css"])


def _text(text: str) -> str:
    return html.escape(one_line(text))


def _cards(report: Report) -> Iterator[str]:
    shared = report.shared
    ratio = ((f"{shared.ratio:.2f}", "time spent ÷ time of the distinct packages"),)
    figures = (
        (seconds(report.seconds), "in all"),
        (str(len(report.specs)), "specs"),
        (str(shared.wanted), "packages in all specs"),
        (str(shared.layers), "distinct packages"),
        (str(shared.built), "built"),
        *(ratio if shared.built else ()),
        (seconds(shared.spent), "for builds and merges"),
        (seconds(report.stages), "for all other steps"),
    )
    for number, what in figures:
        yield f'<div class="card"><b>{_text(number)}</b><span>{what}</span></div>'


def _failures(report: Report) -> Iterator[str]:
    failed = [each for each in report.specs if each.how in ("failed", "skipped")]
    if not failed and not report.hooks:
        return
    yield "<section id=failures><h2>What failed</h2>"
    for hook in report.hooks:
        words = _text(" ".join(hook.words))
        yield f"<p>Hook {words}: status {hook.status}, see {_text(hook.log)}</p>"
    for spec in failed:
        optional = " (optional)" if spec.optional else ""
        yield f"<h3>{_text(spec.name)}{optional}</h3><p>{_text(spec.reason or spec.how)}</p>"
        for package in spec.failed:
            yield f"<p><b>{_text(bare(package.package))}</b>: {_text(package.reason)}</p>"
            if package.lines:
                yield _pre(package.lines)
            where = [f"log: {package.log}" if package.log else "", package.enter or ""]
            yield f"<p class=hint>{_text('  '.join(filter(None, where)))}</p>"
        if spec.detail and not spec.failed:
            yield _pre(spec.detail)
    yield "</section>"


def _pre(lines: tuple[str, ...]) -> str:
    return f"<pre class=why>{'&#10;'.join(map(_text, lines))}</pre>"


def _specs(report: Report) -> Iterator[str]:
    heads = ("Spec", "Set", "Result", "Time", "Packages' time", "Other steps", "Built", "Reused")
    yield "<section><h2>Specs</h2><div class=scroll><table><thead><tr>"
    yield "".join(f"<th>{head}</th>" for head in heads)
    compared = any(each.compared for each in report.specs)
    yield ("<th>Catalyst</th>" if compared else "") + "</tr></thead><tbody>"
    for each in report.specs:
        times = (each.seconds, each.busy, each.stages)
        numbers = [*map(seconds, times), str(each.built), str(each.reused)]
        yield (
            f"<tr><td>{_text(each.name)}</td><td>{_text(each.set)}</td>"
            f"<td class={each.how}>{each.how}</td>"
            + "".join(f"<td class=number>{number}</td>" for number in numbers)
            + (f"<td>{_compared(each)}</td>" if compared else "")
            + "</tr>"
        )
    yield "</tbody></table></div></section>"


def _compared(spec: SpecReport) -> str:
    return _text(spec.compared.verdict) if spec.compared else ""


def _catalyst(report: Report) -> Iterator[str]:
    """Why catalyst failed, and the first differences from what it made."""
    for each in report.specs:
        found = each.compared
        if found is None or not (found.status or found.wrong):
            continue
        yield f"<section><h2>{_text(each.name)}: catalyst</h2>"
        yield _pre(found.detail if found.status else found.wrong)
        yield f"<p class=hint>log: {_text(found.log)}</p></section>" if found.log else "</section>"


def _outputs(report: Report) -> Iterator[str]:
    yield "<section><h2>Files</h2><div class=scroll><table><tbody>"
    for each in report.specs:
        for path, length in each.outputs.items():
            yield f"<tr><td>{_text(path)}</td><td class=number>{size(length)}</td></tr>"
    yield "</tbody></table></div></section>"
