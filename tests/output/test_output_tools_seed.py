"""The seed that makes a machine's images is made by the build that needs it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.machine import tiny
from tests.support import Store, project

SEED = '\n[seeds.{name}]\ntype = "machine"\nmachine = "tiny"\n'
IMAGE = '\n[output.images.root]\nformat = "erofs"\ntools = "{name}"\n'


@pytest.mark.real
def test_tools_are_made_on_demand_unless_nothing_is_to_be_fetched(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    """These, a machine, are made at once; that they lack a program is seen after that."""
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    tiny.build(store, place)
    for name in ("one", "two"):
        with (place / "cloche.toml").open("a") as file:
            file.write(SEED.format(name=name))
        machine = (place / "machines/tiny.toml").read_text() + IMAGE.format(name=name)
        (place / f"machines/of-{name}.toml").write_text(machine)

    def said(*words: str) -> str:
        told = store.cloche(*words, cwd=place)
        assert told.returncode == 2, told.stderr
        return told.stderr

    missing = "the seed “one” is not in the store yet; run `cloche seed bootstrap one`"
    assert missing in said("plan", "of-one")
    assert missing in said("build", "--offline", "of-one")
    for name, machines in (("one", ["of-one"]), ("two", ["of-two", "tiny"])):
        first, second = said("build", *machines), said("build", *machines)
        assert f"seed {name}: trying Portage in it" in first
        assert "trying" not in second
        for each in (first, second):
            assert f"the seed {name} lacks what an image of format erofs needs" in each
        assert f"[seeds.{name}]" in (place / "cloche.lock").read_text()
