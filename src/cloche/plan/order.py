"""The order of packages as bit sets: closures and transitive reduction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

_BITS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """An acyclic relation over ``names``, whose order it follows.

    Sets are integers whose bit N stands for ``names[N]``. ``needs`` are the edges of the transitive
    reduction, ``wanted`` the same backwards; ``below`` is all that a name waits for, ``above`` all
    that waits for it. Compared by identity, so that it can be a key of caches.
    """

    names: tuple[str, ...]
    index: Mapping[str, int]
    needs: tuple[int, ...]
    wanted: tuple[int, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]


def bits(number: int) -> Iterator[int]:
    """Positions of the set bits, the lowest first."""
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def mask(places: Iterable[int]) -> int:
    """The set of these positions."""
    number = 0
    for place in places:
        number |= 1 << place
    return number


def chosen(names: Sequence[str], number: int) -> tuple[str, ...]:
    """Those of ``names`` whose bits are set."""
    return tuple(compress(names, format(number, "b")[::-1].encode().translate(_BITS)))


def closures(needs: Sequence[Iterable[int]]) -> list[int]:
    """For each position the set of all its direct and indirect needs, and itself.

    Cycles are allowed. It is fast if what is needed comes earlier.
    """
    found = [1 << place for place in range(len(needs))]
    changed = True
    while changed:
        changed = False
        for place, direct in enumerate(needs):
            number = found[place]
            for other in direct:
                number |= found[other]
            if number != found[place]:
                found[place] = number
                changed = True
    return found


def make_order(names: Sequence[str], edges: Mapping[str, Iterable[str]]) -> Order:
    """Order ``names`` by ``edges``, each name's the ones it waits for.

    An edge to an unknown name, or to one that does not come earlier, is left out.
    """
    index = {name: place for place, name in enumerate(names)}
    needs: list[int] = []
    below: list[int] = []
    for place, name in enumerate(names):
        direct = {d for d in (index.get(e, place) for e in edges.get(name, ())) if d < place}
        implied = 0
        for other in direct:
            implied |= below[other]
        needs.append(mask(other for other in direct if not implied >> other & 1))
        below.append(implied | mask(direct))
    wanted, above = [0] * len(names), [0] * len(names)
    for place in reversed(range(len(names))):
        bit = 1 << place
        for other in bits(needs[place]):
            wanted[other] |= bit
            above[other] |= above[place] | bit
    return Order(tuple(names), index, tuple(needs), tuple(wanted), tuple(below), tuple(above))


def reduced(order: Order) -> dict[str, tuple[str, ...]]:
    """What each name waits for, without implied edges."""
    return {
        name: tuple(order.names[other] for other in bits(order.needs[place]))
        for place, name in enumerate(order.names)
    }


def shown_edges(order: Order, shown: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The transitive reduction among the positions in ``shown``.

    Chains through positions that are not shown count as edges.
    """
    every = mask(shown)
    edges = {}
    for place in shown:
        reached = order.below[place] & every
        implied = 0
        for other in bits(reached):
            implied |= order.below[other]
        edges[place] = tuple(bits(reached & ~implied))
    return edges
