"""What single builds of machines held, from their records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.values import package, stored

from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.output.holdings import (
    differing_before,
    finish_files,
    finished_builds,
    holding,
    system_differences,
)
from cloche.output.system import UNMERGED, add_system
from cloche.plan.depgraph import Depgraph, encode_depgraph
from cloche.records.builds import Events, keep, recorded
from cloche.records.events import Bus, Delivered, Done, Finished, Planned, encode_event
from cloche.store import Store, gc

APP = package("app", requested=True)
LIB = package("lib", requested=True)


def built(
    store: Store,
    place: Path,
    *,
    partial: bool,
    finish: Sequence[Layer] = (),
    layer: str | None = None,
    system: str | None = None,
) -> None:
    """Record a build of two packages, or of one of them alone."""
    (place / "graph").write_bytes(encode_depgraph(Depgraph((LIB, APP))))
    depgraph = store.add_blob(place / "graph", "graph").id
    wanted = (APP.id,) if partial else (LIB.id, APP.id)
    events = [
        Planned(machine="m", packages=wanted, partial=partial, depgraph=depgraph),
        *(Done(package=id, how="built", layer=layer) for id in wanted),
        Finished(built=len(wanted), reused=0, failed=0, skipped=0, seconds=1.0),
    ]
    if finish:
        system = add_system(store, {"hooks": {"h.sh": str(len(finish))}})
    ids = tuple(layer.id for layer in finish)
    end = Delivered(packages="p", stage4=None, logs="l", system=system, finish=ids)
    ended = [] if partial else [end]
    text = b"".join(encode_event(each) + b"\n" for each in (*events, *ended))
    (place / "events").write_bytes(text)
    keep(store, "place", "m", Events(place / "events", depgraph, system=system), count=9)


def test_a_build_of_some_packages_is_not_the_machines(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        built(store, tmp_path, partial=True)
        with pytest.raises(ClocheError, match="not built yet"):
            holding(store, "place", "m")
        built(store, tmp_path, partial=False)
        built(store, tmp_path, partial=True)
        assert [run.number for _, run in finished_builds(store, "place", "m")] == [2]
        held = holding(store, "place", "m")
        assert (held.run.number, set(held.packages)) == (2, {LIB.cp, APP.cp})
        with pytest.raises(ClocheError, match="there is: 2"):
            holding(store, "place", "m", 3)


def test_what_the_finish_wrote_is_compared(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        files = stored(store, "m", "finish", **{"etc/a": "1", "etc/b": "1", "etc/gone/x": "1"})
        hook = stored(store, "m", "finish", **{"etc/b": "2", "etc/new/y": "1"})
        other = stored(store, "m", "finish", **{"etc/a": "1", "etc/b": "1"})
        built(store, tmp_path, partial=False)
        built(store, tmp_path, partial=False, finish=(files,))
        built(store, tmp_path, partial=False, finish=(other, hook))
        old, first, second = (holding(store, "place", "m", number) for number in (1, 2, 3))
        assert [each.name for each in system_differences(first, second) or ()] == ["h.sh"]
        found = finish_files(store, first, second)
        assert found is not None
        assert (found.only_a, found.only_b) == (("etc/gone/x",), ("etc/new/y",))
        assert [each.path for each in found.differ] == ["etc/b"]
        same = finish_files(store, second, second)
        assert same is not None
        assert same.equal
        assert system_differences(old, second) is None  # of an older version
        assert finish_files(store, old, second) is None
        gc(store)
        assert finish_files(store, first, second) is None


def test_the_layers_of_a_finish_stay_with_those_of_the_packages(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        (tmp_path / "graph").write_text("{}")
        graph = store.add_blob(tmp_path / "graph", "graph").id
        hook = stored(store, "m", "finish", **{"etc/b": "2"})
        bus = Bus()
        with recorded(store, bus, "place", "m", count=9, kept=2):
            bus(Planned(machine="m", packages=(), depgraph=graph))
            bus(Delivered(packages="p", stage4=None, logs="l", finish=(hook.id,)))
        gc(store)
        assert store.has_tree(hook.id)


def test_a_build_is_compared_with_the_last_different_one(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        built(store, tmp_path, partial=False)
        with pytest.raises(ClocheError, match="no finished build before it"):
            differing_before(store, "place", holding(store, "place", "m"))
        for layer in (None, "1" * 64, "1" * 64, "1" * 64):
            built(store, tmp_path, partial=False, layer=layer)

        def before(number: int) -> int:
            new = holding(store, "place", "m", number)
            return differing_before(store, "place", new).run.number

        assert [before(number) for number in (2, 3, 4, 5)] == [1, 2, 2, 2]


def test_what_the_finish_unmerged_is_not_held(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        for atom, kept in ((LIB.cp, {APP.cp}), (f"={APP.cpv}", {LIB.cp}), ("=a/none-7", None)):
            system = add_system(store, {"removed": {atom: UNMERGED, "/usr/share/doc": ""}})
            built(store, tmp_path, partial=False, system=system)
            held = holding(store, "place", "m")
            assert set(held.packages) == (kept or {LIB.cp, APP.cp})
            removed = {each.cp for each in held.removed}
            assert removed == {LIB.cp, APP.cp} - set(held.packages)
