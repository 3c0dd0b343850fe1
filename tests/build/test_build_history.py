"""What is told of a package's earlier builds."""

from cloche.build.history import runs_of
from cloche.store import Action


def build(gpkg: str, created: float, **parts: str) -> Action:
    return Action(
        key=f"b{created}", kind="build", name="a/b-1::r", parts={"use": "x y", **parts},
        outputs={"gpkg": gpkg}, seconds=10.0, log=None, created=created,
    )  # fmt: skip


def merge(gpkg: str, layer: str, created: float) -> Action:
    return Action(
        key=f"m{created}", kind="merge", name="a/b-1::r", parts={"gpkg": gpkg},
        outputs={"gpkg": gpkg, "layer": layer}, seconds=1.0, log=None, created=created,
    )  # fmt: skip


def test_each_build_says_whether_its_layer_is_the_one_of_before() -> None:
    builds = [build("g1", 1), build("g2", 3), build("g3", 5), build("g4", 7)]
    merges = [merge("g1", "l1", 2), merge("g2", "l1", 4), merge("g3", "l2", 6)]
    runs = runs_of(builds, merges)
    assert [run.result for run in runs] == ["first", "same", "different", "lost"]
    assert [run.layer for run in runs] == ["l1", "l1", "l2", None]
    assert runs[0].use == ("x", "y")
    assert (runs[0].build, runs[0].merge, runs[3].merge) == (10.0, 1.0, None)


def test_what_changed_is_named() -> None:
    runs = runs_of([build("g1", 1, ebuild="1"), build("g2", 2, ebuild="2")], [])
    assert [run.changed for run in runs] == [(), ("ebuild",)]


def test_a_package_that_was_merged_again_keeps_its_first_merge() -> None:
    runs = runs_of([build("g1", 1)], [merge("g1", "l1", 2), merge("g1", "l2", 9)])
    assert [run.layer for run in runs] == ["l1"]


def test_nothing_gives_nothing() -> None:
    assert runs_of([], []) == ()
