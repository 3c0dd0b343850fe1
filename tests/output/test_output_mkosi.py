"""Images by mkosi: each holds what the root holds, and the same bytes each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import values
from tests.roots import worlds
from tests.support import Store, cannot

from cloche.archives import ImportOptions, import_tarball
from cloche.broker import open_engine
from cloche.config.errors import ConfigError, Origin
from cloche.config.images import Erofs, Image
from cloche.config.mkosi import FORMATS, Mkosi
from cloche.layers import SOURCE_DATE_EPOCH, Layer, commit, compare, layer_of
from cloche.output import mkosi, mkosi_tools
from cloche.output.finished import Finished
from cloche.output.images import check_images, write_images
from cloche.sandbox.base import Engine
from cloche.store import Store as Opened

KERNEL = "usr/lib/modules/6.1/vmlinuz"
#: Directories whose content is not part of an image: file systems of their own lie there.
RUNTIME = ("dev", "proc", "run", "sys", "tmp", "var/tmp")


def test_a_disk_has_the_partitions_that_it_needs() -> None:
    plain = mkosi.partitions(Mkosi("disk"), ())
    assert list(plain) == ["10-root.conf"]
    assert "Minimize=guess" in plain["10-root.conf"]
    boots = Mkosi("disk", bootable=True, verity=True, root_type="erofs", efi_size=64 << 20)
    found = mkosi.partitions(boots, ("/usr/lib/systemd",))
    assert sorted(found) == ["00-esp.conf", "10-root.conf", "20-root-verity.conf"]
    assert "SizeMaxBytes=67108864" in found["00-esp.conf"]
    assert {"Verity=data", "ExcludeFiles=/usr/lib/systemd"} <= set(found["10-root.conf"])
    sized = mkosi.partitions(Mkosi("disk", size=1 << 30), ())["10-root.conf"]
    assert "SizeMinBytes=1073741824" in sized
    assert not any(line.startswith("Minimize") for line in sized)


def test_the_version_of_systemd_is_that_of_its_library(tmp_path: Path) -> None:
    values.write_files(tmp_path / "tools", ["usr/lib/x86_64-linux-gnu/libc.so.6"])
    tools = values.layer(tmp_path / "tools", "tools", kind="seed")
    assert mkosi_tools.systemd_version(tools) is None
    file = "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so"
    values.write_files(tmp_path / "tools", [file])
    assert mkosi_tools.systemd_version(tools) == 257


@dataclass
class Making:
    """A store with tools and a root that has all kinds of files."""

    store: Opened
    engine: Engine
    tools: Layer
    root: Layer
    room: Path

    def make(
        self, format: Mkosi | Erofs, name: str, *more: Layer, tools: Layer | None = None
    ) -> Path:
        """Make an image; its file."""
        context = values.context(self.store, own_root=True, tools={"tools": tools or self.tools})
        context = replace(context, worker=replace(context.worker, engine=self.engine))
        image = Image(name, Origin(Path("m.toml"), 1), "tools", format)
        machine: Any = SimpleNamespace(images=(image,))
        done = Finished(context, machine, (self.root, *more), (), self.room / "out")
        return write_images(done)[name].path

    def layer(self, files: dict[str, str]) -> Layer:
        return values.stored(self.store, "c/more-1", **files)

    def again(self) -> None:
        """Forget which images were made."""
        keys = [action.key for action in self.store.index.actions() if action.kind == "image"]
        self.store.index.strike(actions=keys)


def write_root(tree: Path) -> None:
    """A root with whatever a root can hold."""
    files = {"usr/lib/os-release": "ID=gentoo\n", KERNEL: "a kernel", "etc/passwd": "root:x:0:0"}
    files |= {"boot/start.img": "cpio", "tmp/left": "", "opt/a": "a", "usr/bin/tool": "#!/bin/sh\n"}
    values.write_files(tree, files)
    os.setxattr(tree / "usr/bin/tool", "security.capability", worlds.CAPABILITY)
    worlds.furnish(tree)


@pytest.fixture(scope="module")
def making(root_tools: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    room = tmp_path_factory.mktemp("mkosi")
    copy = root_tools.copy(room / "store")
    (room / "out").mkdir()
    with Opened.open(copy.path) as store, open_engine() as engine:
        ids = [each.name for each in store.layers.iterdir() if (each / "usr/bin/mkosi").exists()]
        tools, *_ = (store.tree(id) for id in ids)
        with store.workspace("values") as place:
            (place / "tree").mkdir()
            write_root(place / "tree")
            root = commit(store, place / "tree", kind="package", label="c/a-1")
        yield Making(store, engine, layer_of(tools), root, room)


@contextmanager
def mounted(image: Path, kind: str, offset: int = 0) -> Iterator[Path]:
    """The tree of a file system in an image."""
    place = image.parent / "mounted"
    place.mkdir(exist_ok=True)
    words = ["mount", "-t", kind, "-o", f"ro,loop,offset={offset}", str(image), str(place)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        cannot(f"cannot mount an image here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def offsets(image: Path) -> dict[str, int]:
    """Where the partitions of a disk begin, by their names, as its GPT says (UEFI 5.3)."""
    content = image.read_bytes()[: 1 << 20]
    found = {}
    for entry in (content[at : at + 128] for at in range(1024, 1024 + 128 * 128, 128)):
        if name := entry[56:].decode("utf-16-le").rstrip("\0"):
            found[name] = 512 * int.from_bytes(entry[32:40], "little")
    return found


def differences(making: Making, tree: Path, *ignored: str) -> set[str]:
    """Lines of what is not as it is in the root, but for names below the ignored ones."""
    lines = compare([making.root.path], [tree]).text().splitlines()
    starts = tuple(f"{sign} {name}" for sign in "+-~" for name in (*ignored, "etc/seed"))
    return {line for line in lines if line and not line.startswith(starts)}


@pytest.mark.real
def test_a_tarball_holds_what_the_root_holds(making: Making, tmp_path: Path) -> None:
    file = making.make(Mkosi("tar"), "tarball")
    import_tarball(file, tmp_path / "tree", ImportOptions(devices="make"))
    assert not differences(making, tmp_path / "tree", "tmp/left")


@pytest.mark.real
def test_options_change_the_root_and_nothing_of_them_is_of_today(making: Making) -> None:
    settings = {"Hostname": "web1", "RootPassword": "hashed:$6$salt$hash", "Ssh": "yes"}
    file = making.make(Mkosi("tar", {"Content": {**settings, "RemoveFiles": "/opt"}}), "options")
    with tarfile.open(file) as opened:
        names = set(opened.getnames())
        texts = {name: opened.extractfile(f"./etc/{name}").read().decode()  # type: ignore[union-attr]
                 for name in ("hostname", "shadow")}  # fmt: skip
    assert texts["hostname"] == "web1\n"
    assert texts["shadow"].startswith(f"root:$6$salt$hash:{SOURCE_DATE_EPOCH // 86400}:")
    assert "./etc/systemd/system/sockets.target.wants/ssh.socket" in names
    assert not {"./opt", "./usr/lib/clock-epoch"} & names


@pytest.mark.real
def test_an_erofs_holds_what_the_root_holds(making: Making) -> None:
    with mounted(making.make(Erofs(("-zlz4",)), "plain"), "erofs") as tree:
        assert not differences(making, tree)


@pytest.mark.real
def test_a_disk_holds_what_the_root_holds_and_has_the_same_bytes_again(making: Making) -> None:
    format = Mkosi("disk", {"Output": {"SplitArtifacts": "uki,kernel,initrd"}}, bootable=True,
                   efi_size=64 << 20)  # fmt: skip
    file = making.make(format, "disk")
    begin = offsets(file)
    assert set(begin) == {"esp", "root-x86-64"}
    with mounted(file, "ext4", begin["root-x86-64"]) as tree:
        found = differences(making, tree, "tmp/left", "boot/", "lost+found")
        assert found == {"+ efi"}
    assert file.with_name("disk.vmlinuz").read_text() == "a kernel"
    assert b"root=PARTUUID=" in file.with_name("disk.efi").read_bytes()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_blocks * 512 < file.stat().st_size // 2
    making.again()
    assert hashlib.sha256(making.make(format, "disk").read_bytes()).hexdigest() == digest


@pytest.mark.real
def test_a_disk_with_verity_has_its_hash_on_the_kernel_line(making: Making) -> None:
    format = Mkosi("disk", {"Output": {"SplitArtifacts": "uki"}}, root_type="erofs",
                   bootable=True, verity=True, efi_size=64 << 20)  # fmt: skip
    file = making.make(format, "sealed")
    begin = offsets(file)
    assert set(begin) == {"esp", "root-x86-64", "root-x86-64-verity"}
    assert b"roothash=" in file.with_name("sealed.efi").read_bytes()
    with mounted(file, "erofs", begin["root-x86-64"]) as tree:
        assert differences(making, tree, "tmp/left", "boot/") == {"+ efi"}


@pytest.mark.real
@pytest.mark.proof(name="images")
@pytest.mark.parametrize("word", FORMATS)
def test_every_format_has_the_same_bytes_again(making: Making, word: str) -> None:
    file = making.make(Mkosi(word), f"same-{word}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    making.again()
    again = making.make(Mkosi(word), f"same-{word}")
    assert hashlib.sha256(again.read_bytes()).hexdigest() == digest


@pytest.mark.real
@pytest.mark.proof(name="images")
def test_an_extension_has_its_part_of_the_root_and_says_what_it_is(making: Making) -> None:
    for word, part, release in (("sysext", "opt", "usr/lib"), ("confext", "etc", "etc")):
        file = making.make(Mkosi(word), f"ext-{word}")
        (begin,) = offsets(file).values()
        with mounted(file, "erofs", begin) as tree:
            said = tree / f"{release}/extension-release.d/extension-release.ext-{word}"
            assert "ID=gentoo" in said.read_text().splitlines()
            assert (tree / part).is_dir()
            assert not (tree / "bin").exists()


@pytest.mark.real
def test_what_mkosi_would_miss_is_said_before_it_is_started(making: Making) -> None:
    boots = Mkosi("disk", bootable=True)
    with making.store.workspace("values") as place:
        (place / "tree/usr/lib/modules").mkdir(parents=True)
        os.mknod(place / "tree/usr/lib/modules/6.1", 0o020000, 0)
        os.mknod(place / "tree/usr/lib/os-release", 0o020000, 0)
        gone = commit(making.store, place / "tree", kind="finish", label="remove")
    big = making.layer({"big": "x" * (2 << 20)})
    for format, more, said in (
        (Mkosi("tar"), gone, "the root has no usr/lib/os-release"),
        (boots, making.layer({"usr/lib/modules/7/x.ko": ""}), "and the root has no depmod"),
        (replace(boots, initrds=("/none",)), None, "/none of `Initrds` is no file"),
        (replace(boots, size=1 << 20), big, "too much for a partition of 1 MiB"),
    ):
        with pytest.raises(ConfigError, match=said):
            making.make(format, "x", *((more,) if more else ()))
    released = making.layer({"usr/lib/os-release": "ID=gentoo"})
    with pytest.raises(ConfigError, match="the root has no kernel"):
        making.make(boots, "x", gone, released)


def test_tools_that_lack_programs_or_are_too_old_are_refused(tmp_path: Path) -> None:
    programs = [f"usr/bin/{name}" for name in ("mkosi", "unshare", "systemd-repart")]

    def check(format: Mkosi, files: list[str]) -> None:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        values.write_files(place, files)
        image = Image("x", Origin(Path("m.toml"), 1), "tools", format)
        check_images((image,), {"tools": values.layer(place, "tools", kind="seed")})

    with pytest.raises(ConfigError, match="lacks what an image of format disk needs") as caught:
        check(Mkosi("disk"), ["usr/bin/unshare"])
    assert caught.value.todo == "add to its packages: mkosi, systemd-repart, e2fsprogs"
    with pytest.raises(ConfigError) as caught:
        check(Mkosi("disk", bootable=True), [*programs, "usr/sbin/mke2fs"])
    assert "systemd-ukify" in str(caught.value.todo)
    check(Mkosi("disk"), [*programs, "usr/sbin/mke2fs"])
    repart = tmp_path / "repart"
    values.write_files(repart, {"10-root.conf": "[Partition]\nType=root\nCompression=zstd\n"})
    for version, said in ((253, "systemd 253 of the seed tools is too old"),
                          (255, "Compression in 10-root.conf needs systemd 257")):  # fmt: skip
        library = f"usr/lib64/systemd/libsystemd-shared-{version}.so"
        with pytest.raises(ConfigError, match=said):
            check(Mkosi("disk", repart=repart), [*programs, library])
