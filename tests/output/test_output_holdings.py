"""What single builds of machines held, from their records."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import package

from cloche.errors import ClocheError
from cloche.output.holdings import finished_builds, holding
from cloche.plan.depgraph import Depgraph, encode_depgraph
from cloche.records.builds import Events, keep
from cloche.records.events import Delivered, Done, Finished, Planned, encode_event
from cloche.store import Store

APP = package("app", requested=True)
LIB = package("lib", requested=True)


def built(store: Store, place: Path, *, partial: bool) -> None:
    """Record a build of two packages, or of one of them alone."""
    (place / "graph").write_bytes(encode_depgraph(Depgraph((LIB, APP))))
    depgraph = store.add_blob(place / "graph", "graph").id
    wanted = (APP.id,) if partial else (LIB.id, APP.id)
    events = [
        Planned(machine="m", packages=wanted, partial=partial, depgraph=depgraph),
        *(Done(package=id, how="built") for id in wanted),
        Finished(built=len(wanted), reused=0, failed=0, skipped=0, seconds=1.0),
    ]
    ended = [] if partial else [Delivered(packages="p", stage4=None, logs="l")]
    text = b"".join(encode_event(each) + b"\n" for each in (*events, *ended))
    (place / "events").write_bytes(text)
    keep(store, "place", "m", Events(place / "events", depgraph), count=9)


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
