"""`cloche why` in a store that lost something."""

from __future__ import annotations

from pathlib import Path

from tests.values import blob, package

from cloche.cli.why import _machines
from cloche.plan.depgraph import Depgraph, encode_depgraph
from cloche.store import Store


def test_a_lost_resolution_leaves_the_others(tmp_path: Path, capsys) -> None:
    with Store.open(tmp_path / "store") as store:
        graph = blob(store, encode_depgraph(Depgraph((package("jq"),))).decode())
        for name, id in (("gone", "0" * 64), ("here", graph)):
            data = {"machine": name, "depgraph": id, "layers": []}
            store.pin(f"machine/x/{name}", (), (graph,), data)
        assert [name for name, _ in _machines(store)] == ["here"]
    assert "gone is left out" in capsys.readouterr().err
