"""The comparison of two outputs: their trees, and each difference between them, judged."""

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


Sides = tuple[Tree | None, Tree | None]
"""A tree in the old and in the new output."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A difference of the tree ``tree``, and the rule that judges it."""

    tree: str
    difference: Difference
    rule: Rule


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two outputs with all their differences; ``same`` counts the names that do not differ."""

    old: tuple[Tree, ...]
    new: tuple[Tree, ...]
    judged: tuple[Judged, ...]
    same: int

    @property
    def trees(self) -> Mapping[str, Sides]:
        """The trees of both outputs by their names."""
        return _paired(self.old, self.new)

    @property
    def passed(self) -> bool:
        """Whether all differences are harmless or left out."""
        return all(each.rule.judgement in PASSING for each in self.judged)

    def counts(self) -> Mapping[Judgement, int]:
        """The number of differences of each judgement."""
        return Counter(each.rule.judgement for each in self.judged)


def compare(old: Sequence[Tree], new: Sequence[Tree]) -> Comparison:
    """Compare two outputs."""
    judged = tuple(_judged(old, new))
    subjects = {(each.tree, each.difference.subject) for each in judged}
    same = sum(
        (tree, name) not in subjects
        for tree, (a, b) in _paired(old, new).items()
        if a is not None and b is not None
        for name in a.inventory.items.keys() & b.inventory.items.keys()
    )
    return Comparison(tuple(old), tuple(new), judged, same)


def _judged(old: Sequence[Tree], new: Sequence[Tree]) -> Iterator[Judged]:
    for name, sides in _paired(old, new).items():
        for each in _of_tree(name, *sides):
            yield Judged(name, each, rule_of(each))


def _paired(old: Sequence[Tree], new: Sequence[Tree]) -> dict[str, Sides]:
    mine, other = ({tree.name: tree for tree in side} for side in (old, new))
    return {name: (mine.get(name), other.get(name)) for name in dict.fromkeys((*mine, *other))}


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
