"""Which indexes of modules are not right."""

from __future__ import annotations

from pathlib import Path

from tests import values
from tests.values import write_files

from cloche.building.modules_index import index_modules, unindexed
from cloche.config.errors import Origin
from cloche.config.kernel import Kernel
from cloche.layers import Merged
from cloche.records.events import Event, Note
from cloche.store import Store

PLACE = "lib/modules/6.12.1"


def test_a_module_that_no_index_has_is_seen(tmp_path: Path) -> None:
    kernel, own = tmp_path / "kernel", tmp_path / "own"
    index = "kernel/fs/a.ko: kernel/fs/b.ko.zst\nkernel/fs/b.ko.zst:\n"
    write_files(kernel, {f"{PLACE}/kernel/fs/{name}": "" for name in ("a.ko", "b.ko.zst")})
    write_files(kernel, {f"{PLACE}/modules.dep": index, "lib/modules/6.18.0/modules.dep": ""})
    write_files(own, [f"{PLACE}/extra/own.ko"])
    (own / PLACE / "build").symlink_to("/usr/src/linux")
    assert unindexed(Merged([kernel])) == ()
    assert unindexed(Merged([kernel, own])) == ("6.12.1",)
    write_files(own, {f"{PLACE}/modules.dep": f"{index}extra/own.ko:\n"})
    assert unindexed(Merged([kernel, own])) == ()
    (own / PLACE / "modules.dep").unlink()
    assert unindexed(Merged([own])) == ("6.12.1",)  # a kernel that was merged without depmod
    assert unindexed(Merged([tmp_path / "kernel/lib"])) == ()


def test_without_depmod_it_is_a_warning(tmp_path: Path) -> None:
    write_files(tmp_path / "own", [f"{PLACE}/extra/own.ko"])
    told: list[Event] = []
    with Store.open(tmp_path / "store") as store:
        context = values.context(store)
        context.bus.add(told.append)
        kernel = Kernel(Origin(tmp_path / "web.toml", 7))
        assert index_modules(context, kernel, [values.layer(tmp_path / "own")]) == ()
    (note,) = [each.text for each in told if isinstance(each, Note)]
    assert "web.toml:7: modules of 6.12.1 are not in modules.dep" in note
    assert note.endswith("add sys-apps/kmod")
