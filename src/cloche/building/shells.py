"""Roots for `cloche shell`: a finished machine's, and the one in which a package is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cloche.building import live
from cloche.building.context import BuildContext
from cloche.building.crossing import Crossing
from cloche.building.fetch import fetch
from cloche.building.forecast import forecast
from cloche.building.livepins import is_live
from cloche.building.package_tasks import Seen, build_task, kept_as
from cloche.building.packages import Builder
from cloche.building.root import SHELLS, Root
from cloche.composing.places import Places, look_into
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer
from cloche.plan.depgraph import BROOT, Package
from cloche.plan.names import bare, matching, nearest
from cloche.portage.etc import REPOS
from cloche.records.builds import not_built, unknown_package
from cloche.roots import unions
from cloche.sandbox.base import Bind, Sandbox
from cloche.store import Pin, remove_tree
from cloche.tasks import kept_roots
from cloche.tasks.build import PORTAGE_TMP, build_binds, package_binds, sandbox_of
from cloche.tasks.task import BuildTask
from cloche.tasks.worker import make_directory

PKGDIR = "/var/cache/binpkgs"  # Portage's default (cnf/make.globals)


def machine_root(
    context: BuildContext, machine: str, pin: Pin | None, packages: Path
) -> AbstractContextManager[Root]:
    """The root of a machine after its last build; its binary packages are in ``packages``.

    Raises ClocheError.
    """
    if pin is None:
        raise not_built(f"machine {machine}", f"cloche build {machine}")
    cross = context.inputs.cross
    if cross is not None and cross.tools.emulator is None:
        raise _no_emulator(cross, machine)
    return _machine_root(context, pin, packages)


def _no_emulator(cross: Crossing, machine: str) -> ClocheError:
    what = f"its programs are for {cross.tools.chost}, and "
    where = f"machine {machine}"
    if cross.unusable:
        todo = "use a host with Linux 6.7 or later and binfmt_misc"
        return ClocheError(what + cross.unusable, where=where, todo=todo, status=Exit.HOST)
    todo = f"add a static qemu-{cross.cpu.qemu} to the seed (Debian's package is qemu-user-static)"
    what += "its seed has no emulator for them"
    return ClocheError(what, where=where, todo=todo, status=Exit.BAD_INPUT)


@contextmanager
def _machine_root(context: BuildContext, pin: Pin, packages: Path) -> Iterator[Root]:
    base, layers = ([context.layer(id) for id in pin.data[name]] for name in ("base", "layers"))
    with context.store.workspace("shell") as workspace:
        upper = make_directory(workspace, "root")
        # The machine's own base, which may be older than the present inputs. emerge finds the
        # repositories, and the packages in PKGDIR.
        sandbox = Sandbox(
            lowers=unions.lowers(context.store, base, layers),
            upper=upper,
            binds=(*context.whole_repositories(), *_packages(packages)),
            tmpfs=(REPOS,),
            limits=context.policy.limits,
            emulators=context.emulators,
        )
        shell = _shell((*base, *layers))
        yield Root(sandbox, shell=shell, environment=context.inputs.environment)


def _shell(layers: Sequence[Layer]) -> str | None:
    """The first of `SHELLS` that a root of these layers has."""
    places = Places(look_into(layers))
    return next((shell for shell in SHELLS if places.find(shell.lstrip("/"))), None)


def _packages(directory: Path) -> tuple[Bind, ...]:
    return (Bind(directory, PKGDIR),) if directory.is_dir() else ()


def package_root(builder: Builder, atom: str) -> AbstractContextManager[Root]:
    """The root in which a package of the plan is built; after a failure, the failed root.

    Raises ClocheError, also if a dependency is not built yet.
    """
    names = [package.id for package in builder.plan.packages]
    found = matching(atom, names)
    if len(found) > 1:  # of a package in both roots, the machine's own is meant
        found = tuple(name for name in found if not name.endswith(BROOT))
    if len(found) != 1:
        raise unknown_package(atom, tuple(map(bare, found)) or nearest(atom, names))
    package = builder.plan.graph.by_id()[found[0]]
    about = kept_roots.known(builder.context.store, kept_as(builder.context, package))
    if about is not None:
        return _failed_root(builder.context, package, about)
    return fresh_root(builder, package)


@contextmanager
def _failed_root(context: BuildContext, package: Package, about: kept_roots.Kept) -> Iterator[Root]:
    place = context.store.failed / kept_as(context, package)
    with context.store.hold(place) as alone:
        if not alone:
            raise ClocheError(
                "another shell is open in its failed root",
                where=package.cpv,
                todo="leave that shell first",
                status=Exit.HOST,
            )
        if (place / "work").exists():
            remove_tree(place / "work")  # overlayfs does not take a volatile one twice
        yield _root_of(context, package, about, place)


def _root_of(context: BuildContext, package: Package, about: kept_roots.Kept, place: Path) -> Root:
    root = None if about.root is None else tuple(map(context.layer, about.root))
    task = build_task(context, package, Seen(tuple(map(context.layer, about.layers)), root))
    binds: tuple[Bind, ...]
    sources = place / kept_roots.SOURCES[about.step]
    if about.step == "merge":
        binds = (*context.profiles(), Bind(sources, "/run/cloche/out"))
    else:
        binds = (
            *package_binds(task, context.worker),
            Bind(sources, "/run/cloche/distdir"),
            *context.worker.jobserver_bind(),
        )
    binds = (*binds, Bind(place / "tmp", PORTAGE_TMP, writable=True))
    name = f"{package.category}/{package.pf}"
    inside = f"{PORTAGE_TMP}/{name}"
    what = f"the merge of {package.cpv}" if about.step == "merge" else package.cpv
    source = f"; its environment: source {inside}/temp/environment"
    return Root(
        sandbox=sandbox_of(task, context.worker, upper=place, binds=binds),
        cwd=f"{inside}/work" if (place / "tmp" / name / "work").is_dir() else "/",
        note=f"{what} failed here{_place(task)}"
        + (source if (place / "tmp" / name / "temp/environment").is_file() else ""),
        login=False,
        environment=context.inputs.environment,
    )


def _place(task: BuildTask) -> str:
    """Where a sandbox with two roots has the machine's."""
    return f"; the machine's root is {task.place}" if task.root else ""


@contextmanager
def fresh_root(builder: Builder, package: Package) -> Iterator[Root]:
    """The root in which a package of the plan is built. Raises ClocheError, as `package_root`."""
    context = builder.context
    known = {n: f.made for n, f in forecast(builder).items() if f.made is not None}
    visible = builder.plan.visible[package.id].build
    absent = [bare(name) for name in visible if name not in known]
    if absent:
        raise not_built(", ".join(absent), f"cloche build {context.inputs.machine}")
    fetch(context, package)
    sources = live.known(context, package, builder.inputs_of[package.id])
    if is_live(package) and sources is None:
        raise not_built(f"the sources of {package.cpv}", f"cloche build {context.inputs.machine}")
    task = build_task(context, package, builder.seen_by_build(package, known), sources)
    with context.store.workspace("shell") as workspace:
        upper = make_directory(workspace, "root")
        binds = build_binds(task, context.worker, workspace)
        sandbox = sandbox_of(task, context.worker, upper=upper, binds=binds)
        note = f"{package.cpv} is built here; nothing that it does not declare is visible"
        note += _place(task)
        yield Root(sandbox, note=note, login=False, environment=context.inputs.environment)
