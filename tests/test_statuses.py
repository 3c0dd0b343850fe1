"""The exit status of every error: a new class of errors has to be entered here, with thought."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloche
from cloche.building.errors import BuildError
from cloche.errors import ClocheError, Exit, HostTroubleError
from cloche.seeds.debian.bootstrap import step_failed
from cloche.tasks.errors import (
    DiskFullError,
    StepError,
    StoppedError,
)
from cloche.trees.errors import SyncProgramError

STATUSES = {
    Exit.FAILED: """
        binhosts.BadPackageError broker.RemoteError building.BuildError composing.CollisionError
        fetching.FetchingError fetching.NotThereError fetching.WrongContentError
        plan.BadResolutionError sandbox.NotStartedError sandbox.ProgramError
        store.UnreadableTreeError tasks.FetchByHandError tasks.GuestError
        tasks.MissingDistfileError tasks.NoCacheError tasks.StepError tasks.StoppedError
        trees.SyncProgramError trees.TreeError
    """,
    Exit.BAD_INPUT: """
        archives.ImportRefusedError binhosts.MissingIndexError building.LiveError
        building.LockDriftError building.MissingSeedError building.NotLockedError
        building.ProposedError building.ResolutionError cli.MachinesError
        config.ConfigError fetching.SignatureError layers.LayerError portage.BadNameError
        portage.RepositoryError records.NotBuiltError records.NothingFoundError
        records.UnknownBuildError records.UnknownNewsError records.UnknownPackageError
        records.UnknownPhaseError roots.RootError sandbox.EngineUnknownError
        seeds.SeedError store.StoreError trees.ManifestError trees.TreeDriftError
    """,
    Exit.HOST: """
        broker.BrokerError building.KeptRootBusyError errors.HostTroubleError probing.NoAnswerError
        roots.BackendUnavailableError sandbox.HostError sandbox.LauncherError
        sandbox.SandboxError store.DamagedIndexError store.StoreBusyError
        tasks.DiskFullError vm.NoKernelError
    """,
}


def errors(base: type[ClocheError] = ClocheError) -> Iterator[type[ClocheError]]:
    """Every class of errors below ``base``, of the modules that are loaded."""
    for each in base.__subclasses__():
        if each.__module__.startswith("cloche."):
            yield each
            yield from errors(each)


def test_every_error_has_the_status_that_its_kind_has() -> None:
    for module in pkgutil.walk_packages(cloche.__path__, "cloche."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {f"{each.__module__.split('.')[1]}.{each.__name__}": each.status for each in errors()}
    wanted = {name: status for status, names in STATUSES.items() for name in names.split()}
    assert {n: s.name for n, s in found.items()} == {n: s.name for n, s in wanted.items()}


def test_a_build_that_only_the_host_stopped_has_the_hosts_status() -> None:
    full = DiskFullError("a/b-1", "build", "/store", 1, 2)
    own = StepError("a/c-1", "build", "died")
    stopped = StoppedError("a/d-1", "build")
    for errors_of_it, status in (
        ((full,), Exit.HOST),
        ((full, stopped), Exit.HOST),
        ((full, own), Exit.FAILED),
        ((own,), Exit.FAILED),
        ((stopped,), Exit.FAILED),
        ((HostTroubleError(OSError(5, "x")),), Exit.HOST),
    ):
        assert BuildError("m", ("x",), 0, errors_of_it).status is status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("tar: usr/lib/x: Cannot write: No space left on device", Exit.HOST),
        ("fatal: write error: Disk quota exceeded", Exit.HOST),
        ("E: Unable to locate package nothing", Exit.FAILED),
    ],
)
def test_a_program_that_found_no_room_has_the_hosts_status(words: str, status: Exit) -> None:
    step = step_failed("mmdebstrap", 25, Path("/log"), words)
    program = SyncProgramError("gentoo", "git", "https://example.org", words)
    for error in (step, program):
        assert error.status is status
        assert ("free some room" in str(error)) == (status is Exit.HOST)
