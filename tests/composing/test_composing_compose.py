"""Layers that write to one file, put into one root."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values
from tests.values import plan_of, vdb_entry, write_files

from cloche.composing.collisions import CollisionError
from cloche.composing.compose import Composer
from cloche.layers import Layer
from cloche.plan.depgraph import Edge, Package
from cloche.tasks.errors import (
    StepError,
    no_room,
)


class House:
    """Packages whose hooks put their names, one a line, into files; with the layers they give."""

    def __init__(self, top: Path, needs: dict[str, tuple[str, ...]], writes: dict[str, str]):
        self.top, self.writes = top, writes
        self.again: list[tuple[str, list[str]]] = []
        self.plan = plan_of(*(_package(name, needs[name], name in writes) for name in needs))
        self.layers: dict[str, Layer] = {}
        for package in self.plan.packages:
            below = self.compose(*self.plan.visible[package.id].merge)
            self.layers[package.id] = self.merge(package, below)
        self.again.clear()

    def merge(self, package: Package, over: tuple[Layer, ...]) -> Layer:
        """A layer as the merge step makes it."""
        path = self.top / str(len(list(self.top.iterdir())))
        write_files(path, [f"usr/{package.pn}"])
        vdb_entry(path, package.cpv, f"dir /usr\nobj /usr/{package.pn} 0 1\n")
        if file := self.writes.get(package.id):
            found = [layer.path / file for layer in over if (layer.path / file).exists()]
            (path / file).write_text((found[-1].read_text() if found else "") + f"{package.id} ")
        return values.layer(path, package.cpv)

    def compose(self, *names: str, any_hook: bool = False) -> tuple[Layer, ...]:
        def again(package: Package, over: tuple[Layer, ...], shared: list[str]) -> Layer:
            assert shared == [self.writes[package.id]]
            self.again.append((package.id, [layer.label for layer in over]))
            return self.merge(package, over)

        composer = Composer(self.plan, self.layers.__getitem__, again, any_hook=any_hook)
        return composer.compose(names)

    def shown(self, file: str, *names: str) -> str:
        """What a root of these packages has in a file."""
        found = [layer.path / file for layer in self.compose(*names)]
        return [path for path in found if path.exists()][-1].read_text()


def _package(name: str, needs: tuple[str, ...], hook: bool) -> Package:
    """``x!`` is a dependency of the merge alone (IDEPEND). The name is the id."""
    edges = (Edge(n.rstrip("!"), ("install",) if n.endswith("!") else ("runtime",)) for n in needs)
    phases = ("postinst",) if hook else ()
    return values.package(name, *edges, id=name, requested=True, defined_phases=phases)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "layers").mkdir()
    return tmp_path / "layers"


def test_layers_that_share_nothing_stay_as_they_are(top):
    house = House(top, {"a": (), "b": (), "c": ()}, {"a": "one", "b": "two"})
    assert house.compose("a", "b", "c") == tuple(house.layers.values())
    assert house.again == []


def test_who_comes_later_is_merged_over_who_came_before(top):
    house = House(top, {"a": (), "b": (), "c": ()}, {"a": "list", "c": "list"})
    assert house.shown("list", "a", "b", "c") == "a c "
    assert house.again == [("c", ["c/a-1"])]
    assert house.shown("list", "c") == "c "


def test_any_number_may_write(top):
    house = House(top, dict.fromkeys("abcd", ()), dict.fromkeys("abcd", "list"))
    assert house.shown("list", *"abcd") == "a b c d "


def test_who_depends_on_the_other_has_seen_it_already(top):
    house = House(top, {"a": (), "b": ("a",)}, {"a": "list", "b": "list"})
    assert house.shown("list", "a", "b") == "a b "
    assert house.again == []


def test_who_depends_on_one_of_two_is_merged_over_both(top):
    house = House(top, {"a": (), "b": (), "c": ("b",)}, dict.fromkeys("abc", "list"))
    assert house.shown("list", *"abc") == "a b c "


def test_who_depends_on_what_was_merged_again_is_merged_again(top):
    """A user's line names a group by its number, and the group may have got another one."""
    needs = {"group": (), "other": (), "user": ("other",), "third": ("group",)}
    house = House(top, needs, {"group": "groups", "other": "groups", "user": "users"})
    house.compose(*needs)
    assert house.again == [("other", ["c/group-1"]), ("user", ["c/other-1"])]


def test_what_is_no_part_of_the_root_stays_out_of_it(top):
    """``tool`` is there when ``b`` is merged, but not in a root that ``b`` only runs in."""
    needs = {"tool": (), "a": ("tool!",), "b": ()}
    house = House(top, needs, {"tool": "list", "a": "other", "b": "other"})
    assert house.shown("other", "a", "b") == "a b "
    assert house.again == [("b", ["c/a-1"])]


def test_a_file_that_another_package_owns_is_shared_as_well(top):
    house = House(top, {"a": (), "b": ()}, {"b": "usr/a"})
    assert house.shown("usr/a", "a", "b") == "b "
    assert house.again == [("b", ["c/a-1"])]


def test_a_hook_of_the_users_may_write_for_any_package(top):
    house = House(top, {"a": (), "b": ()}, {"a": "list", "b": "list"})
    bare = House(top, {"a": (), "b": ()}, {})
    house.plan = bare.plan
    house.compose("a", "b")
    assert house.again == []
    house.compose("a", "b", any_hook=True)
    assert house.again == [("b", ["c/a-1"])]


class Shelf:
    """Layers written by hand: a name ends in ``/`` for a directory, or is ``name -> target``.

    CONTENTS has the same names, but where others are given.
    """

    def __init__(self, top: Path, **layers: tuple[str, ...]) -> None:
        self.top = top
        self.again: list[tuple[str, list[str], list[str]]] = []
        self.error: StepError | None = None
        self.seed: list[Layer] = []
        self.plan = plan_of(*(_package(name, (), False) for name in layers if name != "base"))
        self.layers = {name: self.layer(name, *names) for name, names in layers.items()}

    def layer(self, name: str, *names: str) -> Layer:
        path = self.top / name
        lines = []
        for each in names:
            file, _, target = each.removeprefix("!").partition(" -> ")
            kind = f"sym /{file} -> {target} 0" if target else f"obj /{file} 0 0"
            lines.append(f"dir /{file.rstrip('/')}" if file.endswith("/") else kind)
            if each.startswith("!"):  # in CONTENTS alone
                continue
            place = path / file
            place.parent.mkdir(parents=True, exist_ok=True)
            if target:
                place.symlink_to(target)
            elif file.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                place.touch()
        vdb_entry(path, name, "\n".join(lines) + "\n")
        return values.layer(path, f"c/{name}-1")

    def compose(self) -> tuple[Layer, ...]:
        def again(package: Package, over: tuple[Layer, ...], shared: list[str]) -> Layer:
            labels = [layer.label.removeprefix("c/").removesuffix("-1") for layer in over]
            self.again.append((package.id, labels, shared))
            if self.error is not None:
                raise self.error
            return self.layers[package.id]

        base = [self.layers["base"]] if "base" in self.layers else []
        composer = Composer(self.plan, self.layers.__getitem__, again, base=base, seed=self.seed)
        return composer.compose([package.id for package in self.plan.packages], "the root")


def test_what_lies_below_a_link_is_merged_over_its_owner(top):
    shelf = Shelf(top, other=("usr/x",), linker=("opt/store -> /srv",), direr=("opt/store/d",))
    shelf.compose()
    assert shelf.again == [("direr", ["linker"], ["opt/store"])]


def test_a_link_far_from_the_name_that_leads_through_it_counts(top):
    """``p`` has installed ``l/f``, and the seed's links brought that to ``n/f``."""
    base, p = ("l -> m", "m -> n", "n/"), ("n/f", "!l/", "!l/f")
    for r, again in (
        (("m -> x",), True),
        (("k -> x",), False),
        (("n/g",), False),
        (("n -> x",), True),
    ):
        place = top / r[0].replace(" ", "").replace("/", "")
        place.mkdir()
        shelf = Shelf(place, base=base, r=r, p=p)
        shelf.compose()
        assert bool(shelf.again) == again, r


def test_a_part_of_the_seed_that_a_merge_did_not_see_counts_as_well(top):
    shelf = Shelf(top, a=("opt/store/a",), b=("usr/b",))
    shelf.seed = [shelf.layer("part", "opt/store -> /srv"), shelf.layer("other", "usr/x")]
    shelf.compose()
    assert shelf.again == [("a", ["part"], ["opt/store"])]


def test_directories_are_alike_or_the_later_package_learns_of_the_first(top):
    shelf = Shelf(top, a=("opt/x/a",), b=("opt/x/b",), c=("opt/x/c",))
    (shelf.layers["c"].path / "opt/x").chmod(0o700)
    shelf.compose()
    assert shelf.again == [("c", ["a", "b"], ["opt/x"])]


def test_what_portage_refuses_names_every_pair(top):
    shelf = Shelf(top, a=("x", "y"), b=("x/in",), c=("y",))
    shelf.error = StepError("any", "merge", "Package 'c/b-1' NOT merged due to file collisions.")
    with pytest.raises(CollisionError) as caught:
        shelf.compose()
    assert caught.value.what.startswith("file collision of a and b: /x (1 more")
    assert caught.value.detail == "a and b:\n  /x\na and c:\n  /y"
    assert str(caught.value.where) == "the root"


def test_what_else_fails_is_not_a_collision(top):
    shelf = Shelf(top, a=("x",), b=("x",))
    shelf.error = no_room("b", "merge", "/", 0, 1)
    with pytest.raises(StepError, match="no space left in /"):
        shelf.compose()
