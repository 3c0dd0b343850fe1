"""Lines that go by above the live picture, and stay: what was built, failures, notes."""

from __future__ import annotations

from cloche.display.follow import last_lines
from cloche.display.state import State, bare_reason
from cloche.display.text import count, for_whom, seconds, size
from cloche.display.theme import Line, Theme
from cloche.plan.names import bare
from cloche.records import events
from cloche.records.errorlines import error_lines

TAIL = 6  # lines that tell of a failure
REACH = 400  # lines from a failed log's end among which the cause is looked for


def passing(event: events.Event, state: State, theme: Theme) -> list[Line]:
    """What to say for ever of an event; ``state`` is after it. Reused packages are only counted."""
    match event:
        case events.Note(level="warning"):
            return [[("warning: ", "failed"), (event.text, "")]]
        case events.Note():
            return [[(event.text, "")]]
        case events.Planned():
            return [[(f"{event.machine}: {count(len(event.packages), 'package')} in the plan", "")]]
        case events.Stage(state="end") if not event.reused:
            return [[(f"{event.title}: {seconds(event.seconds)}", "")]]
        case events.Fetched():
            return [[(f"  fetched {event.file} ({size(event.size)})", "dim")]]
        case events.Done(how="built" | "failed"):
            return _done(event, state, theme)
        case events.Finished():
            return [[(_sum(event), "bold")]]
        case _:
            return []


def _done(event: events.Done, state: State, theme: Theme) -> list[Line]:
    name = bare(event.package)
    total = len(state.nodes)
    place = f" [{state.ended.bit_count():>{len(str(total))}}/{total}]"
    line = [(f"{theme.marks[event.how]}", event.how), (place, "dim"), (f" {name}", "bold")]
    line.append((f"  {seconds(event.seconds)}", "dim"))
    if event.how == "built":
        line.append((for_whom(event.package, state.machines), "dim"))
        return [line]
    reason = bare_reason(event) or "failed"
    lines: list[Line] = [[*line, (f"  {reason}", "failed")]]
    if reason.endswith("stopped"):
        return lines
    why = event.lines[:TAIL] or error_lines(last_lines(event.log, REACH))[:TAIL]
    lines.extend([("    ", ""), (text, "")] for text in why)
    return lines


def _sum(event: events.Finished) -> str:
    parts = [f"{event.built} built", f"{event.reused} reused"]
    if event.failed:
        parts.append(f"{event.failed} failed")
    if event.skipped:
        parts.append(f"{event.skipped} not started")
    return f"{', '.join(parts)} in {seconds(event.seconds)}"
