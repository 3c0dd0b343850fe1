"""The comparison of two outputs as lines for people, and as data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

from cloche.comparison.comparison import Comparison, Judged, Tree
from cloche.comparison.differences import Difference
from cloche.comparison.rules import JUDGEMENTS, PASSING, RULES, Judgement, Rule
from cloche.display.text import count, size
from cloche.layers.compare import printable

_SAMPLES = 3  # differences of a rule that are shown at first
_NAMED = 4  # rules of a judgement that the summary names
_COLUMN = 12
#: What a line says without the word for it.
_OBVIOUS = (
    *("lost", "gained", "package-lost", "package-gained", "tree-lost", "tree-gained"),
    *("version", "target", "about", "text", "content"),
)


def summary(found: Comparison, old: str, new: str) -> Iterator[str]:
    """About ten lines: what is compared, and how many differences there are of each judgement."""
    yield f"{'old':<{_COLUMN}}{printable(old)}"
    yield f"{'new':<{_COLUMN}}{printable(new)}"
    for name, sides in trees(found).items():
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
    """What the counts mean."""
    counts = found.counts()
    if found.passed:
        return "only what is harmless differs" if found.judged else "nothing differs"
    if counts.get("wrong"):
        return "something is wrong in the new output, by the rules below"
    return "nothing is wrong; some differences are to be looked at"


def trees(found: Comparison) -> dict[str, tuple[Tree | None, Tree | None]]:
    """The trees of both outputs by their names."""
    mine, theirs = ({tree.name: tree for tree in side} for side in (found.old, found.new))
    return {name: (mine.get(name), theirs.get(name)) for name in dict.fromkeys((*mine, *theirs))}


def holds(tree: Tree | None) -> str:
    """What a tree is and how much it holds."""
    if tree is None:
        return "not there"
    held = tree.inventory
    packages = f"{count(len(held.packages), 'package')}, " if held.packages else ""
    return f"{tree.kind}, {packages}{len(held.items):,} names, {size(held.size)}"


def by_rule(
    found: Comparison, rules: Collection[str] = (), *, everything: bool = False
) -> Iterator[str]:
    """The differences, rule by rule, the worst first.

    Of rules that do not pass a few samples, unless ``rules`` names those that are wanted whole.
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
    """A name as a path, a package as it is."""
    return f"/{each.subject}" if each.kind else each.subject


def change(each: Difference) -> str:
    """From what to what."""
    what = "" if each.aspect in _OBVIOUS else f"{each.aspect} "
    if each.old and each.new:
        return f"{what}{each.old} -> {each.new}"
    return f"{what}{'-' if each.old else '+'} {each.old or each.new}"


def as_data(found: Comparison, old: str, new: str, *, everything: bool = False) -> dict[str, Any]:
    """All of it for programs; what is left out is only counted unless ``everything`` is wanted."""
    counts = found.counts()
    return {
        "old": old,
        "new": new,
        "passed": found.passed,
        "same": found.same,
        "counts": {judgement: counts.get(judgement, 0) for judgement in JUDGEMENTS},
        "trees": [
            {"name": name, "old": _tree(a), "new": _tree(b)}
            for name, (a, b) in trees(found).items()
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
            _data(each) for each in found.judged if everything or each.rule.judgement != _LEFT_OUT
        ],
    }


_LEFT_OUT: Judgement = "left out"


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
