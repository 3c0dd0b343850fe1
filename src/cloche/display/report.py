"""A build as one HTML file that needs nothing else: no network, no file beside it.

All that comes from outside (names, reasons, logs) goes into the page as JSON in which no ``<``
stands, and from there into text nodes alone. A content security policy allows the page's own script
and style, by their digests, and nothing else. Logs are gzip in base64 and unpacked by the browser
(Compression Streams) when they are opened.
"""

from __future__ import annotations

import base64
import gzip
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cloche.display import onefile
from cloche.display.layered import placed
from cloche.display.timeline import Timeline, Work, critical_chain, lanes, slowest_phases
from cloche.plan.names import bare
from cloche.plan.order import reduced


@dataclass(frozen=True, slots=True)
class LogText:
    """The end of a step's log; ``left_out`` lines stood before it."""

    step: str
    text: str
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class About:
    """What the report tells of a package beside its events. ``size`` is its layer's, in bytes."""

    use: tuple[str, ...] = ()
    size: int | None = None
    member: bool = True  # of the machine; otherwise it was needed for building only
    logs: tuple[LogText, ...] = field(default=())


def page(line: Timeline, about: Mapping[str, About]) -> str:
    """The whole file."""
    parts = {
        "TITLE": html.escape(f"{line.machine}: build report"),
        "DATA": embedded(page_data(line, about)),
        "LOGS": embedded(_logs(line.works, about)),
    }
    return onefile.page("report.html", parts, ["report.css"], ["report.js", "graph.js"])


def embedded(data: Any) -> str:
    """JSON that may stand in a script element, whatever its strings hold (HTML 4.12.1.3)."""
    text = msgspec.json.encode(data).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_data(line: Timeline, about: Mapping[str, About]) -> dict[str, Any]:
    """What the page's script draws."""
    needs = reduced(line.order)
    places = placed(needs)
    number = line.order.index
    lane = lanes(line.works)
    return {
        "machine": line.machine,
        "began": line.began,
        "seconds": line.seconds,
        "finished": line.finished,
        "stages": [_span(span) for span in line.stages],
        "lanes": max(lane.values(), default=-1) + 1,
        "critical": [number[name] for name in critical_chain(line)],
        "slowest": [
            {"package": number[name], **_span(phase)} for name, phase in slowest_phases(line.works)
        ],
        "packages": [
            {
                **_package(work, about.get(work.package, About())),
                "lane": lane.get(work.package),
                "needs": [number[other] for other in needs[work.package]],
                "place": places[work.package],
            }
            for work in line.works
        ],
    }


def _package(work: Work, about: About) -> dict[str, Any]:
    done = work.done
    return {
        "id": work.package,
        "name": bare(work.package),
        "how": work.how or "unfinished",
        "start": work.start,
        "end": work.end,
        "steps": [_span(step) for step in work.steps],
        "phases": [_span(phase) for phase in work.phases],
        "use": about.use,
        "size": about.size,
        "member": about.member,
        "reason": done.reason if done else None,
        "lines": done.lines if done else (),
        "enter": done.enter if done else None,
        "said": [
            {"level": message.level, "text": "\n".join(message.lines)} for message in work.said
        ],
        "logs": [{"step": log.step, "leftOut": log.left_out} for log in about.logs],
    }


def _span(span: Any) -> dict[str, Any]:
    return {"name": span.name, "start": span.start, "end": span.end}


def _logs(works: Sequence[Work], about: Mapping[str, About]) -> list[list[str]]:
    """For each package its logs, packed."""
    return [[_packed(log.text) for log in about.get(work.package, About()).logs] for work in works]


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
