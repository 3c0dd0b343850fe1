"""Builds packages for a machine that is reached by ssh, in a root that equals its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.machine import Built, build_machine, resolve_and_plan
from cloche.config.machine import Machine
from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.output.binhost import write_packages
from cloche.records import events
from cloche.records.builds import recorded
from cloche.records.events import Note
from cloche.seeds.arch import arch_of, host_arch
from cloche.session.building import Result, result_of, selected, with_jobserver
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.targets.clone import PINS, clone
from cloche.targets.connection import Address, Connection
from cloche.targets.etc import etc_of
from cloche.targets.levels import Level
from cloche.targets.machines import machine_of, opened
from cloche.targets.mounted import mounted_root
from cloche.targets.remote import describe, read_listing
from cloche.targets.replay import notes_of, session_for

#: Where packages go on the target: Portage's own PKGDIR keeps its index.
PLACE = "/var/cache/cloche"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be built: atoms, where the packages go, and what is not taken of the target.

    With ``mount`` its root is mounted instead of composed; see `mounted.prepare`.
    """

    atoms: tuple[str, ...]
    output: Path
    leave_out: tuple[str, ...] = ()
    mount: bool = False


def build(session: Session, connection: Connection, wish: Wish, choices: Choices) -> Result:
    """Build what the target would merge for some atoms, and write its packages with an index.

    Raises ResolutionError where its Portage refuses, BuildError, ClocheError.
    """
    description = describe(connection)
    session = session_for(session, description)
    with root_of(session, connection, wish) as root:
        check_cpu(root[0], connection.address)
        for text in notes_of(session, description, inject=True):
            session.sink(Note(text=text, level="warning"))
        name = f"ssh:{connection.address.host}"
        machine = machine_of(session.project, description, name, "", ())
        etc = etc_of(description, Level.CLONE, inject=True)
        with opened(session, machine, etc.files, choices, root) as context:
            context.worker.layers.update((layer.id, layer) for layer in root)
            return _built(session, context, machine, connection.address, wish, choices)


@contextmanager
def root_of(session: Session, connection: Connection, wish: Wish) -> Iterator[tuple[Layer, ...]]:
    """Layers that equal the target's root, for a block. Raises ClocheError."""
    packed, listing = read_listing(connection, wish.leave_out)
    if listing.closed_count:
        names = ", ".join(f"/{name}" for name in listing.closed[:3])
        text = f"{listing.closed_count} names that cannot be read there are left out: {names}"
        session.sink(Note(text=text, level="warning"))
    if wish.mount:
        with mounted_root(session.store, connection, listing, wish.leave_out) as layers:
            session.sink(Note(text=f"{connection.address}: {layers[0].files} files, mounted"))
            yield layers
        return
    made = clone(session.store, connection, packed, listing)
    text = "unchanged"
    if made.anew:
        travelled = f"{made.fetched} fetched ({made.bytes / 1e6:.1f} MB)"
        text = f"{made.kept} files are here, {travelled}"
    session.sink(Note(text=f"{connection.address}: {made.names} names, {text}"))
    yield (made.layer,)


def check_cpu(root: Layer, address: Address) -> None:
    """See that this host can run a root. Raises ClocheError."""
    arch, own = arch_of(root.path), host_arch().gentoo
    if arch not in (own, "x86" if own == "amd64" else own):
        what = f"its programs are for {arch or 'an unknown CPU'}, this host is {own}"
        raise ClocheError(what, where=address, todo="build on a host with the same CPU")


def _built(
    session: Session,
    context: BuildContext,
    machine: Machine,
    address: Address,
    wish: Wish,
    choices: Choices,
) -> Result:
    store, place, records = context.store, context.inputs.place, context.policy.records
    with (
        recorded(store, context.bus, place, machine.name, count=records),
        with_jobserver(context, session.slots) as context,
    ):
        builder = selected(resolve_and_plan(context, wish.atoms), choices)
        done = build_machine(builder)
        outputs = _written(context, done, machine, address, wish.output)
        context.bus(events.delivered(outputs, store.logs))
    return replace(result_of(machine.name, done), outputs=outputs)


def _written(
    context: BuildContext, done: Built, machine: Machine, address: Address, directory: Path
) -> dict[str, Path]:
    """Write the packages that the target needs, and keep what was made."""
    by_id = done.plan.graph.by_id()
    packages = tuple((by_id[name], done.made[name].gpkg) for name in done.plan.members)
    if not packages:
        return {}
    directory.mkdir(parents=True, exist_ok=True)
    written = write_packages(context, packages, directory, machine.root)
    blobs = [made.gpkg for made in done.made.values()]
    layers = [made.layer for made in done.made.values()]
    context.store.pin(f"{PINS}{address}/packages", layers, [*blobs, written.blob], {})
    return {"packages": written.path}


def how_to_install(address: Address, packages: Path, atoms: Sequence[str]) -> str:
    """The command that installs packages on the target."""
    merge = f"PKGDIR={PLACE} emerge --usepkgonly {shlex.join(atoms)}"
    there = f"mkdir -p {PLACE} && tar -C {PLACE} -x && {merge}"
    return f"tar -C {shlex.quote(str(packages))} -c . | {address.command} {shlex.quote(there)}"
