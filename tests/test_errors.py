"""Errors as plain data: what a step in another process could not do is the same error here."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from cloche.building.errors import BuildError
from cloche.building.unresolved import ResolutionError
from cloche.composing.collisions import CollisionError
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError, Exit
from cloche.fetching.errors import SignatureError
from cloche.roots.errors import BackendUnavailableError
from cloche.sandbox.errors import LauncherError, ProgramError
from cloche.store.errors import StoreBusyError
from cloche.tasks.errors import GuestError, StepError, StoppedError, no_room
from cloche.trees.errors import SyncProgramError

STEP = StepError(
    "a/b-1::r", "merge", "died", log="b.log", detail="one\ntwo", enter="cloche shell m"
)
ERRORS = [
    ClocheError("what"),
    ClocheError("what", where=Path("/x"), todo="do", detail="more\nlines", status=Exit.HOST),
    ConfigError(Origin(Path("/cloche.toml"), 3), "unknown key", "remove it"),
    STEP,
    StoppedError("a/b-1", "build"),
    no_room("a/b-1", "build", "/store", 5 << 20, 6 << 20),
    GuestError("the guest's resolve ended without an answer", detail="last words"),
    BuildError(("a/b-1::r", "a/c-1::r"), 3, (STEP, StoppedError("a/c-1", "build"))),
    CollisionError("machine m", (("a/b-1", "a/c-1", ("/x", "/y")),)),
    ResolutionError("m", "use", "a/b", "Portage's words\n"),
    SyncProgramError("gentoo", "git", "https://h", "fatal: no\nspace: No space left on device"),
    SignatureError("https://h/f", "not signed", Path("/keys"), "gpg: no"),
    BackendUnavailableError("reflink", "another file system"),
    LauncherError(77),
    ProgramError("executing x", "No such file or directory", 2),
    StoreBusyError(Path("/store"), exclusive=True, holders=("process 1",)),
]


def same(one: ClocheError, other: ClocheError) -> bool:
    """Whether nothing got lost."""
    return (type(one), str(one), one.as_data()) == (type(other), str(other), other.as_data())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_becomes_data_and_comes_back(error: ClocheError) -> None:
    data = json.loads(json.dumps(error.as_data()))
    again = ClocheError.from_data(data)
    assert same(again, error)
    assert again.status is error.status
    parts = ("what", "where", "todo", "detail", "status")
    assert [getattr(again, part) for part in parts] == [getattr(error, part) for part in parts]


def test_the_errors_of_a_build_come_back_with_it() -> None:
    error = BuildError(("a/b-1::r",), 0, (STEP, StoppedError("a/c-1", "build")))
    again = ClocheError.from_data(json.loads(json.dumps(error.as_data())))
    assert isinstance(again, BuildError)
    assert [type(each) for each in again.errors] == [StepError, StoppedError]
    assert same(again.errors[0], STEP)


def test_a_class_that_is_not_known_here_keeps_its_words() -> None:
    data = {**STEP.as_data(), "error": "SomethingLaterError"}
    again = ClocheError.from_data(data)
    assert type(again) is ClocheError
    assert (str(again), again.status) == (str(STEP), Exit.FAILED)


def test_words_alone_are_an_error() -> None:
    error = ClocheError.from_data({"what": "no answer"})
    assert (str(error), error.detail, error.status) == ("no answer", None, Exit.BAD_INPUT)


def refuse(number: int) -> None:
    raise ERRORS[number]


def test_what_fails_in_another_process_is_the_same_error_here() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for number, error in enumerate(ERRORS):
            raised = pool.submit(refuse, number).exception()
            assert isinstance(raised, ClocheError)
            assert same(raised, error)


def test_a_step_says_how_to_read_its_log_unless_it_knows_better() -> None:
    assert STEP.todo == "see `cloche log a/b-1 --step merge`"
    assert StepError("a/b-1::r", "build", "died", log="x").todo == "see `cloche log a/b-1`"
    assert StepError("a/b-1", "build", "died", log="x", todo="run it again").todo == "run it again"
    assert StepError("a/b-1", "build", "died").todo is None
