"""Layers of a machine as parts of a seed: what must be visible with what, and what the rest is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.values import stored, write_files

from cloche.layers import Layer, merged
from cloche.seeds.debian.packages import has_vdb, installed, is_debian
from cloche.seeds.errors import SeedError
from cloche.seeds.parts import machine
from cloche.seeds.parts.derived import strict_parts
from cloche.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def vdb(cpv: str, **files: str) -> dict[str, str]:
    return {f"var/db/pkg/{cpv}/PF": cpv, **files}


def package(store: Store, cpv: str, **files: str) -> Layer:
    return stored(store, cpv, **vdb(cpv, **files))


def shown(layers: tuple[Layer, ...]) -> dict[str, str]:
    """The files of a stack, with their content."""
    return {
        node.path.decode(): Path(node.origin.decode()).read_text()
        for node in merged([layer.path for layer in layers]).walk()
        if not node.is_directory
    }


def test_a_shared_file_is_as_the_topmost_visible_package_has_it(store: Store) -> None:
    users = "etc/passwd"
    layers = [
        stored(store, "m", "config", **{"etc/portage/make.conf": "x"}),
        package(store, "sys-apps/baselayout-1", **{users: "root"}),
        package(store, "acct-user/early-1", **{users: "root early", "etc/early": "x"}),
        package(store, "sys-apps/portage-3", **{users: "root early portage"}),
        package(store, "acct-user/late-1", **{users: "root early portage late"}),
    ]
    seed = stored(store, "seed", "seed", **{"etc/x": "x"})
    parts = strict_parts(store, seed, {}, made_of=layers)
    assert shown((parts.ground,))[users] == "root early portage"
    assert "etc/early" not in shown((parts.ground,))
    for names, expected in (
        (["acct-user/early-1"], "root early portage"),
        (["acct-user/late-1"], "root early portage late"),
        (["acct-user/early-1", "acct-user/late-1"], "root early portage late"),
    ):
        seen = shown((parts.ground, *parts.visible(names)))
        assert seen[users] == expected
        assert ("etc/early" in seen) is ("acct-user/early-1" in names)


def test_the_state_of_the_machine_has_no_entries_of_hidden_packages(store: Store) -> None:
    layers = [
        package(store, "sys-apps/sed-4"),
        package(store, "dev-util/tool-1", **{"usr/bin/tool": "x"}),
        stored(
            store, "m", "state",
            **{f"var/db/pkg/{cpv}/COUNTER": "1" for cpv in ("sys-apps/sed-4", "dev-util/tool-1")},
            **{"var/db/pkg/dev-util/tool-10/COUNTER": "1", "etc/profile.env": "x"},
        ),
    ]  # fmt: skip
    seed = stored(store, "seed", "seed", **{"etc/x": "x"})
    parts = strict_parts(store, seed, {}, made_of=layers)
    assert shown((parts.ground,)).keys() == {
        "etc/profile.env", "var/db/pkg/dev-util/tool-10/COUNTER", "var/db/pkg/sys-apps/sed-4/PF",
        "var/db/pkg/sys-apps/sed-4/COUNTER",
    }  # fmt: skip
    (tool,) = parts.visible(["dev-util/tool-1"])
    assert (tool.id, tool.label) == (layers[1].id, "seed:dev-util/tool-1")
    assert parts.trees >= {layers[0].id, layers[1].id, layers[2].id}


def test_over_a_seed_with_packages_the_layers_are_not_its_parts(store: Store) -> None:
    debian = stored(store, "debian", "seed", **{"var/lib/dpkg/status": ""})
    gentoo = stored(store, "gentoo", "seed", **vdb("c/old-1"))
    own = package(store, "c/new-1")
    assert machine.packages([debian, own]) == {"c/new-1": own}
    assert machine.packages([gentoo, own]) == {}


CONTENT = st.sampled_from([None, (0o755, 0, 0), (0o700, 0, 0)])
LAYERS = st.lists(st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), CONTENT), max_size=6)


@given(LAYERS, st.sets(st.integers(0, 5)))
def test_what_is_visible_is_what_a_stack_in_the_machines_order_shows(
    drawn: list[machine.Names], chosen: set[int]
) -> None:
    """For each set of visible packages: over the ground they show the same, whatever shares."""
    names = {str(number): each for number, each in enumerate(drawn)}
    ground = [name for name in names if int(name) in chosen]
    hidden = [name for name in names if name not in ground]
    covers = machine.covers(names, ground)
    for count in range(len(hidden) + 1):
        for seen in itertools.combinations(hidden, count):
            wanted, todo = set[str](), list(seen)
            while todo:
                name = todo.pop()
                if name not in wanted:
                    wanted.add(name)
                    todo += covers.get(name, ())
            ours = [*ground, *(name for name in names if name in wanted)]
            right = [name for name in names if name in ground or name in seen]
            for name in (b"a", b"b", b"c"):
                assert _top(names, ours, name) == _top(names, right, name)


def _top(names: dict[str, machine.Names], order: list[str], name: bytes) -> object:
    """What the topmost layer has there: which file, or a directory's attributes."""
    owner = next((each for each in reversed(order) if name in names[each]), None)
    return owner and (names[owner][name] or owner)


def test_a_seed_whose_var_leads_to_this_host_has_no_packages_and_is_not_debian(
    tmp_path: Path,
) -> None:
    host, seed = tmp_path / "host", tmp_path / "seed"
    write_files(host, ["var/lib/dpkg/status", "var/db/pkg/a/b-1/CONTENTS"])
    assert has_vdb(host)
    assert is_debian(host)
    seed.mkdir()
    (seed / "var").symlink_to(host / "var")
    assert not has_vdb(seed)
    assert not is_debian(seed)
    with pytest.raises(SeedError, match=r"var/lib/dpkg/status: Not a directory"):
        installed(seed)
