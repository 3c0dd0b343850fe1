"""A report as text, for a mail or a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from cloche.plan.names import bare
from cloche.releng.report import Report, SpecReport

_LINES = 40  # of a log or of a detail, per failure


def as_text(report: Report) -> str:
    """The summary first, then what failed and why, then every spec."""
    return "\n".join(_lines(report)) + "\n"


def subject(report: Report) -> str:
    """The subject of a mail, without its prefix."""
    if report.fatal:
        names = ", ".join(each.name for each in report.fatal[:3])
        more = ", …" if len(report.fatal) > 3 else ""
        return f"{len(report.fatal)} of {len(report.specs)} specs failed: {names}{more}"
    return report.sentence


def _lines(report: Report) -> Iterator[str]:
    shared = report.shared
    yield f"{report.name} {report.timestamp}, tree {report.treeish}"
    yield report.sentence
    yield f"{_took(report.seconds)} in all"
    yield (
        f"{shared.wanted} packages in all specs, {shared.layers} of them distinct; "
        f"{shared.built} built"
    )
    if shared.built:
        yield f"{shared.ratio:.2f} times as long as building each distinct package once"
    yield f"{_took(shared.spent)} for builds and merges, {_took(report.stages)} for all other steps"
    for hook in report.hooks:
        yield f"hook {' '.join(hook.words)}: status {hook.status}, see {hook.log}"
    for each in report.specs:
        if each.how in ("failed", "skipped"):
            yield from _failure(each)
    for each in report.specs:
        yield from _compared(each)
    yield ""
    width = max((len(each.name) for each in report.specs), default=0)
    for each in report.specs:
        yield f"{each.name:<{width}}  {_state(each)}"


def _failure(spec: SpecReport) -> Iterator[str]:
    yield ""
    yield f"{spec.name}{' (optional)' if spec.optional else ''}: {spec.reason or spec.how}"
    for failed in spec.failed:
        yield f"  {bare(failed.package)}: {failed.reason}"
        yield from (f"    {line}" for line in failed.lines[-_LINES:])
        if failed.log:
            yield f"    log: {failed.log}"
        if failed.enter:
            yield f"    inspect its root: {failed.enter}"
    if not spec.failed:
        yield from (f"    {line}" for line in spec.detail[-_LINES:])


def _state(spec: SpecReport) -> str:
    if spec.how not in ("built", "failed"):
        return spec.how
    state = f"{spec.how}, {_took(spec.seconds)}, {spec.built} packages built, {spec.reused} reused"
    if (compared := spec.compared) is not None:
        state += f"; catalyst: {compared.verdict}"
    return state


def _compared(spec: SpecReport) -> Iterator[str]:
    """Why catalyst failed, or what differs."""
    if (compared := spec.compared) is None:
        return
    if compared.status:
        yield f"\n{spec.name}: catalyst failed, see {compared.log}"
        yield from (f"  {line}" for line in compared.detail)
    elif compared.wrong:
        how = "differs from" if compared.complete else "was not wholly compared with"
        yield f"\n{spec.name}: {how} what catalyst made"
        yield from (f"  {line}" for line in compared.wrong)


def _took(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
