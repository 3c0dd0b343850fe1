"""A disposable root: a writable top over a seed, or over a machine as it was built last.

Its `emerge` is `guest/handover.py`, which asks for packages through a socket: see
`freshroot_desk`. All that the user sees inside is bound read-only, or lies in the top.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloche.building.context import BuildContext
from cloche.building.metadata import shown_repositories
from cloche.building.network import PROXIES
from cloche.building.root import SHELLS, Root
from cloche.composing.places import Places, look_into
from cloche.config.errors import Origin, nearest
from cloche.config.machine import Machine, Profile
from cloche.config.project import Project
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer, Merged
from cloche.linux import descriptors
from cloche.output.remembered import finished_machine
from cloche.records.builds import not_built
from cloche.roots import unions
from cloche.sandbox.base import Bind, Sandbox
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import Pin, names, remove_tree
from cloche.tasks.guestcall import GUEST
from cloche.tasks.worker import make_directory
from cloche.workflows import freshroot_kept
from cloche.workflows.freshroot_kept import Kept

#: Where the root has the socket and the packages: `PLACE` of `guest/handover.py`.
PLACE: Final = "/run/cloche/freshroot"
#: Before all others, as root's PATH is on Gentoo.
EMERGE: Final = "/usr/local/sbin/emerge"
#: The sandbox isolates, and the top need not last: so Portage must neither isolate nor sync.
FEATURES: Final = (
    "-sandbox -usersandbox -network-sandbox -ipc-sandbox -pid-sandbox -mount-sandbox -merge-sync "
    "-merge-wait -ebuild-locks -parallel-fetch -news -unmerge-logs -binpkg-logs"
)
#: Where a root has Portage's own.
PORTAGE: Final = ("usr/bin/emerge", "usr/sbin/emerge", "usr/local/bin/emerge")
RESOLVER: Final = "/etc/resolv.conf"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a freshroot stands on, by the name that the user gave.

    ``machine`` is one of the project, or stands for a seed: then it is not ``declared``.
    """

    name: str
    machine: Machine
    declared: bool


def ground(project: Project, name: str | None) -> Ground:
    """A machine or a seed by its name, without one the project's only seed. Raises ClocheError."""
    if name is None:
        if len(project.seeds) != 1:
            names = ", ".join((*project.machines, *project.seeds)) or "there are none"
            raise ClocheError(
                "a freshroot of what?",
                where=project.file,
                todo=f"name a machine or a seed ({names})",
            )
        (name,) = project.seeds
    elif name in project.machines:
        return Ground(name, project.machine(name), declared=True)
    if name not in project.seeds:
        known = (*project.machines, *project.seeds)
        close = nearest(name, known)
        todo = f"did you mean “{close}”?" if close else f"there are {', '.join(known) or 'none'}"
        raise ClocheError(f"no machine, seed or kept root “{name}”", where=project.file, todo=todo)
    return Ground(name, _of_seed(project, name), declared=False)


def _of_seed(project: Project, seed: str) -> Machine:
    """A machine without packages over a seed, with the profile that machines of the seed have."""
    others = [project.machine(name) for name in project.machines]
    profiles = [each.profile for each in others if each.seed == seed and not each.own_root]
    if not profiles:
        raise ClocheError(
            f"no machine of the project says which profile to use with the seed {seed}",
            where=project.file,
            todo=f'write a machine with `seed = "{seed}"` and a `profile`, and name the machine',
        )
    origin = Origin(project.file)
    return Machine(
        name=f"seed-{seed}",
        file=project.file,
        root=project.root,
        seed=seed,
        profile=Profile(profiles[0].repo, profiles[0].path, origin),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A freshroot that is ready.

    ``room`` is where the socket and packages for it go; ``requests`` is a directory that it does
    not show. ``pin`` is the name of what keeps the packages that are built for it.
    """

    root: Root
    room: Path
    requests: Path
    pin: str


@contextmanager
def opened(
    session: Session, ground: Ground, *, network: bool = False, keep: str | None = None
) -> Iterator[Opened]:
    """A freshroot, which is gone after the block unless it is to be kept. Raises ClocheError."""
    if keep is not None:
        freshroot_kept.check_name(session.project, keep)
    with session.context(ground.machine, Choices(offline=True)) as context:
        bottom, layers = _stack(context, ground)
        if keep is not None:
            about = freshroot_kept.about_now(ground.name, bottom, layers)
            found = freshroot_kept.keep(context.store, session.project, keep, about)
            with _opened_kept(context, found, network=network) as made:
                yield made
            return
        with _room(context) as room:
            upper = make_directory(room, "root")
            pin = names.freshroot(context.store.path, room)
            try:
                made = _furnished(context, room, upper, (bottom, layers), pin, network=network)
                yield _named(made, ground.name)
            finally:
                context.store.unpin(pin)


@contextmanager
def reopened(session: Session, found: Kept, *, network: bool = False) -> Iterator[Opened]:
    """A kept freshroot. Raises ClocheError, also if its machine or seed no longer exists."""
    machine = ground(session.project, found.about.ground).machine
    with (
        session.context(machine, Choices(offline=True)) as context,
        _opened_kept(context, found, network=network) as made,
    ):
        yield made


@contextmanager
def _opened_kept(context: BuildContext, found: Kept, *, network: bool) -> Iterator[Opened]:
    stack = freshroot_kept.layers_of(context.store, found.about)
    with freshroot_kept.alone(context.store, found.place), _room(context) as room:
        upper = freshroot_kept.opened_top(found)
        pin = names.freshroot(context.store.path, found.place)
        made = _furnished(context, room, upper, stack, pin, network=network)
        yield _named(made, found.name)


@contextmanager
def _room(context: BuildContext) -> Iterator[Path]:
    """A directory that goes away with the block, even if our process is killed in it."""
    with context.store.workspace("freshroot") as workspace, removed_anyway(workspace):
        yield workspace


def _furnished(
    context: BuildContext,
    workspace: Path,
    upper: Path,
    stack: tuple[list[Layer], list[Layer]],
    pin: str,
    *,
    network: bool,
) -> Opened:
    room, requests = (make_directory(workspace, name) for name in ("room", "requests"))
    bottom, layers = stack
    places = Places(look_into((*bottom, *layers)))
    top = [upper / "top"] if (upper / "top").is_dir() else []  # of a root that is kept
    trees = [*(layer.path for layer in (*bottom, *layers)), *top]
    note = emerge_note(places, trees, workspace)
    sandbox = Sandbox(
        lowers=unions.lowers(context.store, bottom, layers),
        upper=upper,
        binds=(
            *shown_repositories(context),
            *_ours(room),
            *(() if note else (Bind(GUEST / "freshroot/emerge", EMERGE),)),
            *(_names_of_hosts(places) if network else ()),
        ),
        network=network,
        limits=context.policy.limits,
        emulators=context.emulators,
    )
    return Opened(_root(context, sandbox, places, note), room, requests, pin)


def _named(made: Opened, name: str) -> Opened:
    """The same with a host name, which prompts of shells show."""
    sandbox = replace(made.root.sandbox, hostname=host_name(name))
    return replace(made, root=replace(made.root, sandbox=sandbox))


def host_name(name: str) -> str:
    """The host name (hostname(7)) of a freshroot of a machine or seed, or kept under a name."""
    return re.sub(r"[^a-z0-9]+", "-", f"freshroot-{name}".lower())[:63].strip("-")


#: Waits until its standard input ends, as it does with the process at the other end.
_REMOVING = """\
read -r _
for try in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1" && exit; sleep 0.3; done 2>/dev/null"""


@contextmanager
def removed_anyway(workspace: Path) -> Iterator[None]:
    """See that a directory goes away with the block even if our process is killed in it.

    What is left otherwise goes when the store is opened next.
    """
    reader, writer = descriptors.pipe()
    try:
        subprocess.Popen(
            ["/bin/sh", "-c", _REMOVING, "sh", str(workspace)],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
        )
    finally:
        os.close(reader)
    try:
        yield
    finally:
        remove_tree(workspace)  # before the other one would
        descriptors.close(writer)


def _stack(context: BuildContext, ground: Ground) -> tuple[list[Layer], list[Layer]]:
    """The layers of a freshroot: the base, and what lies over it."""
    if not ground.declared:
        return list(context.inputs.base), []
    pin = finished(context, ground)
    bottom, layers = ([context.layer(id) for id in pin.data[name]] for name in ("base", "layers"))
    return bottom, layers


def finished(context: BuildContext, ground: Ground) -> Pin:
    """What the store remembers of a machine. Raises ClocheError if it was not built."""
    pin = finished_machine(context.store, ground.machine)
    if pin is None:
        raise not_built(f"machine {ground.name}", f"cloche build {ground.name}")
    return pin


def _ours(room: Path) -> tuple[Bind, ...]:
    return (
        Bind(room, PLACE),
        Bind(GUEST, "/run/cloche/guest"),
    )


def emerge_note(places: Places, trees: Sequence[Path], workspace: Path) -> str:
    """Why our `emerge` cannot be in a root of these trees; empty if it can.

    A layer may hide the mount point: it may have removed all of /usr.
    """
    if not any(places.find(each) for each in PORTAGE):
        return "note: this root has no Portage, so emerge does not work in it"
    points = make_directory(workspace, "points")
    point = points / EMERGE.lstrip("/")
    point.parent.mkdir(parents=True)
    point.touch()
    if Merged([points, *trees]).lookup(os.fsencode(EMERGE.lstrip("/"))) is None:
        above = Path(EMERGE).parent
        return f"note: {above} of this root is removed or a link, so emerge builds nothing outside"
    return ""


def _names_of_hosts(places: Places) -> Iterator[Bind]:
    """This host's name servers, unless the root has a link in their place."""
    found = places.find(RESOLVER.lstrip("/"))
    if Path(RESOLVER).is_file() and (found is None or found.kind == "other"):
        yield Bind(Path(RESOLVER).resolve(), RESOLVER)


def _root(context: BuildContext, sandbox: Sandbox, places: Places, note: str) -> Root:
    shell = next((each for each in SHELLS if places.find(each.lstrip("/"))), None)
    environment = {**context.inputs.environment, "PATH": PATH, "FEATURES": FEATURES}
    environment["CLOCHE_FEATURES"] = FEATURES  # FEATURES=… before emerge adds to these
    if sandbox.network:
        environment |= {name: context.proxies[name] for name in PROXIES if name in context.proxies}
    return Root(sandbox, shell=shell, environment=environment, note=note)


def no_shell(ground: Ground) -> ClocheError:
    """The error about a root without a shell."""
    return ClocheError(
        f"its root has none of {', '.join(SHELLS)}",
        where=ground.name,
        todo=f"name a program: `cloche freshroot {ground.name} -- PROGRAM`",
        status=Exit.BAD_INPUT,
    )


def named(ground: Ground) -> Machine:
    """The machine that builds for a freshroot: its inputs, without what it asks for itself."""
    name = f"freshroot:{ground.name}"
    return replace(ground.machine, name=name, packages=(), sets=(), atoms=(), emerge=())
