"""What earlier builds left of an image: removed once the image has other files, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.values import write_files

from cloche.output.leftovers import remove_leftovers


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


def test_what_an_image_has_no_more_is_removed_and_nothing_else(tmp_path: Path) -> None:
    write_files(tmp_path, ["x.raw", "x.vmlinuz", "x.esp.raw", "y.tar", "x.initrd", "mine.txt"])
    assert not remove_leftovers(tmp_path, {"x": ["x.raw", "x.vmlinuz", "x.esp.raw"]})
    assert not remove_leftovers(tmp_path, {"y": ["y.tar"]})
    found = remove_leftovers(tmp_path, {"x": ["x.raw"]})
    assert found == [tmp_path / "x.esp.raw", tmp_path / "x.vmlinuz"]
    assert names(tmp_path) == ["mine.txt", "x.initrd", "x.raw", "y.tar"]
    write_files(tmp_path, ["x.tar"])
    assert remove_leftovers(tmp_path, {"x": ["x.tar"]}) == [tmp_path / "x.raw"]
    assert remove_leftovers(tmp_path, {}) == []
    assert names(tmp_path) == ["mine.txt", "x.initrd", "x.tar", "y.tar"]


def test_a_file_that_is_another_images_now_stays(tmp_path: Path) -> None:
    write_files(tmp_path, ["x.raw", "x.esp.raw"])
    remove_leftovers(tmp_path, {"x": ["x.raw", "x.esp.raw"]})
    assert not remove_leftovers(tmp_path, {"x": ["x.raw"], "x.esp": ["x.esp.raw"]})
    assert names(tmp_path) == ["x.esp.raw", "x.raw"]


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', '{"x": ["../kept"]}', '{"x": [1]}', "\xff"])
def test_a_list_that_is_not_cloches_removes_nothing(tmp_path: Path, text: str) -> None:
    write_files(tmp_path, ["kept", "out/x.raw"])
    (tmp_path / "out/.images").write_bytes(text.encode("latin-1"))
    assert not remove_leftovers(tmp_path / "out", {"x": ["x.raw"]})
    assert not remove_leftovers(tmp_path / "out", {"x": ["x.raw"]})
    assert names(tmp_path) == ["kept", "out"]


def test_what_is_no_file_any_more_stays(tmp_path: Path) -> None:
    write_files(tmp_path, ["x", "x.raw"])
    remove_leftovers(tmp_path, {"x": ["x.raw", "x.efi", "x"]})
    (tmp_path / "x").unlink()
    write_files(tmp_path, ["x/own"])
    (tmp_path / "x.efi").symlink_to("x.raw")
    assert not remove_leftovers(tmp_path, {"x": ["x.raw"]})
    assert names(tmp_path) == ["x", "x.efi", "x.raw"]
