"""`cloche why` in a store that lost something."""

from __future__ import annotations

from pathlib import Path

from cloche.cli.look import _machines
from cloche.plan.depgraph import Depgraph, Package, encode_depgraph
from cloche.store import Store

PACKAGE = Package(
    id="app-misc/jq-1::r", cpv="app-misc/jq-1", category="app-misc", pn="jq", pf="jq-1",
    version="1", slot="0", sub_slot="0", repo="r", eapi="8", ebuild="", requested=True,
)  # fmt: skip


def test_a_lost_resolution_leaves_the_others(tmp_path: Path, capsys) -> None:
    with Store.open(tmp_path / "store") as store:
        file = tmp_path / "graph"
        file.write_bytes(encode_depgraph(Depgraph((PACKAGE,))))
        blob = store.add_blob(file, "graph").id
        for name, id in (("gone", "0" * 64), ("here", blob)):
            data = {"machine": name, "depgraph": id, "layers": []}
            store.pin(f"machine/x/{name}", (), (blob,), data)
        assert [name for name, _ in _machines(store)] == ["here"]
    assert "gone is left out" in capsys.readouterr().err
