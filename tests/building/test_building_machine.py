"""How long a package is thought to take."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.values import package

from cloche.building.machine import expected_seconds
from cloche.store import Action, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    runs = [
        ("jq-1", 10.0), ("jq-1", 30.0), ("jq-1", 20.0), ("jq-2", 50.0), ("jq-tools-1", 900.0),
    ]  # fmt: skip
    with Store.open(tmp_path / "store") as store:
        for number, (pf, seconds) in enumerate(runs):
            store.record(
                Action(f"k{number}", "build", f"c/{pf}::r", {}, {}, seconds, None, float(number))
            )
        yield store


@pytest.mark.parametrize(
    ("pf", "seconds"), [("jq-1", 20.0), ("jq-2", 50.0), ("jq-3", 30.0), ("yq-1", None)]
)
def test_a_version_takes_its_own_median_and_a_new_one_that_of_the_others(
    store: Store, pf: str, seconds: float | None
) -> None:
    assert expected_seconds(store, package(pf)) == seconds


def test_steps_are_apart(store: Store) -> None:
    assert expected_seconds(store, package("jq-1"), "merge") is None
