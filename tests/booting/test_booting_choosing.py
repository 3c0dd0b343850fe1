"""Which file `cloche boot MACHINE` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.booting.choosing import image_of
from cloche.booting.errors import BootError
from cloche.config.errors import ConfigError
from cloche.config.machine import Machine, load_machine

HEAD = 'seed = "debian"\nprofile = "own:default"\npackages = ["a/b"]\n'
IMAGES = {
    "root": 'format = "squashfs"\ntools = "debian"\n',
    "live": 'format = "iso"\ntools = "debian"\nvolid = "X"\n',
    "disk": 'format = "qcow2"\ntools = "debian"\n',
    "uki": 'format = "uki"\ntools = "debian"\n',
    "loaded": 'format = "disk"\ntools = "debian"\nBootable = true\n',
    "data": 'format = "disk"\ntools = "debian"\n',
    "plain": 'format = "directory"\ntools = "debian"\n',
}


def machine(root: Path, *images: str, output: str = "") -> Machine:
    text = f"{HEAD}[output]\n{output}"
    text += "".join(f"[output.images.{name}]\n{IMAGES[name]}" for name in images)
    file = root / "machines/m.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    found = load_machine("m", file, root, frozenset({"debian"}), frozenset({"own"}))
    for image in found.images:
        made = root / "out/m" / image.file
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
    return found


def test_the_only_image_that_boots_is_meant(tmp_path: Path) -> None:
    found = machine(tmp_path, "root", "live")
    assert image_of(found, "") == tmp_path / "out/m/live.iso"
    assert image_of(found, "live") == tmp_path / "out/m/live.iso"


def test_of_several_one_has_to_be_named(tmp_path: Path) -> None:
    found = machine(tmp_path, "live", "disk")
    with pytest.raises(ConfigError, match="choose one: `cloche boot m/live` or `cloche boot m/d"):
        image_of(found, "")
    assert image_of(found, "disk") == tmp_path / "out/m/disk.qcow2"


def test_images_by_mkosi_boot_if_they_have_a_loader(tmp_path: Path) -> None:
    assert image_of(machine(tmp_path, "loaded", "data"), "") == tmp_path / "out/m/loaded.raw"
    assert image_of(machine(tmp_path, "uki", "root"), "") == tmp_path / "out/m/uki.efi"
    found = machine(tmp_path, "data")
    with pytest.raises(ConfigError, match=r"has no image that boots.*with Bootable"):
        image_of(found, "")
    assert image_of(found, "data") == tmp_path / "out/m/data.raw"  # its content decides
    assert image_of(found, "data", nspawn=True) == tmp_path / "out/m/data.raw"


def test_nspawn_takes_a_directory(tmp_path: Path) -> None:
    found = machine(tmp_path, "plain", "live")
    assert image_of(found, "", nspawn=True) == tmp_path / "out/m/plain"
    with pytest.raises(BootError, match="plain is a directory image, which does not boot in this"):
        image_of(found, "plain")


def test_what_does_not_boot_is_said(tmp_path: Path) -> None:
    found = machine(tmp_path, "root")
    with pytest.raises(ConfigError, match="has no image that boots; add an image"):
        image_of(found, "")
    with pytest.raises(BootError, match="root is a squashfs image, which does not boot"):
        image_of(found, "root")
    with pytest.raises(ConfigError, match="no image is called “rot”; did you mean “root”"):
        image_of(found, "rot")


def test_an_image_that_was_not_made_is_said(tmp_path: Path) -> None:
    found = machine(tmp_path, "live")
    (tmp_path / "out/m/live.iso").unlink()
    with pytest.raises(BootError, match="`cloche build m` makes it"):
        image_of(found, "live")


def test_nspawn_takes_the_tarball(tmp_path: Path) -> None:
    found = machine(tmp_path, "live", output="stage4 = true\n")
    with pytest.raises(BootError, match="`cloche build m` makes it"):
        image_of(found, "", nspawn=True)
    tarball = tmp_path / "out/m/stage4.tar.zst"
    tarball.touch()
    (tmp_path / "out/m/stage4.tar.console.log").touch()
    assert image_of(found, "", nspawn=True) == tarball
