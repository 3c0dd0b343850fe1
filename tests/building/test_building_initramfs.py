"""Which kernels of a root get an initramfs."""

from __future__ import annotations

from pathlib import Path

from cloche.building.initramfs import releases
from cloche.layers import Merged


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
