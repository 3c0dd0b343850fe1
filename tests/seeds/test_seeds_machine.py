"""Seeds from machines: what is linked, what is locked, what is refused; and a chain of two."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.machine import tiny
from tests.support import Store as UsersStore
from tests.support import project
from tests.values import project as example_project
from tests.values import seed_spec, stored

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.errors import ConfigError
from cloche.config.lock import MachineSeed, TreeSeed
from cloche.config.machine import place_of
from cloche.config.project import Project, SeedSpec, load_project
from cloche.errors import Exit
from cloche.seeds import machine
from cloche.seeds.errors import SeedError
from cloche.seeds.stored import Seed, current_seed, find_seed, lock_found, stored_as
from cloche.seeds.types import SeedContext, SeedRequest
from cloche.store import Store, names


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


def built(store: Store, root: Path, *contents: str) -> tuple[str, ...]:
    """Remember a machine ``m`` of a project as built; its layers have a file each."""
    base, *layers = (
        stored(store, name, "package", **{f"etc/{name}": name}).id for name in contents
    )
    data = {"base": [base], "layers": layers}
    store.pin(names.machine(place_of(root), "m"), (base, *layers), (), data)
    return (base, *layers)


def request(root: Path, locked: MachineSeed | None = None, **options: str) -> SeedRequest:
    return SeedRequest(seed_spec("machine", **{"machine": "m", **options}), root, locked)


def context(store: Store, tmp_path: Path) -> SeedContext:
    engine: Any = None  # nothing of it is run here
    return SeedContext(engine, store, tmp_path / "cache", tmp_path / "log")


def make(
    store: Store, tmp_path: Path, wanted: SeedRequest, name: str = "room"
) -> tuple[Path, MachineSeed]:
    room = tmp_path / name
    room.mkdir()
    return machine.make(wanted, room, context(store, tmp_path))


def test_it_is_all_of_the_machines_layers(store: Store, tmp_path: Path) -> None:
    ids = built(store, tmp_path, "seed", "one", "two")
    tree, locked = make(store, tmp_path, request(tmp_path))
    assert locked == MachineSeed(ids)
    assert {path.name for path in (tree / "etc").iterdir()} == {"seed", "one", "two"}


def test_a_machine_of_another_project_is_named_by_its_directory(
    store: Store, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    ids = built(store, other, "seed", "one")
    _, locked = make(store, tmp_path, request(tmp_path, project="other"))
    assert locked.layers == ids


def test_a_machine_that_is_not_what_is_locked_is_refused(store: Store, tmp_path: Path) -> None:
    old = MachineSeed(built(store, tmp_path, "seed", "one"))
    new = built(store, tmp_path, "seed", "two")
    with pytest.raises(SeedError, match="machine m was built again, and differs") as caught:
        make(store, tmp_path, request(tmp_path, old))
    assert "seed bootstrap s --update" in str(caught.value)
    assert caught.value.status == Exit.BAD_INPUT
    updated = replace(request(tmp_path, old), update=True)
    _, locked = make(store, tmp_path, updated, "again")
    assert locked.layers == new


def stored_seed(store: Store, spec: SeedSpec, layers: tuple[str, ...]) -> str:
    """Remember a seed as made of a machine; return the id of its layer."""
    layer = stored(store, spec.name, "seed", **{"etc/layers": " ".join(layers)}).id
    about = Seed(spec.name, layer, "machine", "", "amd64", "", 0, "3", 0.0)
    lock = msgspec.to_builtins(MachineSeed(layers, layer=layer))
    data = {"about": asdict(about), "lock": lock}
    store.pin(stored_as(spec) + layer[:12], (layer, *layers), (), data)
    return layer


def lock_seed(place: Project, spec: SeedSpec, layers: tuple[str, ...], layer: str) -> None:
    """Pin a seed made of a machine in the project's lock."""
    seed = MachineSeed(layers, layer=layer)
    locks.change(place.lock, lambda lock: lock_entries.with_seed(lock, spec.name, seed))


def test_what_is_not_locked_is_what_the_machine_is_now(store: Store, tmp_path: Path) -> None:
    """A seed of another project's machine, or of an older state, has the same declaration."""
    place, spec = example_project(tmp_path / "p"), request(tmp_path).spec
    old = built(store, tmp_path / "other", "seed", "zero")
    stored_seed(store, spec, old)
    with pytest.raises(ConfigError, match="no machine is called “m”; there is: first"):
        find_seed(store, place, spec)
    one = built(store, place.root, "seed", "one")
    assert find_seed(store, place, spec) is None
    layer = stored_seed(store, spec, one)
    stored_seed(store, spec, old)  # the newest one
    found = find_seed(store, place, spec)
    assert found is not None
    assert found.layer == layer

    built(store, place.root, "seed", "two")
    assert find_seed(store, place, spec) is None
    lock_seed(place, spec, one, layer)
    with pytest.raises(SeedError, match="was built again"):
        find_seed(store, place, spec)
    built(store, place.root, "seed", "one")
    assert find_seed(store, place, spec) == found


def test_an_update_takes_what_was_made_of_the_machine_as_it_is_now(
    store: Store, tmp_path: Path
) -> None:
    place, spec = example_project(tmp_path / "p"), request(tmp_path).spec
    one = built(store, place.root, "seed", "one")
    first = stored_seed(store, spec, one)
    two = built(store, place.root, "seed", "two")
    assert current_seed(store, place, spec) is None
    second = stored_seed(store, spec, two)
    lock_seed(place, spec, one, first)
    found = current_seed(store, place, spec)
    assert found is not None
    assert found.layer == second
    lock_found(store, place, spec, found)
    assert locks.read(place.lock).seeds[spec.name].layer == first
    lock_found(store, place, spec, found, update=True)
    assert locks.read(place.lock).seeds[spec.name] == MachineSeed(two, layer=second)

    built(store, place.root, "seed", "one")
    back = current_seed(store, place, spec)
    assert back is not None
    assert back.layer == first


def test_what_is_locked_is_enough_where_the_machine_is_not(store: Store, tmp_path: Path) -> None:
    place, spec = example_project(tmp_path / "p"), request(tmp_path).spec
    ids = built(store, tmp_path / "elsewhere", "seed", "one")
    layer = stored_seed(store, spec, ids)
    lock_seed(place, spec, ids, layer)
    found = find_seed(store, place, spec)
    assert found is not None
    assert found.layer == layer


def test_a_machine_that_is_not_built_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "cloche.toml").touch()
    with pytest.raises(ConfigError, match="no machine is called “m”; this project has no machine"):
        make(store, tmp_path, request(tmp_path), "none")
    (tmp_path / "machines").mkdir()
    (tmp_path / "machines/n.toml").touch()
    with pytest.raises(ConfigError, match="no machine is called “m”; there is: n"):
        make(store, tmp_path, request(tmp_path), "other")
    (tmp_path / "machines/m.toml").touch()
    with pytest.raises(SeedError, match="machine m is not built") as caught:
        make(store, tmp_path, request(tmp_path))
    assert "run `cloche build m`" in str(caught.value)


def test_a_project_that_is_not_there_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"no such file: .*/away/cloche.toml") as caught:
        make(store, tmp_path, request(tmp_path, project="away"))
    assert caught.value.todo == "correct `project`"


def test_machines_that_are_each_others_seeds_are_refused(tmp_path: Path) -> None:
    more = "".join(
        f'\n[seeds.{name}]\ntype = "machine"\nmachine = "{name}"\n' for name in ("a", "b")
    )
    place = example_project(tmp_path / "p", more)
    text = (tmp_path / "p/machines/first.toml").read_text()
    for name, seed in (("a", "b"), ("b", "a")):
        file = tmp_path / f"p/machines/{name}.toml"
        file.write_text(text.replace('seed = "debian"', f'seed = "{seed}"'))
    with pytest.raises(ConfigError, match="each other's seeds: a → b → a"):
        place.machine("a")
    (tmp_path / "p/machines/b.toml").write_text(text)
    assert place.machine("a").seed == "b"


def test_a_circle_through_another_project_is_refused(tmp_path: Path) -> None:
    seed = '\n[seeds.below]\ntype = "machine"\nmachine = "first"\nproject = "../{}"\n'
    for name, other in (("p", "q"), ("q", "p")):
        place = example_project(tmp_path / name, seed.format(other))
        file = place.root / "machines/first.toml"
        text = file.read_text()
        file.write_text(text.replace('seed = "debian"', 'seed = "below"'))
    there = tmp_path / "p"
    with pytest.raises(ConfigError) as caught:
        place.machine("first")
    assert f"each other's seeds: first → first ({there}) → first" in str(caught.value)
    (there / "machines/first.toml").write_text(text)
    assert place.ground(place.machine("first")).type == "debian"
    shutil.rmtree(there)  # what is locked of it may be in the store
    assert place.ground(place.machine("first")).name == "below"


@pytest.mark.real
def test_a_machine_is_built_with_what_another_one_holds(
    root_seeded: UsersStore, fresh: Callable[[UsersStore], UsersStore]
) -> None:
    store = fresh(root_seeded)
    place = project(store, tiny.PROJECT)
    second = (place / "machines/tiny.toml").read_text().replace('"debian"', '"below"')
    second = second.replace(', "tiny/census"', "")
    (place / "machines/second.toml").write_text(f"keep_world = true\n{second}")
    with (place / "cloche.toml").open("a") as file:
        file.write('\n[seeds.below]\ntype = "machine"\nmachine = "tiny"\n')
    told = store.cloche("build", "second", cwd=place)
    assert told.returncode == 2
    assert "run `cloche build tiny` first" in told.stderr
    told = store.cloche("seed", "bootstrap", "below", cwd=place)
    assert told.returncode == 2
    assert "machine tiny is not built" in told.stderr
    tiny.build(store, place)
    store.cloche("seed", "bootstrap", "below", cwd=place, check=True)
    built = tiny.build(store, place, machine="second")
    assert built.packages("built") == {"tiny/report-1"}
    assert "tiny/leaf-1" not in built.layers  # the seed has it
    assert 'type = "machine"' in (place / "cloche.lock").read_text()
    world = ("shell", "second", "--", "cat", "/var/lib/portage/world")
    told = store.cloche(*world, cwd=place, check=True)
    assert {"tiny/census", "tiny/report"} <= {*told.stdout.split()}  # of the seed, and its own

    leaf = place / "repo/tiny/leaf/files/leaf.c"
    leaf.write_text(leaf.read_text().replace("leaf of", "another leaf of"))
    tiny.build(store, place)
    for command in (("build", "second"), ("seed", "bootstrap", "below")):
        told = store.cloche(*command, cwd=place)
        assert told.returncode == 2
        assert "machine tiny was built again" in told.stderr
        assert "run `cloche seed bootstrap below --update`" in told.stderr
    store.cloche("seed", "bootstrap", "below", "--update", cwd=place, check=True)
    tiny.build(store, place, machine="second")


HIDDEN = tiny.USES.replace('BDEPEND="tiny/greet"', "").replace("uses", "hidden")


@pytest.mark.real
def test_strict_builds_see_its_own_layers_and_nothing_is_split(
    root_seeded: UsersStore, fresh: Callable[[UsersStore], UsersStore]
) -> None:
    made = tiny.built_once(root_seeded)
    store = fresh(made.store)
    place = project(store, tiny.PROJECT)
    with (place / "cloche.toml").open("a") as text:
        text.write(f'''
[seeds.below]
type = "machine"
machine = "tiny"
project = "{made.project}"
[seeds.split]
type = "directory"
path = "/nonexistent"
''')
    for name, ebuild in (("uses", tiny.USES), ("hidden", HIDDEN)):
        (place / f"repo/tiny/{name}").mkdir()
        (place / f"repo/tiny/{name}/{name}-1.ebuild").write_text(ebuild)
        for seed in ("below", "split"):
            (place / f"machines/{name}-{seed}.toml").write_text(
                f'seed = "{seed}"\nprofile = "tiny:default"\npackages = ["tiny/{name}"]\n'
            )
    store.user.own(place)
    store.cloche("seed", "bootstrap", "below", cwd=place, check=True)
    strict = tiny.build(store, place, "--strict", machine="uses-below")
    assert strict.packages("built") == {"tiny/uses-1"}
    told = store.cloche("build", "--strict", "hidden-below", cwd=place)
    assert told.returncode == 1
    assert "command greet was not visible; it belongs to tiny/greet-1: add that" in told.stderr

    with Store.open(store.path) as opened:
        trees = {tree.id: tree for tree in opened.trees()}
        assert "seed-part" not in {tree.kind for tree in trees.values()}
        (ground,) = (tree for tree in trees.values() if tree.kind == "strict")
        (pin,) = opened.pins(stored_as(load_project(place).seeds["below"]))
        seed, *layers = pin.trees
        there = {
            path.lstat().st_ino
            for id in layers
            for path in trees[id].path.rglob("*")
            if not path.is_dir()
        }
        files = [path for path in ground.path.rglob("*") if path.is_file()]
        assert len(files) > 5000
        assert not [path for path in files if path.lstat().st_ino not in there]
        # The same tree as another type of seed, which has to be split.
        lock = msgspec.to_builtins(TreeSeed("directory", layer=seed))
        name = stored_as(load_project(place).seeds["split"]) + seed[:12]
        opened.pin(name, (seed,), (), {**pin.data, "lock": lock})
    split = tiny.build(store, place, "--strict", machine="uses-split")
    assert split.layers == strict.layers
    with Store.open(store.path) as opened:
        assert "seed-part" in {tree.kind for tree in opened.trees()}
