"""The comparison of two outputs as text lines and as data for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from cloche.comparison.comparison import Comparison, Judged, Tree
from cloche.comparison.differences import Difference
from cloche.comparison.rules import JUDGEMENTS, PASSING, RULES, Rule
from cloche.display.text import count, size
from cloche.layers.compare import printable

_SAMPLES = 3  # differences of a rule that are shown unless all are wanted
_NAMED = 4  # rules of a judgement that the summary names
_COLUMN = 12
#: Aspects that a line shows without their name.
_OBVIOUS = (
    *("lost", "gained", "package-lost", "package-gained", "tree-lost", "tree-gained"),
    *("version", "target", "about", "text", "content"),
)


def summary(found: Comparison, old: str, new: str) -> Iterator[str]:
    """About ten lines: the outputs, their trees, and the number of differences by judgement."""
    yield f"{'old':<{_COLUMN}}{printable(old)}"
    yield f"{'new':<{_COLUMN}}{printable(new)}"
    for name, sides in found.trees.items():
        yield f"{printable(name) or 'holds':<{_COLUMN - 1}} {' | '.join(map(holds, sides))}"
    yield f"{'same':<{_COLUMN}}{count(found.same, 'name')}"
    for judgement in JUDGEMENTS:
        rules = Counter(each.rule.name for each in found.judged if each.rule.judgement == judgement)
        few = [f"{name} {number:,}" for name, number in rules.most_common(_NAMED)]
        more = [f"{count(len(rules) - _NAMED, 'rule')} more"] if len(rules) > _NAMED else []
        total = f"{rules.total():,}"
        yield f"{judgement:<{_COLUMN}}{total}" + (f": {', '.join(few + more)}" if few else "")
    yield f"{'result':<{_COLUMN}}{verdict(found)}"


def verdict(found: Comparison) -> str:
    """The result in one phrase."""
    counts = found.counts()
    if found.passed:
        return "only harmless differences" if found.judged else "no differences"
    if counts.get("wrong"):
        return "the new output is wrong according to the rules below"
    return "nothing is wrong; look at the differences below"


def holds(tree: Tree | None) -> str:
    """The kind of a tree, and how much it holds."""
    if tree is None:
        return "missing"
    held = tree.inventory
    packages = f"{count(len(held.packages), 'package')}, " if held.packages else ""
    return f"{tree.kind}, {packages}{len(held.items):,} names, {size(held.size)}"


def by_rule(
    found: Comparison, rules: Collection[str] = (), *, everything: bool = False
) -> Iterator[str]:
    """The differences, rule by rule, the worst first.

    By default, a few samples for each rule whose judgement does not pass. With ``rules``, all
    differences of these rules and no others. With ``everything``, all differences.
    """
    for rule, each in grouped(found):
        wanted = rule.name in rules
        whole = wanted or (everything and not rules)
        if whole or (not rules and rule.judgement not in PASSING):
            yield ""
            yield f"{rule.judgement}: {rule.name} ({len(each):,}): {rule.reason}"
            for one in each if whole else each[:_SAMPLES]:
                yield f"  {line(one)}"
                yield from (f"    {text}" for text in one.difference.lines if whole)
            if not whole and len(each) > _SAMPLES:
                yield f"  and {len(each) - _SAMPLES:,} more: --rule {rule.name}"


def grouped(found: Comparison) -> list[tuple[Rule, list[Judged]]]:
    """The rules that judged something, the worst first, each with its differences."""
    by_name: dict[str, list[Judged]] = {}
    for each in found.judged:
        by_name.setdefault(each.rule.name, []).append(each)
    order: Callable[[Rule], int] = lambda rule: JUDGEMENTS.index(rule.judgement)  # noqa: E731
    return [(rule, by_name[rule.name]) for rule in sorted(RULES, key=order) if rule.name in by_name]


def line(judged: Judged) -> str:
    """One difference on one line."""
    each = judged.difference
    tree = (
        f"{judged.tree}: "
        if judged.tree and each.aspect not in ("tree-lost", "tree-gained")
        else ""
    )
    owner = f" ({each.package})" if each.package else ""
    return printable(f"{tree}{subject(each)}{owner}: {change(each)}")


def subject(each: Difference) -> str:
    """A name as an absolute path, a package unchanged."""
    return f"/{each.subject}" if each.kind else each.subject


def change(each: Difference) -> str:
    """The old and the new value."""
    what = "" if each.aspect in _OBVIOUS else f"{each.aspect} "
    if each.old and each.new:
        return f"{what}{each.old} -> {each.new}"
    return f"{what}{'-' if each.old else '+'} {each.old or each.new}"


def as_data(found: Comparison, old: str, new: str, *, everything: bool = False) -> dict[str, Any]:
    """The comparison for JSON; what is left out is only counted, unless ``everything``."""
    counts = found.counts()
    return {
        "old": old,
        "new": new,
        "passed": found.passed,
        "same": found.same,
        "counts": {judgement: counts.get(judgement, 0) for judgement in JUDGEMENTS},
        "trees": [
            {"name": name, "old": _tree(a), "new": _tree(b)} for name, (a, b) in found.trees.items()
        ],
        "rules": [
            {
                "name": rule.name,
                "judgement": rule.judgement,
                "reason": rule.reason,
                "count": len(each),
            }
            for rule, each in grouped(found)
        ],
        "differences": [
            _data(each) for each in found.judged if everything or each.rule.judgement != "left out"
        ],
    }


def _tree(tree: Tree | None) -> dict[str, Any] | None:
    if tree is None:
        return None
    held = tree.inventory
    return {
        "kind": tree.kind,
        "names": len(held.items),
        "packages": len(held.packages),
        "bytes": held.size,
        **tree.about,
    }


def _data(judged: Judged) -> dict[str, Any]:
    each = judged.difference
    return {
        "tree": judged.tree,
        "rule": judged.rule.name,
        "judgement": judged.rule.judgement,
        "aspect": each.aspect,
        "subject": subject(each),
        "package": each.package,
        "old": each.old,
        "new": each.new,
        "lines": each.lines,
    }
