"""Refuses a machine with a root of its own if programs in it need what the root lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cloche.audit.audit import surveyed
from cloche.audit.needs import Need, unmet
from cloche.building.bringers import bringers, in_seed, seed_names
from cloche.building.context import BuildContext
from cloche.building.stages import once
from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.plan.names import cp_of
from cloche.records.events import Note
from cloche.store import Outcome, make_key

_SHOWN = 3  # in the line; the rest is in the detail
Brought = Mapping[str, Sequence[str]]
"""For the name of each need the packages that would bring it."""

FORMAT = "2"  # raise it when something else counts as a need


def check_needs(context: BuildContext, layers: Sequence[Layer], *, refuse: bool) -> None:
    """Look once at each composition of layers, the bottom first.

    If a program needs a library or an interpreter that none of them has, that is a warning, or
    with ``refuse`` raises ClocheError.
    """
    if not refuse:
        if fault := _fault(context, layers):
            context.bus(Note(text=fault.what, level="warning"))
        return
    ids = " ".join(layer.id for layer in layers)
    key = make_key("audit", {"format": FORMAT, "layers": ids})
    once(context, "audit", key, lambda: _check(context, layers))


def _check(context: BuildContext, layers: Sequence[Layer]) -> Outcome:
    if fault := _fault(context, layers):
        raise fault
    return Outcome({"layer": layers[-1].id})


def _fault(context: BuildContext, layers: Sequence[Layer]) -> ClocheError | None:
    """What is wrong with a root of these layers, None if nothing is."""
    root = surveyed(context.store, context.inputs.full_name, layers)
    needs = [need for need in unmet(root) if not need.aside]
    if foreign := [need for need in needs if need.kind == "CPU"]:
        return _foreign(context, foreign)
    return _lacks(context, needs) if needs else None


def _foreign(context: BuildContext, needs: Sequence[Need]) -> ClocheError:
    listed = [f"{need.path} of {need.package} ({need.name})" for need in needs]
    more = f" and {len(needs) - _SHOWN} more" if len(needs) > _SHOWN else ""
    return ClocheError(
        f"programs are for another CPU than the root's: {', '.join(listed[:_SHOWN])}{more}",
        where=f"machine {context.inputs.machine}",
        todo="let the ebuilds compile with CHOST-gcc (tc-getCC of toolchain-funcs.eclass), not "
        "with gcc or cc",
        detail="\n".join(listed),
    )


def _lacks(context: BuildContext, needs: Sequence[Need]) -> ClocheError:
    names = {need.name for need in needs}
    known, seeds = bringers(context, names), seed_names(context, names)
    brought = {name: known[name] or seeds[name] for name in names}
    shown = ", ".join(map(_clause, needs[:_SHOWN]))
    more = f" and {len(needs) - _SHOWN} more" if len(needs) > _SHOWN else ""
    return ClocheError(
        f"programs need what the root lacks: {shown}{more}",
        where=f"machine {context.inputs.machine}",
        todo=_todo(needs, brought),
        detail="\n".join(
            f"{_clause(need)} ({_source(context, need.name, known, seeds)})" for need in needs
        ),
    )


def _clause(need: Need) -> str:
    return f"{need.path} of {need.package} the {need.text}"


def _source(context: BuildContext, name: str, known: Brought, seeds: Brought) -> str:
    if known[name]:
        return f"{' or '.join(known[name])} has it"
    place = in_seed(context, name)
    if place is None:
        return "no package that was built has it"
    of = f", of {' or '.join(seeds[name])}" if seeds[name] else ""
    return f"only the seed has it: {place}{of}"


def _todo(needs: Iterable[Need], brought: Brought) -> str:
    """Which packages to add, and to whose RDEPEND; and how to do without a program."""
    named = sorted({" or ".join(brought[n.name]) for n in needs if brought[n.name]})
    lacking = sorted({cp_of(need.package) for need in needs})
    of = lacking[0] if len(lacking) == 1 else "the ebuilds"
    unknown = sorted({need.name for need in needs if not brought[need.name]})
    if len(unknown) > _SHOWN:
        named.append("the packages with what is listed above")
    elif unknown:
        named.append(f"a package with {' and '.join(unknown)}")
    return (
        f"add {', '.join(named)} to `packages` of the machine or to RDEPEND of {of}, "
        "or leave out programs that are never run with INSTALL_MASK in package.env"
    )
