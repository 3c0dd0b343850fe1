"""A run of many specs: lines as it goes on, each with its spec, and one HTML file about it."""

from __future__ import annotations

import base64
import hashlib
import html
import threading
from collections.abc import Iterator
from importlib.resources import files
from typing import TextIO

from cloche.display.plain import Plain
from cloche.display.text import count, one_line, seconds, size
from cloche.plan.names import bare
from cloche.releng.journal import (
    Compared,
    Entry,
    HookEnded,
    RunStarted,
    SpecEnded,
    SpecStarted,
    encode_entry,
)
from cloche.releng.report import Report, SpecReport

_OWN_STYLE = """
main { display: block; } td.built, td.reused, td.failed, td.skipped { font-weight: 600; }
td.waiting, td.building { color: var(--faint); }
"""


class SpecLines:
    """Plain lines, each with the name of its spec before it. Safe to use from several threads."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._lock = threading.Lock()
        self._plain: dict[str, Plain] = {}
        self._total = 0
        self._ended = 0

    def __call__(self, entry: Entry) -> None:
        """Show one entry."""
        with self._lock:
            if (line := self._line(entry)) is not None:
                self._write(line)
            elif entry.spec:
                self._of(entry.spec)(entry.event)

    def close(self) -> None:
        """Show no more."""
        for each in self._plain.values():
            each.close()

    def _of(self, spec: str) -> Plain:
        if spec not in self._plain:
            stream = _Named(self._stream, spec)
            self._plain[spec] = Plain(stream, verbose=self._verbose)  # type: ignore[arg-type]
        return self._plain[spec]

    def _line(self, entry: Entry) -> str | None:
        match entry.event:
            case RunStarted() as event:
                self._total = len(event.specs)
                tree = f"tree {event.treeish}"
                return f"{event.name} {event.timestamp}: {count(self._total, 'spec')}, {tree}"
            case SpecStarted():
                return f"{entry.spec}: begins"
            case SpecEnded() as event:
                self._ended += 1
                if (plain := self._plain.pop(entry.spec, None)) is not None:
                    plain.close()
                why = f": {event.reason}" if event.reason else ""
                at = f"[{self._ended}/{self._total}] {entry.spec}: {event.how}"
                return f"{at} {seconds(event.seconds)}{why}"
            case HookEnded() as event:
                done = "done" if not event.status else f"status {event.status}, see {event.log}"
                return f"{' '.join(event.words)}: {done}"
            case Compared() as event:
                said = f"status {event.status}, see {event.log}" if event.status else "done"
                return f"{entry.spec}: catalyst: {said}"
            case _:
                return None

    def _write(self, line: str) -> None:
        self._stream.write(one_line(line) + "\n")
        self._stream.flush()


class _Named:
    """A stream whose lines begin with a name; each write is a whole line."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, line: str) -> None:
        self._stream.write(f"{one_line(self._name)}: {line}")

    def flush(self) -> None:
        self._stream.flush()


class SpecJson:
    """Each entry as a line of JSON: the event with a key ``spec``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, entry: Entry) -> None:
        """Write one entry."""
        with self._lock:
            self._stream.write(encode_entry(entry).decode() + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Nothing is held."""


def page(report: Report) -> str:
    """The report as one HTML file that loads nothing and runs nothing."""
    assets = files("cloche.display").joinpath("page")
    style = assets.joinpath("report.css").read_text(encoding="utf-8") + _OWN_STYLE
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = _text(f"{report.name} {report.timestamp}")
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            f"content=\"default-src 'none'; style-src 'sha256-{digest}'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}: releng report</title>\n<style>{style}</style>\n</head>\n<body>",
            f"<header><h1>{title}</h1><p id=when>{_text(report.sentence)}; tree "
            f"{_text(report.treeish)}</p>",
            *_cards(report),
            "</header>\n<main>",
            *_failures(report),
            *_specs(report),
            *_outputs(report),
            "</main>\n</body>\n</html>\n",
        )
    )


def _text(text: str) -> str:
    return html.escape(one_line(text))


def _cards(report: Report) -> Iterator[str]:
    shared = report.shared
    figures = (
        (seconds(report.seconds), "in all"),
        (str(len(report.specs)), "specs"),
        (str(shared.wanted), "packages in all specs"),
        (str(shared.layers), "different ones"),
        (str(shared.built), "built"),
        (f"{shared.ratio:.2f}", "times what the different ones take"),
        (seconds(shared.spent), "for builds and merges"),
        (seconds(report.stages), "for all other steps"),
    )
    yield '<div id="cards">'
    for number, what in figures:
        yield f'<div class="card"><b>{_text(number)}</b><span>{what}</span></div>'
    yield "</div>"


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
    if spec.compared is None:
        return ""
    if spec.compared.status:
        return f"status {spec.compared.status}"
    counts = [f"{number} {_text(name)}" for name, number in spec.compared.differs.items()]
    return ", ".join(counts) or "equal"


def _outputs(report: Report) -> Iterator[str]:
    yield "<section><h2>Files</h2><div class=scroll><table><tbody>"
    for each in report.specs:
        for path, length in each.outputs.items():
            yield f"<tr><td>{_text(path)}</td><td class=number>{size(length)}</td></tr>"
    yield "</tbody></table></div></section>"
