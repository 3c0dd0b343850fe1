"""A session: a project, a store and an engine, open together; what can be done with them.

What a call needs is loaded by the call: half of it would take longer than opening a root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cloche.binhosts.index import Binhost
from cloche.broker import open_engine
from cloche.building.context import BuildContext, RunTask
from cloche.config.machine import Machine
from cloche.config.project import Project, SeedSpec, load_project
from cloche.layers import Layer
from cloche.records.events import Bus, Sink
from cloche.records.joined import Joined
from cloche.session import inputs
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.opened import Opened, nobody
from cloche.session.opening import open_store, place_of_store, refusals_named, try_host

if TYPE_CHECKING:
    from cloche.building.news import Item
    from cloche.building.packages import Builder
    from cloche.building.root import Root
    from cloche.output.sealed import Revealed
    from cloche.session import building, fetching, locking, outdated, several
    from cloche.session.kernels import KernelRoot
    from cloche.session.manifests import WrongManifest


@dataclass(frozen=True, slots=True)
class Session(Opened):
    """A project with a store and an engine, for as long as `open_session` keeps them open.

    ``sink`` hears what happens, from several threads, one event at a time. ``proxies`` are the
    variables http_proxy, https_proxy, ftp_proxy and no_proxy. ``elsewhere`` carries out the tasks
    of packages in place of this process; see `cloche.tasks.elsewhere`. ``ongoing`` are the calls
    that run now.

    A machine is named by its name in the project. All methods may be called from several threads,
    and raise ClocheError when the session is closed.
    """

    def seed(
        self, name: SeedSpec | str | None = None, how: inputs.SeedOptions = inputs.SeedOptions()
    ) -> inputs.MadeSeed:
        """Make a seed unless it is there: the project's only one, one by name, or a declared one.

        Raises `SeedError`, `ConfigError`.
        """
        spec = name if isinstance(name, SeedSpec) else inputs.declared_seed(self.project, name)
        with self._call():
            return inputs.make_seed(self.store, self.engine, self.project, spec, how)

    def sync(self, name: str, how: inputs.SyncOptions = inputs.SyncOptions()) -> inputs.Synced:
        """Take a repository from where it is published, verified. Raises `TreeError`."""
        spec = inputs.declared_repository(self.project, name)
        with self._call():
            return inputs.sync_repository(self.store, self.project, spec, how)

    def sync_index(self, name: str, how: inputs.SyncOptions = inputs.SyncOptions()) -> Binhost:
        """Sync the index of the project's binary package host ``name``. Raises ClocheError."""
        with self._call():
            spec = self.project.binrepos[name]
            return inputs.sync_index(self.store, self.project, spec, how)

    def prepare(self, machine: str, choices: Choices = Choices()) -> Builder:
        """Pin a machine's inputs, resolve it with Portage, and plan. Raises `ClocheError`."""
        from cloche.session import building

        wanted = self.project.machine(machine)
        with self._call() as opened:
            context = context_of(opened, wanted, choices)
            return building.prepare(context, self.project, wanted, choices)

    @contextmanager
    def context(
        self, machine: Machine | str, choices: Choices = Choices(), over: Sequence[Layer] = ()
    ) -> Iterator[BuildContext]:
        """A machine's inputs, pinned, with all that runs sandboxes over them.

        The machine is one of the project, by name, or any that uses its seeds and repositories.
        With ``over`` these layers are in the place of its seed.
        """
        wanted = machine if isinstance(machine, Machine) else self.project.machine(machine)
        with self._call() as opened:
            yield context_of(opened, wanted, choices, over)

    def plan(self, machine: str, choices: Choices = Choices()) -> building.Preview:
        """What a build would do; nothing is built. Raises `ClocheError`."""
        from cloche.session import building

        with self._call() as opened:
            return building.preview(opened, self.project.machine(machine), choices)

    def build(
        self,
        machine: str,
        choices: Choices = Choices(),
        output: Path | str | None = None,
        secrets: Sequence[Revealed] = (),
    ) -> building.Result:
        """Build a machine and write its outputs to a directory, PROJECT/out/MACHINE without one.

        ``secrets`` (`cloche.output.secrets.reveal`) get into its tarball. Raises `BuildError` when
        packages failed, `CallStoppedError` when it was stopped; what was finished is kept.
        """
        from cloche.session import building

        with self._call() as opened:
            return building.build(opened, self._wanted(machine, output, secrets), choices)

    def build_several(
        self,
        directories: Mapping[str, Path | str | None],
        choices: Choices = Choices(),
        secrets: Mapping[str, Sequence[Revealed]] | None = None,
    ) -> several.Outcomes:
        """Build machines as one plan: what they have in common is built once.

        ``directories`` are those of their outputs, and ``secrets`` what is to be in their tarballs,
        by the machines' names, as for `build`. The result has for each machine what came of it,
        also an error. Raises ClocheError before the first package is built, `CallStoppedError` when
        it was stopped.
        """
        from cloche.session import several

        given = secrets or {}
        wanted = [
            self._wanted(name, directory, given.get(name, ()))
            for name, directory in directories.items()
        ]
        joined = Joined(self.sink)
        with self._call() as opened, self.ongoing.named(joined.id_of):
            try:
                return several.build_several(opened, wanted, choices, joined)
            finally:
                joined.flush()

    def _wanted(
        self, name: str, output: Path | str | None, secrets: Sequence[Revealed]
    ) -> building.Wanted:
        from cloche.session import building

        machine = self.project.machine(name)
        place = building.place_of_outputs(self.project, machine, output)
        return building.Wanted(machine, place, secrets)

    def lock(
        self,
        machine: str,
        choices: Choices = Choices(),
        *,
        check: bool = False,
        update: bool = False,
    ) -> locking.Locked:
        """Pin all that a machine is made from in cloche.lock, or with ``check`` only compare.

        ``update`` takes the newest sources of live ebuilds. Raises `ClocheError`.
        """
        from cloche.session import locking

        machine_ = self.project.machine(machine)
        with self._call() as opened:
            return locking.lock(opened, machine_, choices, check=check, update=update)

    def fetch(self, machine: str, choices: Choices = Choices()) -> fetching.Fetch:
        """Bring in all that a machine needs, so that it can be built offline.

        The result lists what could not be fetched. Raises `ClocheError`.
        """
        from cloche.session import fetching

        with self._call() as opened:
            return fetching.fetch(opened, self.project.machine(machine), choices)

    @contextmanager
    def shell(
        self, machine: str, package: str | None = None, choices: Choices = Choices()
    ) -> Iterator[Root]:
        """The root of a machine as it was built last, or the one in which a package is built.

        `Session.engine` starts commands in its ``sandbox``. Raises `ClocheError`.
        """
        from cloche.session import building

        with ExitStack() as stack:
            with self._call() as opened:
                wanted = self.project.machine(machine)
                root = stack.enter_context(building.shell(opened, wanted, package, choices))
            yield root

    @contextmanager
    def kernel(self, machine: Machine, choices: Choices = Choices()) -> Iterator[KernelRoot]:
        """The root in which a machine's kernel is configured. Raises `ClocheError`."""
        from cloche.session.kernels import kernel_root

        with ExitStack() as stack:
            with self._call() as opened:
                place = stack.enter_context(kernel_root(opened, machine, choices))
            yield place

    def news(self, machine: str) -> tuple[Item, ...]:
        """The news items (GLEP 42) that concern a machine as it was built last."""
        from cloche.session import building

        wanted = self.project.machine(machine)
        with self._call() as opened:
            context = context_of(opened, wanted, Choices(offline=True))
            return building.news_of(context, wanted)

    def outdated(
        self, machines: Sequence[str], how: inputs.SyncOptions, *, offline: bool = False
    ) -> outdated.Found:
        """The repositories that a sync would change, and its effect on each machine.

        ``offline``: without fetching, by the newest states in the store. Raises ClocheError.
        """
        from cloche.session import outdated

        with self._call() as opened:
            return outdated.all_outdated(opened, machines, how, offline=offline)

    def manifests(
        self,
        packages: Sequence[str] = (),
        machine: str | None = None,
        *,
        check: bool = False,
        force: bool = False,
    ) -> Iterator[WrongManifest]:
        """Write the Manifests that are not right in the project's own repositories, or check them.

        See `cloche.session.manifests.wrong_manifests`.
        """
        from cloche.session.manifests import wrong_manifests

        found: Iterator[WrongManifest] | None = None
        while True:
            with self._call() as opened:  # not while the caller has one of them
                found = found or wrong_manifests(
                    opened, packages, machine, check=check, force=force
                )
                each = next(found, None)
            if each is None:
                return
            yield each

    def stop(self) -> None:
        """End all calls that run now: they raise `CallStoppedError`, unless they are done."""
        self.ongoing.stop()

    def stop_package(self, package: str) -> None:
        """End what runs for one package, by its id in the plan: it fails."""
        self.ongoing.stop_package(package)

    @contextmanager
    def _call(self) -> Iterator[Opened]:
        with self.ongoing.call() as running, refusals_named(self.store.path):
            yield replace(self, running=running)


@contextmanager
def open_session(
    project: Project | Path | str = ".",
    *,
    store: Path | str | None = None,
    engine: str = "native",
    sink: Sink = nobody,
    proxies: Mapping[str, str] | None = None,
    elsewhere: RunTask | None = None,
    waiting: Callable[[str], None] | None = None,
    slots: Path | None = None,
) -> Iterator[Session]:
    """Open a session for a project, or for the one around a directory.

    Without ``store`` it is the project's, or the user's. ``engine`` is one of
    `cloche.engines.choice.NAMES`. ``waiting`` is called with what the store waits for; without
    it, a store that another process has for itself alone is an error. Builds share ``slots``
    (`cloche.tasks.slots`) with those of other sessions. An ordinary user's process
    enters a user namespace, for which it must not have threads yet; see `cloche.session.calls` for
    others. Raises `ClocheError`.

    At the end, calls of other threads are stopped and waited for. What runs outside of a sandbox,
    such as a download, is not stopped.
    """
    if not isinstance(project, Project):
        project = load_project(Path(project))
    with (
        open_store(Path(store or place_of_store(project)), waiting) as opened,
        open_engine(engine) as made,
    ):
        try_host(opened, made)
        session = Session(
            project, opened, made, Bus(sink), dict(proxies or {}), elsewhere, slots=slots
        )
        try:
            yield session
        finally:
            session.ongoing.close()
