"""Overlays of every height, by the new mount calls and by mount(2)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloche.roots.errors import RootError
from cloche.roots.overlay import MAX_LOWERS, hides_something, spread

SOURCE = Path(__file__).parents[2] / "src"
DRIVER = """
import os, sys
from pathlib import Path
from cloche.sandbox import userns
from cloche.roots import overlay
from cloche.linux import mounts, processes

userns.enter()
processes.unshare(processes.CLONE_NEWNS)
mounts.make_private()
base, api, writable = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"
layers = [base / f"layer{index}" for index in range(1000)]
for index, layer in enumerate(layers):
    layer.mkdir()
    (layer / f"file{index}").touch()
    (layer / "same").write_text(str(index))
for count in (1, 2, 10, 300, 500, 1000):
    target, top, work = (base / f"{name}{count}" for name in ("target", "top", "work"))
    for path in (target, top, work):
        path.mkdir()
    pair = {"top": top, "work": work} if writable else {}
    fd = overlay.compose(layers[:count], stage=target, api=api, **pair)
    mounts.move_mount(fd, target)
    assert len(os.listdir(target)) == count + 1, count
    assert (target / "same").read_text() == str(count - 1), count
    try:
        (target / "new").touch()
        assert pair and (top / "new").exists()
    except OSError:
        assert not pair
"""


def paths(count: int) -> list[Path]:
    return [Path(f"/nowhere/{index}") for index in range(count)]


@pytest.mark.real
@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("api", ["fsmount", "mount2"])
def test_every_layer_is_seen_in_order(api: str, writable: bool, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path), api, str(writable)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=True,
    )


@pytest.mark.parametrize("count", [1, 10, MAX_LOWERS])
def test_few_layers_need_no_inner_overlay(count: int) -> None:
    assert spread(paths(count)).inner == 0


@pytest.mark.parametrize("count", [500, 997, 998, 1000, 2000, 5000])
def test_every_layer_stays_in_order_within_the_limit(count: int) -> None:
    stack = spread(paths(count))
    assert [layer for group in stack.groups for layer in group] == paths(count)
    assert len(stack.groups) <= MAX_LOWERS
    assert max(map(len, stack.groups)) <= MAX_LOWERS


def test_as_few_layers_as_possible_are_merged_above_the_bottom() -> None:
    assert [len(group) for group in spread(paths(1000)).groups[:3]] == [MAX_LOWERS, 4, 1]


def test_a_layer_that_hides_something_stays_out_of_the_middle(tmp_path: Path) -> None:
    (tmp_path / "opaque").mkdir()
    assert not hides_something(tmp_path)
    os.setxattr(tmp_path / "opaque", "user.overlay.opaque", b"y")
    assert hides_something(tmp_path)
    stack = [*paths(600), tmp_path, *paths(500)]
    with pytest.raises(RootError, match=f"too many for overlayfs, and {tmp_path} hides files"):
        spread(stack)
    assert spread([tmp_path, *paths(1100)]).inner == 2  # at the bottom it does no harm
