"""An image reads as the tree it is made from: squashfs, ext4, XFS, btrfs, FAT, ISO, disks."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from outputs_made import file, refusal, tarball
from pycdlib import PyCdlib
from tests.support import cannot

from cloche.comparison.comparison import Comparison, compare
from cloche.comparison.outputs import read_output
from cloche.errors import ClocheError

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)  # cap_net_raw=ep
MIB = 1 << 20


def run(*words: object, text: str | None = None) -> None:
    """Run a tool of the host; ``text`` is its standard input."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    program = shutil.which(str(words[0]), path=path)
    if program is None:
        cannot(f"{words[0]} is not installed")
    call = [program, *map(str, words[1:])]
    subprocess.run(call, input=text, text=True, check=True, capture_output=True)


pytestmark = pytest.mark.real  # the tools that make images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with files of each kind that an ordinary user can make."""
    top = tmp_path / "root"
    for name in ("usr/bin", "etc", "many"):
        (top / name).mkdir(parents=True)
    (top / "usr/bin/ping").write_bytes(b"#!/bin/sh\n" + b"x" * 3 * MIB)
    (top / "usr/bin/ping").chmod(0o4755)
    os.setxattr(top / "usr/bin/ping", "security.capability", CAPABILITY)
    (top / "etc/a").write_text("a\n")
    (top / "etc/b").hardlink_to(top / "etc/a")
    (top / "etc/c").symlink_to("../" * 20 + "a")
    (top / "empty").touch()
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as sparse:
        sparse.truncate(2 * MIB)
        sparse.write(b"end")
    for number in range(300):
        (top / f"many/a rather long name {number}").write_text(str(number))
    return top


def squashfs(root: Path, *options: str) -> Path:
    image = root.with_name("image.squashfs")
    run("mksquashfs", root, image, "-noappend", "-quiet", "-no-progress", *options)
    return image


def ext4(root: Path, size: int = 32) -> Path:
    image = root.with_name("image.ext4")
    with image.open("wb") as empty:
        empty.truncate(size * MIB)
    run("mkfs.ext4", "-q", "-d", root, image)
    return image


def btrfs(root: Path) -> Path:
    image = root.with_name("image.btrfs")
    with image.open("wb") as empty:
        empty.truncate(128 * MIB)
    run("mkfs.btrfs", "-q", "--rootdir", root, image)
    return image


def fat(root: Path) -> Path:
    """Made from another tree than ``root``, as FAT has neither modes nor links."""
    boot = root.with_name("boot")
    (boot / "EFI/BOOT").mkdir(parents=True)
    (boot / "EFI/BOOT/BOOTX64.EFI").write_bytes(b"MZ" * 50_000)
    (boot / "EFI/BOOT/grub configuration.cfg").write_text("set timeout=1\n")
    image = root.with_name("image.fat")
    with image.open("wb") as empty:
        empty.truncate(4 * MIB)
    run("mkfs.vfat", "-n", "EFI", image)
    run("mcopy", "-s", "-i", image, boot / "EFI", "::")
    return image


def iso(path: Path, files: dict[str, bytes], label: str = "LIVE") -> Path:
    """An ISO image with Rock Ridge, of plain files."""
    made = PyCdlib()
    made.new(interchange_level=3, vol_ident=label, rock_ridge="1.09")
    for number, (name, content) in enumerate(files.items()):
        made.add_fp(io.BytesIO(content), len(content), f"/F{number}.;1", rr_name=name)
    made.write(str(path))
    made.close()
    return path


def bootable(path: Path, files: dict[str, bytes]) -> Path:
    """An ISO image with El Torito's boot catalog as a file; the first file is booted."""
    made = PyCdlib()
    made.open(str(iso(path, files)))
    made.add_eltorito("/F0.;1", bootcatfile="/BOOT.;1", rr_bootcatname="boot.catalog")
    made.write(str(path.with_suffix(".boot.iso")))
    made.close()
    return path.with_suffix(".boot.iso")


def disk(path: Path, efi: Path, system: Path) -> Path:
    """A disk with a GPT: an EFI system partition, one without a file system, the system."""
    sizes = [-(-each.stat().st_size // MIB) for each in (efi, system)]
    with path.open("wb") as empty:
        empty.truncate((sum(sizes) + 4) * MIB)
    table = f"label: gpt\nsize={sizes[0]}M,type=U\nsize=1M\nsize={sizes[1]}M,type=L\n"
    run("sfdisk", "-q", path, text=table)
    with path.open("r+b") as whole:
        for image, start in ((efi, 1), (system, sizes[0] + 2)):
            whole.seek(start * MIB)
            whole.write(image.read_bytes())
    return path


def listed(found: Comparison) -> set[tuple[str, str, str]]:
    return {(each.tree, each.difference.aspect, each.difference.subject) for each in found.judged}


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_a_squashfs_is_the_tree_that_it_was_made_from(root: Path, compression: str) -> None:
    image = squashfs(root, "-comp", compression)
    (tree,) = read_output(image)
    assert tree.kind == "squashfs"
    assert tree.inventory.items["usr/bin/ping"].xattrs == ((b"security.capability", CAPABILITY),)
    assert listed(compare(read_output(root), [tree])) == set()


def test_devices_in_a_squashfs_have_their_numbers(root: Path) -> None:
    pseudo = ["-p", "null c 666 0 0 1 3", "-p", "disk b 660 0 6 259 300"]
    (tree,) = read_output(squashfs(root, *pseudo))
    null, block = (tree.inventory.items[name] for name in ("null", "disk"))
    assert (null.type, null.mode, null.device) == ("character", 0o666, (1, 3))
    assert (block.type, block.gid, block.device) == ("block", 6, (259, 300))


def test_an_ext4_is_the_tree_that_it_was_made_from(root: Path) -> None:
    found = compare(read_output(root), read_output(ext4(root)))
    assert listed(found) == {("", "gained", "lost+found")}


def test_a_btrfs_is_the_tree_that_it_was_made_from(root: Path) -> None:
    assert listed(compare(read_output(root), read_output(btrfs(root)))) == set()


def test_an_xfs_is_the_tree_that_it_was_made_from(root: Path) -> None:
    """Of the prototype that mkfs.xfs takes: files, directories, links."""
    image, content = root.with_name("image.xfs"), root / "etc/a"
    with image.open("wb") as empty:
        empty.truncate(320 * MIB)
    lines = ["unused", "0 0", "d--755 0 0", f"a ---644 5 6 {content}", f"s -u-755 0 0 {content}"]
    many = (f"n{number} ---644 0 0 {content}" for number in range(200))
    lines += ["l l--777 0 0 ../a", "d d--700 0 0", *many, "$", "$", ""]
    prototype = root.with_name("prototype")
    prototype.write_text("\n".join(lines))
    run("mkfs.xfs", "-q", "-p", prototype, image)
    (tree,) = read_output(image)
    items = tree.inventory.items
    assert (items["a"].uid, items["a"].gid, items["a"].text or items["a"].size) == (5, 6, 2)
    assert (items["s"].mode, items["d"].mode, items["l"].target) == (0o4755, 0o700, "../a")
    assert len(items) == 205
    assert {item.digest for name, item in items.items() if name.startswith("d/")} == {
        items["a"].digest
    }


def test_a_fat_has_its_long_names(root: Path) -> None:
    (tree,) = read_output(fat(root))
    found = {name: item.size for name, item in tree.inventory.items.items() if item.type == "file"}
    assert found == {"EFI/BOOT/BOOTX64.EFI": 100_000, "EFI/BOOT/grub configuration.cfg": 14}


def test_the_inside_of_an_iso_is_compared_under_its_own_heading(root: Path, tmp_path: Path) -> None:
    old = iso(tmp_path / "old.iso", {"image.squashfs": squashfs(root).read_bytes(), "a": b"1"})
    (root / "etc/a").write_text("other\n")
    (root / "empty").unlink()
    new = iso(tmp_path / "new.iso", {"image.squashfs": squashfs(root).read_bytes(), "a": b"2"})
    found = compare(read_output(old), read_output(new))
    assert [tree.name for tree in found.old] == ["", "image.squashfs"]
    assert listed(found) == {
        ("", "content", "a"),
        ("", "content", "image.squashfs"),
        ("image.squashfs", "text", "etc/a"),
        ("image.squashfs", "text", "etc/b"),
        ("image.squashfs", "lost", "empty"),
    }
    (whole,) = (e for e in found.judged if e.difference.subject == "image.squashfs")
    assert whole.rule.name == "image"


def test_a_bootable_iso_has_the_name_of_its_boot_catalog_but_not_its_places(
    tmp_path: Path,
) -> None:
    old = bootable(tmp_path / "old.iso", {"loader": b"x" * 2048, "a": b"1", "more": b"m"})
    new = bootable(tmp_path / "new.iso", {"loader": b"x" * 2048, "a": b"1" * 9000, "more": b"m"})
    found = compare(read_output(old), read_output(new))
    assert listed(found) == {("", "content", "a")}
    assert "boot.catalog" in found.new[0].inventory.items


def test_the_label_of_an_iso_and_a_missing_image_are_differences(
    root: Path, tmp_path: Path
) -> None:
    image = squashfs(root).read_bytes()
    old = iso(tmp_path / "old.iso", {"image.squashfs": image})
    new = iso(tmp_path / "new.iso", {"image.squashfs": b"none"}, label="OTHER")
    assert listed(compare(read_output(old), read_output(new))) == {
        ("", "about", "label"),
        ("", "content", "image.squashfs"),
        ("image.squashfs", "tree-lost", "image.squashfs"),
    }


def test_a_disk_is_compared_partition_by_partition(root: Path, tmp_path: Path) -> None:
    efi = fat(root)
    old = disk(tmp_path / "old.raw", efi, ext4(root))
    (root / "usr/bin/ping").chmod(0o755)
    new = disk(tmp_path / "new.raw", efi, ext4(root))
    packed = tmp_path / "new.qcow2"
    run("qemu-img", "convert", "-c", "-O", "qcow2", new, packed)
    first, second, third = read_output(old)
    assert (first.kind, second.kind, third.kind) == ("disk", "fat", "ext")
    assert len(first.inventory.items) == 3
    assert listed(compare(read_output(new), read_output(packed))) == {("", "about", "form")}
    assert listed(compare([first, second, third], read_output(new))) == {
        (third.name, "setuid", "usr/bin/ping")
    }


def test_a_qcow2_with_a_base_is_refused(root: Path, tmp_path: Path) -> None:
    """An image may name any file of the host as its base."""
    below = disk(tmp_path / "below.raw", fat(root), ext4(root))
    above = tmp_path / "above.qcow2"
    run("qemu-img", "create", "-f", "qcow2", "-b", below, "-F", "raw", above)
    with pytest.raises(ClocheError, match="backing-file") as caught:
        read_output(above)
    assert caught.value.status == 2


# Bad images


SMALL: dict[str, Callable[[Path], Path]] = {
    "squashfs": squashfs,
    "ext4": lambda root: ext4(root, 4),
    "fat": fat,
}


@pytest.mark.parametrize("form", SMALL)
def test_damaged_images_raise_no_other_exception(form: str, root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "many")
    (root / "usr/bin/ping").write_bytes(b"x")
    (root / "sparse").unlink()
    whole, chosen = SMALL[form](root).read_bytes(), random.Random(9)
    bad = tmp_path / "bad"
    full = [at for at in range(0, len(whole), 64) if any(whole[at : at + 64])]
    refused = 0
    for _ in range(80):
        damaged = bytearray(whole)
        for _ in range(chosen.randrange(1, 6)):
            at = chosen.choice(full) + chosen.randrange(64)
            damaged[at : at + 1] = bytes([chosen.randrange(256)])
        if chosen.random() < 0.1:
            damaged = damaged[: chosen.randrange(full[-1])]
        bad.write_bytes(damaged)
        said = refusal(bad)
        assert "\n" not in said
        refused += bool(said)
    assert refused


def test_a_fat_with_a_loop_in_a_chain_is_refused(root: Path, tmp_path: Path) -> None:
    image = bytearray(fat(root).read_bytes())
    table = int.from_bytes(image[14:16], "little") * int.from_bytes(image[11:13], "little")
    # Clusters are of 16 bits, or of 12: with both widths, all point to cluster 2.
    image[table + 4 : table + 2000] = bytes([2, 0x20, 0]) * 665 + b"\x02"
    bad = tmp_path / "bad"
    bad.write_bytes(image)
    with pytest.raises(ClocheError):
        read_output(bad)


def test_an_iso_of_random_bytes_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.iso"
    bad.write_bytes(bytes(32769) + b"CD001" + os.urandom(60_000))
    with pytest.raises(ClocheError) as caught:
        read_output(bad)
    assert caught.value.status == 2


def test_a_tarball_needs_no_library_for_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libraries are an extra: without it, only images are refused."""
    for name in ("filesystems", "disks", "iso"):
        monkeypatch.delitem(sys.modules, f"cloche.comparison.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "dissect.volume.disk", None)
    monkeypatch.setitem(sys.modules, "pycdlib", None)
    assert read_output(tarball(tmp_path / "a.tar", {"a": file()}))
    image = tmp_path / "a.iso"
    image.write_bytes(bytes(32769) + b"CD001" + bytes(60_000))
    with pytest.raises(ClocheError, match=r"needs the Python package pycdlib; .*cloche\[compare\]"):
        read_output(image)
