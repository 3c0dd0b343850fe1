"""What targets ask for when it is told what levels cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.service.database import Database
from cloche.service.plan import asked_atoms, costs_of
from cloche.service.settings import State
from cloche.service.values import Target, Work
from cloche.targets.levels import Level
from cloche.targets.results import Place

DIGEST = "d" * 64
TARGET = Target("t", "laptop", DIGEST, Level.ABI, None, "amd64", "x", "p", (), 1.0, 1.0)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A state with a target."""
    made = State(tmp_path)
    made.make()
    database = Database(made.database)
    database.add_target(TARGET)
    database.close()
    return made


def test_a_target_asks_for_what_it_asked_for_lately(state: State) -> None:
    database = Database(state.database)
    assert asked_atoms(database, TARGET) == ("@world",)
    for id, atoms, error in (
        ("a", ("a/old", "a/both"), None),
        ("b", ("a/refused",), {"what": "Portage refuses it"}),
        ("c", ("a/both", "a/new"), None),
    ):
        database.add_build(id, Work(DIGEST, Level.ABI, (), False), atoms, 1.0, "")
        database.ask(id, "t", "none")
        database.end(id, "failed" if error else "done", 2.0, error)
    database.add_build("d", Work(DIGEST, Level.ABI, (), False), ("a/anothers",), 1.0, "")
    assert asked_atoms(database, TARGET) == ("a/both", "a/new", "a/old")


def test_the_target_of_a_damaged_description_is_named(state: State) -> None:
    database = Database(state.database)
    with pytest.raises(ClocheError, match="missing or damaged") as error:
        costs_of(database, state, Place(state.path), ())
    assert error.value.where == "laptop (t)"
