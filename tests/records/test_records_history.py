"""What is told of a package's earlier builds."""

from cloche.records.history import runs_of
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


def failure(step: str, created: float, **parts: str) -> Action:
    return Action(
        key=f"f{created}", kind=f"{step}-failed", name="a/b-1::r", parts=parts, outputs={},
        seconds=2.0, log=f"a/b-1/{created}-{step}.log", created=created,
    )  # fmt: skip


def test_a_build_that_failed_is_a_run_of_its_own() -> None:
    failed = [failure("build", 1, use="x", ebuild="1"), failure("build", 2, use="x", ebuild="1")]
    runs = runs_of([build("g1", 3, ebuild="2")], [merge("g1", "l1", 4)], failed)
    assert [(run.result, run.failed) for run in runs] == [
        ("failed", "build"), ("failed", "build"), ("first", None)
    ]  # fmt: skip
    assert [run.seconds for run in runs] == [2.0, 2.0, 11.0]
    assert runs[0].use == ("x",)
    assert set(runs[2].changed) == {"ebuild", "use"}


def test_a_merge_that_failed_ends_the_run_that_built_its_package() -> None:
    runs = runs_of([build("g1", 1)], [], [failure("merge", 2, gpkg="g1")])
    assert [(run.result, run.failed, run.seconds) for run in runs] == [("failed", "merge", 12.0)]
    again = runs_of([build("g1", 1)], [], [failure("merge", n, gpkg="g1") for n in (2, 3)])
    assert [(run.failed, run.build, run.merge) for run in again] == [
        ("merge", 10.0, 2.0), ("merge", None, 2.0)
    ]  # fmt: skip
    mended = runs_of([build("g1", 1)], [merge("g1", "l1", 3)], [failure("merge", 2, gpkg="g1")])
    assert [(run.failed, run.layer) for run in mended] == [(None, "l1"), ("merge", None)]


def test_nothing_gives_nothing() -> None:
    assert runs_of([], []) == ()
