"""The comparison of two outputs: their trees, in what these differ, each difference judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cloche.comparison.differences import Difference, differences
from cloche.comparison.inventory import Inventory
from cloche.comparison.rules import PASSING, Judgement, Rule, rule_of


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree of an output: its name ("" for the output itself), what it is, what it holds.

    ``about`` are properties of the image as a whole, such as its label.
    """

    name: str
    kind: str
    inventory: Inventory
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference of the tree ``tree``, and the rule that judges it."""

    tree: str
    difference: Difference
    rule: Rule


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two outputs with all their differences; ``same`` counts names without any."""

    old: tuple[Tree, ...]
    new: tuple[Tree, ...]
    judged: tuple[Judged, ...]
    same: int

    @property
    def passed(self) -> bool:
        """Whether only what is harmless differs."""
        return all(each.rule.judgement in PASSING for each in self.judged)

    def counts(self) -> Mapping[Judgement, int]:
        """How many differences there are of each judgement."""
        return Counter(each.rule.judgement for each in self.judged)


def compare(old: Sequence[Tree], new: Sequence[Tree]) -> Comparison:
    """Compare two outputs that were read."""
    judged = tuple(_judged(old, new))
    subjects = {(each.tree, each.difference.subject) for each in judged}
    theirs = {tree.name: tree.inventory.items for tree in new}
    same = sum(
        1
        for tree in old
        for name in tree.inventory.items
        if name in theirs.get(tree.name, ()) and (tree.name, name) not in subjects
    )
    return Comparison(tuple(old), tuple(new), judged, same)


def _judged(old: Sequence[Tree], new: Sequence[Tree]) -> Iterator[Judged]:
    mine, theirs = ({tree.name: tree for tree in side} for side in (old, new))
    for name in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(name), theirs.get(name)
        for each in _of_tree(name, a, b):
            yield Judged(name, each, rule_of(each))


def _of_tree(name: str, a: Tree | None, b: Tree | None) -> Iterator[Difference]:
    if a is None or b is None:
        aspect = "tree-lost" if b is None else "tree-gained"
        yield Difference(aspect, name, a.kind if a else "", b.kind if b else "")
        return
    for key in sorted(a.about.keys() | b.about.keys()):
        values = a.about.get(key, ""), b.about.get(key, "")
        if values[0] != values[1]:
            yield Difference("about", key, *values)
    opened = a.inventory.opened & b.inventory.opened
    for each in differences(a.inventory, b.inventory):
        compared = each.aspect == "content" and each.subject in opened
        yield replace(each, noise="opened") if compared else each
