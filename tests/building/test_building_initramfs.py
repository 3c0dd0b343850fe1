"""Which kernels of a root get an initramfs, and what is told of it."""

from __future__ import annotations

from pathlib import Path

from tests import values

from cloche.building.initramfs import MISSING, key_of, make_initramfs, missing_in, releases
from cloche.config.errors import Origin
from cloche.config.kernel import Kernel
from cloche.layers import Merged
from cloche.records.events import Event, Note
from cloche.store import Outcome, Store, memo


def test_each_kernel_gets_one_with_modules_or_without(tmp_path: Path) -> None:
    below, above = tmp_path / "below", tmp_path / "above"
    for name in ("usr/lib/modules/6.12.1/modules.dep", "boot/vmlinuz-6.12.1", "boot/config-6.1"):
        (below / name).parent.mkdir(parents=True, exist_ok=True)
        (below / name).touch()
    for name in ("boot/vmlinuz-6.18.0-tiny", "usr/lib/modules/left/extra/old.ko"):
        (above / name).parent.mkdir(parents=True, exist_ok=True)
        (above / name).touch()
    assert releases(Merged([below, above])) == (("6.12.1", True), ("6.18.0-tiny", False))


def test_a_root_without_a_kernel_gets_none(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    assert releases(Merged([tmp_path])) == ()


def test_what_dracut_could_not_put_in_is_told_of_each_build_that_uses_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("dracut: Included\ndracut: FAILED: cp nowhere\n")
    kernel = Kernel(Origin(tmp_path / "web.toml", 7), initramfs="dracut")
    told: list[Event] = []
    with Store.open(tmp_path / "store") as store:
        context = values.context(store)
        context.bus.add(told.append)
        layer = values.stored(store, "m", "finish", **{"boot/initramfs-6.img": "made"})
        done = Outcome({"layer": layer.id}, data={MISSING: missing_in(log)})
        memo.record(store, key_of(context, kernel, ()), "m", done, 1.0)
        for _ in range(2):
            assert [each.id for each in make_initramfs(context, kernel, ())] == [layer.id]
    notes = [each.text for each in told if isinstance(each, Note)]
    line = f"{kernel.origin}: the initramfs lacks something: dracut: FAILED: cp nowhere"
    assert notes == [line, line]
