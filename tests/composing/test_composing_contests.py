"""The index of names that layers have in common, and what is remembered of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.values import layer

from cloche.composing.contests import KIND, Contests, Ways, recalled, remember
from cloche.layers import Layer
from cloche.store import Store


def written(top: Path, name: str, *names: str, mode: int = 0o755) -> Layer:
    """A layer of files, in directories of one mode."""
    path = top / name
    for each in names:
        place = path / each
        place.parent.mkdir(parents=True, exist_ok=True)
        place.parent.chmod(mode)
        place.touch()
    return layer(path, f"c/{name}-1", id=name)


@pytest.fixture
def layers(tmp_path: Path) -> dict[str, Layer]:
    top = tmp_path / "layers"
    names = {"a": ("usr/x", "b/1"), "b": ("usr/x",), "c": ("usr/y/z",), "d": ("usr/y",)}
    made = {name: written(top, name, *files) for name, files in names.items()}
    return made | {"e": written(top, "e", "b/2", mode=0o700), "f": written(top, "f", "b/3", "v")}


WAYS = Ways(hinges=frozenset({"b"}), passed=frozenset({"v", "usr"}))
RIGHT = {"a": {"b", "e"}, "b": {"a"}, "c": {"d"}, "d": {"c"}, "e": {"a", "f"}, "f": {"e"}}


def asked(contests: Contests, layers: dict[str, Layer]) -> dict[str, set[str]]:
    for each in layers.values():
        contests.learn(each)
    return {name: contests.of(each) for name, each in layers.items()}


def test_layers_with_one_name_that_is_not_the_same_directory_are_told(
    layers: dict[str, Layer],
) -> None:
    contests = Contests()
    assert asked(contests, layers) == RIGHT
    assert contests.of(layers["b"], WAYS) == {"a", "e", "f"}


def test_what_was_found_is_remembered_and_no_layer_read_again(
    tmp_path: Path, layers: dict[str, Layer]
) -> None:
    with Store.open(tmp_path / "store") as store:
        first = recalled(store, "m")
        asked(first, layers)
        first.of(layers["b"], WAYS)
        blob = remember(store, "m", first)
        shutil.rmtree(tmp_path / "layers")
        again = recalled(store, "m")
        assert asked(again, layers) == RIGHT
        assert again.of(layers["b"], WAYS) == {"a", "e", "f"}
        assert again.memory() is None
        assert remember(store, "m", again) == blob
        assert asked(recalled(store, "m"), {"a": layers["a"]})["a"] == RIGHT["a"]


@pytest.mark.parametrize("new", ["layer", "name"])
def test_what_is_new_is_found_out(tmp_path: Path, layers: dict[str, Layer], new: str) -> None:
    with Store.open(tmp_path / "store") as store:
        first = recalled(store, "m")
        asked(first, layers)
        remember(store, "m", first)
        again = recalled(store, "m")
        assert asked(again, layers) == RIGHT
        if new == "name":
            assert again.of(layers["b"], WAYS) == {"a", "e", "f"}
        else:
            other = written(tmp_path / "layers", "g", "usr/y/z")
            assert again.of(other) == {"c", "d"}
            assert again.of(layers["c"]) == {"d", "g"}
        assert again.memory() is not None


def test_a_damaged_memory_is_made_anew(tmp_path: Path, layers: dict[str, Layer]) -> None:
    with Store.open(tmp_path / "store") as store:
        first = recalled(store, "m")
        asked(first, layers)
        remember(store, "m", first)
        action = store.last_action(KIND, "m")
        assert action is not None
        store.blob(action.outputs["contests"]).path.write_text('{"layers": 1}')
        assert asked(recalled(store, "m"), layers) == RIGHT
