"""The exit status of every error: a new class of errors has to be entered here, with thought."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloche
from cloche.building.errors import BuildError
from cloche.config.errors import unwritable
from cloche.errors import ClocheError, Exit, host_trouble
from cloche.errors import unwritable as unwritable_place
from cloche.fetching.errors import bad_address, bad_keyring, no_gpg, unreachable
from cloche.roots.errors import overlay_unavailable, read_only_root, too_many_layers
from cloche.seeds.debian.bootstrap import step_failed
from cloche.store.errors import foreign_store, not_a_store, too_new, unknown_object
from cloche.tasks.errors import StepError, StoppedError, missing_distfile, no_room
from cloche.trees.errors import SyncProgramError, missing_program, missing_tree

STATUSES = {
    Exit.FAILED: """
        autogen.RateLimitError autogen.UpstreamError binhosts.BadPackageError building.BuildError
        cluster.DifferentError composing.CollisionError
        fetching.FetchingError fetching.NotThereError fetching.WrongContentError
        plan.BadResolutionError sandbox.ProgramError store.UnreadableTreeError
        tasks.BadDistfileError tasks.GuestError tasks.StepError tasks.StoppedError
        trees.SyncProgramError trees.TreeError
    """,
    Exit.BAD_INPUT: """
        archives.ImportRefusedError autogen.NoBuildSystemError autogen.NotPublishedError
        autogen.RefusedError
        binhosts.MissingIndexError booting.BootError building.MissingSeedError
        building.ResolutionError config.ConfigError config.NoProjectError distcc.DistccError
        fetching.SignatureError
        layers.LayerError overlays.OverlayError portage.BadNameError portage.RepositoryError
        roots.RootError seeds.SeedError service.ServiceError store.StoreError
        targets.BadDescriptionError targets.StaleChangeError trees.ManifestError
        trees.TreeDriftError workflows.BadRequestError
    """,
    Exit.HOST: """
        broker.BrokerError cluster.ClusterError cluster.TransferError cluster.UnfitError
        roots.BackendUnavailableError sandbox.HostError
        sandbox.LauncherError sandbox.SandboxError store.DamagedIndexError
        store.StoreBusyError vm.NoKernelError
    """,
    Exit.INTERRUPTED: "session.CallStoppedError",
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


def test_every_class_has_a_name_of_its_own() -> None:
    names = [each.__name__ for each in errors()]
    assert len(names) == len(set(names))  # `ClocheError.from_data` goes by it


PATH = Path("/x")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (missing_distfile("a/b-1", "b.tar"), Exit.FAILED),
        (unknown_object(PATH, "layer", "0"), Exit.FAILED),
        (unreachable("https://h", "no answer"), Exit.FAILED),
        (bad_address("ftp://h"), Exit.BAD_INPUT),
        (bad_keyring(PATH, "no keyring"), Exit.BAD_INPUT),
        (missing_tree("gentoo", locked=True), Exit.BAD_INPUT),
        (not_a_store(PATH, "thesis.tex"), Exit.BAD_INPUT),
        (read_only_root(PATH), Exit.BAD_INPUT),
        (too_new(PATH, 9, 1), Exit.BAD_INPUT),
        (host_trouble(PermissionError(13, "Permission denied")), Exit.HOST),
        (missing_program("gentoo", "git", "dev-vcs/git"), Exit.HOST),
        (no_gpg("https://h"), Exit.HOST),
        (no_room("a/b-1", "build", "/store", 1, 2), Exit.HOST),
        (overlay_unavailable(OSError(19, "No such device"), 3), Exit.HOST),
        (too_many_layers(9999), Exit.HOST),
        (unwritable(PATH, "Read-only file system"), Exit.HOST),
        (unwritable_place(PATH, OSError(30, "Read-only file system"), "x"), Exit.HOST),
        (foreign_store(PATH, "larry"), Exit.HOST),
    ],
    ids=lambda value: value.what if isinstance(value, ClocheError) else value.name,
)
def test_an_error_has_the_status_of_its_cause(error: ClocheError, status: Exit) -> None:
    assert error.status is status


def test_a_build_that_only_the_host_stopped_has_the_hosts_status() -> None:
    full = no_room("a/b-1", "build", "/store", 1, 2)
    own = StepError("a/c-1", "build", "died")
    stopped = StoppedError("a/d-1", "build")
    for errors_of_it, status in (
        ((full,), Exit.HOST),
        ((full, stopped), Exit.HOST),
        ((full, own), Exit.FAILED),
        ((own,), Exit.FAILED),
        ((stopped,), Exit.FAILED),
        ((host_trouble(OSError(5, "x")),), Exit.HOST),
    ):
        assert BuildError(("x",), 0, errors_of_it).status is status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("tar: usr/lib/x: Cannot write: No space left on device", Exit.HOST),
        ("fatal: write error: Disk quota exceeded", Exit.HOST),
        ("E: You don't have enough free space in /x/var/cache/apt/archives/.", Exit.HOST),
        ("E: Unable to locate package nothing", Exit.FAILED),
    ],
)
def test_a_program_that_found_no_room_has_the_hosts_status(words: str, status: Exit) -> None:
    step = step_failed("mmdebstrap", 25, Path("/log"), words)
    program = SyncProgramError("gentoo", "git", "https://example.org", words)
    for error in (step, program):
        assert error.status is status
        assert ("free some space" in str(error)) == (status is Exit.HOST)
