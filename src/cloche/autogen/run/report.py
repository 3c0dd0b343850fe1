"""What a run did, package by package: as values, as a table, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cloche.autogen.findings import Finding
from cloche.plan.names import cp_of

Result = Literal["new", "changed", "unchanged", "removed", "refused", "failed"]
RESULTS: tuple[Result, ...] = ("new", "changed", "removed", "refused", "failed", "unchanged")
_SHOWN = 3  # ebuilds in a line of the table
_FAILURES = ("refused", "failed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with a package of the list.

    ``cpvs`` are the ebuilds that it has, ``files`` what was written, or would be. ``removed``:
    upstream has it no more, and its ebuilds stay.
    """

    package: str
    result: Result
    cpvs: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether the package got no ebuild, or one in which pkgcheck found an error."""
        return self.result in _FAILURES or any(each.is_error for each in self.findings)


def with_findings(outcomes: Sequence[Outcome], found: Sequence[Finding]) -> list[Outcome]:
    """The outcomes, each with pkgcheck's findings about its ebuilds and package."""

    def of(outcome: Outcome) -> tuple[Finding, ...]:
        about = {*outcome.cpvs, *map(cp_of, outcome.cpvs)}
        return tuple(each for each in found if each.about in about)

    return [replace(each, findings=of(each)) for each in outcomes]


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The table of all that is not unchanged, and a line of sums."""
    told = [each for each in outcomes if each.result != "unchanged" or each.notes or each.findings]
    told.sort(key=lambda each: (RESULTS.index(each.result), each.package))
    width = max((len(each.package) for each in told), default=0)
    for each in told:
        what = _listed(each.new) or each.reason or _listed(each.cpvs)
        yield f"{each.result:9}  {each.package:{width}}  {what}".rstrip()
        if each.reason and each.new:
            yield f"{'':11}{each.reason}"
        for note in (*each.notes, *map(str, each.findings)):
            yield f"{'':11}{note}"
    yield summary(outcomes)


def _listed(cpvs: Sequence[str]) -> str:
    more = f" and {len(cpvs) - _SHOWN} more" if len(cpvs) > _SHOWN else ""
    return ", ".join(cpvs[:_SHOWN]) + more


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many there are of each result."""
    counts = Counter(each.result for each in outcomes)
    return ", ".join(f"{counts[each]} {each}" for each in RESULTS if counts[each])


def data(repository: Path, outcomes: Sequence[Outcome], *, dry_run: bool) -> dict[str, Any]:
    """The report for ``--json``."""
    counts = Counter(each.result for each in outcomes)
    return {
        "repository": str(repository),
        "dry_run": dry_run,
        "counts": {each: counts[each] for each in RESULTS},
        "packages": [
            {
                "package": each.package,
                "result": each.result,
                "ebuilds": list(each.cpvs),
                "new": list(each.new),
                "changed": [str(path) for path in each.files],
                "reason": each.reason or None,
                "notes": list(each.notes),
                "pkgcheck": [asdict(one) for one in each.findings],
            }
            for each in outcomes
        ],
    }
