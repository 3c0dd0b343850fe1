"""A machine with one package more, or with other flags of one: built, looked at, not kept.

The machine's files stay as they are. What is built has the keys of the machine itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloche.building.configuration import with_etc
from cloche.building.context import BuildContext
from cloche.building.machine import Built, build_machine, resolve_and_plan
from cloche.building.packages import Builder
from cloche.building.root import Root
from cloche.building.unresolved import ResolutionError
from cloche.config.atoms import atom_fault, name_of
from cloche.config.autounmask import Change
from cloche.config.errors import Origin
from cloche.config.machine import Machine
from cloche.config.sets import Asked
from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.output.deliver import layers_of
from cloche.output.holdings import Held, choosable
from cloche.plan.depgraph import Package
from cloche.records.builds import recorded
from cloche.roots import unions
from cloche.sandbox.base import Sandbox
from cloche.session.building import with_jobserver
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import names
from cloche.tasks.worker import make_directory
from cloche.workflows.freshroot import removed_anyway
from cloche.workflows.variant_refusals import refused

_PREFIX: Final = "try:"
_FILE: Final = "package.use/zz-try"
_FLAG: Final = re.compile(r"[+-][A-Za-z0-9][\w+@.-]*")


@dataclass(frozen=True, slots=True)
class Variant:
    """The variant to try: an atom, and flags as in package.use."""

    atom: str
    flags: tuple[str, ...]

    @property
    def line(self) -> str:
        """The line of package.use; empty without flags."""
        return " ".join((self.atom, *self.flags)) if self.flags else ""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What a fragment needs."""
        return (Change("package.use", self.line, ()),) if self.flags else ()


def variant(atom: str, flags: Sequence[str]) -> Variant:
    """A variant of checked words: flags are ``+FLAG`` or ``-FLAG``. Raises ClocheError."""
    if fault := atom_fault(atom):
        raise ClocheError(f"“{atom}” is not an atom", todo=fault)
    wrong = [flag for flag in flags if not _FLAG.fullmatch(flag)]
    if wrong:
        raise ClocheError(f"“{wrong[0]}” is not a flag", todo="write +FLAG or -FLAG")
    names = [flag[1:] for flag in flags]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ClocheError(f"the flag {twice} is named twice", todo="name it once")
    return Variant(atom, tuple(flag.removeprefix("+") for flag in flags))


@dataclass(frozen=True, slots=True)
class Tried:
    """A variant that is built: its packages by name, and its root. ``asked`` says whether the
    machine asks for the package itself, or needs it for another one.
    """

    packages: dict[str, Held]
    root: Root
    asked: bool
    built: int
    reused: int


@contextmanager
def tried(
    session: Session, machine: Machine, wanted: Variant, choices: Choices = Choices()
) -> Iterator[Tried]:
    """Build a variant of a machine; its root is gone after the block.

    Raises ResolutionError, BuildError, and ClocheError for a flag that the package lacks.
    """
    name, there = f"{_PREFIX}{machine.name}", _asks(machine, wanted)
    more = () if there else (Asked(wanted.atom, Origin(machine.file)),)
    own = replace(machine, name=name, packages=(*machine.packages, *more))
    with session.context(own, choices) as pinned:
        context = _with_line(pinned, wanted)
        store, place, count = context.store, context.inputs.place, context.policy.records
        with (
            recorded(store, context.bus, place, name, count=count),
            with_jobserver(context, session.slots) as working,
        ):
            builder = replace(_planned(working, own, wanted), finish=own.finish)
            _check_flags(builder, wanted)
            done = build_machine(builder)
            layers = layers_of(builder, done, own)
            packages = {each.name: each for each in _held(builder, done)}
            trees = {*(each.id for each in layers), *(made.layer for made in done.made.values())}
            blobs = {made.gpkg for made in done.made.values()}
            store.pin(names.trial(place, machine.name), sorted(trees), sorted(blobs), {})
        with store.workspace("try") as workspace, removed_anyway(workspace):
            root = _root(builder.context, layers, workspace)
            yield Tried(packages, root, there, done.built, done.reused)


def _planned(context: BuildContext, own: Machine, wanted: Variant) -> Builder:
    """The plan of a variant. Raises ClocheError in words of `cloche try`."""
    try:
        return resolve_and_plan(context, own.targets)
    except ResolutionError as error:
        trees = [each.path for each in context.inputs.repos.values()]
        raise refused(error, own.name.removeprefix(_PREFIX), wanted.atom, trees) from error


def _asks(machine: Machine, wanted: Variant) -> bool:
    name = name_of(wanted.atom)
    return any(name_of(each.atom) == name for each in machine.atoms) and wanted.atom == name


def _with_line(context: BuildContext, wanted: Variant) -> BuildContext:
    """The context with the variant's flags in /etc/portage, after all others."""
    inputs = replace(context.inputs, declared=False)
    if not wanted.flags:
        return replace(context, inputs=inputs)
    files = dict(sorted({**inputs.etc, _FILE: f"{wanted.line}\n".encode()}.items()))
    return replace(context, inputs=with_etc(context.store, inputs, files))


def _check_flags(builder: Builder, wanted: Variant) -> None:
    """See that the package has the flags. Raises ClocheError."""
    name = name_of(wanted.atom)
    found = [package for package in builder.plan.graph.packages if package.cp == name]
    for package in found:
        unknown = [flag.lstrip("-") for flag in wanted.flags]
        unknown = [flag for flag in unknown if flag not in package.iuse]
        if unknown:
            has = " ".join(sorted(package.iuse)) or "none"
            what = f"it has no flag {', '.join(unknown)}"
            raise ClocheError(what, where=package.cpv, todo=f"its flags are: {has}")
        _check_fixed(package, wanted)


def _check_fixed(package: Package, wanted: Variant) -> None:
    """See that the profile leaves the flags to the user. Raises ClocheError."""
    for flag in wanted.flags:
        name, on = flag.removeprefix("-"), not flag.startswith("-")
        if name in package.fixed and (name in package.use) != on:
            how = "masked" if on else "forced"
            todo = "choose another flag, or change the profile's masks in a fragment's profile/"
            raise ClocheError(f"its flag {name} is {how}", where=package.cpv, todo=todo)


def _held(builder: Builder, done: Built) -> Iterator[Held]:
    by_id = builder.plan.graph.by_id()
    for id in builder.plan.members:
        package, layer = by_id[id], builder.context.layer(done.made[id].layer)
        use = tuple(sorted({*package.use} & {*package.iuse}))
        slot, version, repo = package.slot, package.version, package.repo
        size, can = layer.size, choosable(package)
        yield Held(package.cp, slot, version, repo, use, layer.id, size, can)


def _root(context: BuildContext, layers: Sequence[Layer], workspace: Path) -> Root:
    sandbox = Sandbox(
        lowers=unions.lowers(context.store, context.inputs.bottom, layers),
        upper=make_directory(workspace, "root"),
        binds=context.whole_repositories(),
        limits=context.policy.limits,
        emulators=context.emulators,
    )
    return Root(sandbox, environment=context.inputs.environment)
