"""Images by mkosi: each holds what the root holds, and the same bytes each time."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import bootable, values
from tests.imaging import Making, differences, mounted, offsets, opened
from tests.support import Store

from cloche.archives import ImportOptions, import_tarball
from cloche.config.errors import ConfigError, Origin
from cloche.config.images import Erofs, Format, Image, Iso, Oci, Qcow2
from cloche.config.mkosi import Mkosi
from cloche.layers import SOURCE_DATE_EPOCH, commit
from cloche.output import images, mkosi, mkosi_tools
from cloche.output.images import check_images
from cloche.output.imaging import Imaging
from cloche.tasks.errors import StepError


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


@pytest.fixture(scope="module")
def making(root_tools: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    room = tmp_path_factory.mktemp("mkosi")
    with opened(root_tools.copy(room / "store").path, room) as found:
        yield found


@pytest.mark.real
def test_a_tarball_holds_what_the_root_holds(making: Making, tmp_path: Path) -> None:
    file = making.make(Mkosi("tar"), "tarball")
    import_tarball(file, tmp_path / "tree", ImportOptions(devices="make"))
    assert not differences(making.root, tmp_path / "tree", "tmp/left")


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
def test_the_hash_of_a_password_is_in_no_log(making: Making) -> None:
    settings = {"Hostname": "not valid", "RootPassword": "hashed:$6$salt$hash"}
    with pytest.raises(StepError) as caught:
        making.make(Mkosi("tar", {"Content": settings}), "unsaid")
    (log,) = (path.read_text() for path in making.store.logs.rglob("*") if path.is_file()
              and "hostname" in path.read_text(errors="replace"))  # fmt: skip
    assert "--root-password-hashed '(a hash)'" in log
    assert "$6$salt" not in f"{log}{caught.value}{caught.value.detail}"


@pytest.mark.real
def test_an_erofs_holds_what_the_root_holds(making: Making) -> None:
    before = making.make(Oci(), "plain")
    with mounted(making.make(Erofs(("-zlz4",)), "plain"), "erofs") as tree:
        assert not differences(making.root, tree)
    assert not before.exists()  # the image of this name is another one now


@pytest.mark.real
def test_a_medium_has_files_of_any_name_and_no_lines_of_others(making: Making) -> None:
    names = ("a = b", "back\\slash", "c=x", "not UTF-8 \udcff")
    odd = making.layer({f"srv/m/{name}": name[:1] for name in names})
    format = Iso("ODD", "", copy={"top": "/srv/m"}, verify=True)
    file = making.make(format, "odd", odd)
    assert bootable.names_on(file, "/top") == {*names}
    assert bootable.names_on(file, "/") == {"top", "isoroot_b2sums"}
    with pytest.raises(ConfigError, match="a line's end in the name"):
        making.make(format, "odd", odd, making.layer({"srv/m/x\nshadow=/etc/shadow": ""}))


@pytest.mark.real
def test_a_disk_holds_what_the_root_holds_and_has_the_same_bytes_again(making: Making) -> None:
    format = Mkosi("disk", {"Output": {"SplitArtifacts": "uki,kernel,initrd"}}, bootable=True,
                   efi_size=64 << 20)  # fmt: skip
    file = making.make(format, "disk")
    begin = offsets(file)
    assert set(begin) == {"esp", "root-x86-64"}
    with mounted(file, "ext4", begin["root-x86-64"]) as tree:
        found = differences(making.root, tree, "tmp/left", "boot/", "lost+found")
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
        assert differences(making.root, tree, "tmp/left", "boot/") == {"+ efi"}


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
def test_what_an_image_would_miss_is_said_before_it_is_made(making: Making, tmp_path: Path) -> None:
    boots, disk = Mkosi("disk", bootable=True), Qcow2(root_type="ext4")
    kernels = making.without("usr/lib/modules/6.1", "boot/vmlinuz-6.1")
    inits = making.without("sbin/init", "init")
    with making.store.workspace("values") as place:
        (place / "tree/boot").mkdir(parents=True)
        (place / "tree/boot/initramfs-6.1.img").symlink_to("/etc/shadow")  # which the tools have
        away = commit(making.store, place / "tree", kind="package", label="c/away-1")
    big = making.layer({"big": "x" * (2 << 20)})
    line = replace(boots, settings={"Content": {"KernelCommandLine": "quiet init=/none"}})
    values.write_files(tmp_path, {"10-root.conf": "[Partition]\nType=root\nFormat=ext4\n"
                                  "CopyFiles=/\nSizeMaxBytes=1M\n"})  # fmt: skip
    for format, more, said in (
        (Mkosi("tar"), making.without("usr/lib/os-release"), "the root has no usr/lib/os-release"),
        (boots, kernels, "the root has no kernel"),
        (boots, making.layer({"usr/lib/modules/7/x.ko": ""}), "and the root has no depmod"),
        (replace(boots, initrds=("/none",)), None, "/none of `Initrds` is not a file"),
        (boots, away, "/boot/initramfs-6.1.img is not a file in the root"),
        (line, None, "/none, which the kernel line names as init, is not in the root"),
        (boots, inits, "the root has nothing that its kernel starts (/sbin/init"),
        (Mkosi("uki"), inits, "the root has nothing that its kernel starts (/init"),
        (replace(boots, size=1 << 20), big, "too much for a partition of 1 MiB"),
        (replace(boots, efi_size=4096), None, "kernels, initrds and /boot have 0 MiB, too much"),
        (Mkosi("disk", repart=tmp_path), big, "increase `SizeMaxBytes of 10-root.conf`"),
        (disk, kernels, "kernel not found in /boot"),
        (disk, inits, "the root has nothing that its kernel starts (/sbin/init"),
        (replace(disk, size=disk.efi_size + (3 << 20)), big, "increase `size`"),
    ):
        with pytest.raises(ConfigError) as caught:
            making.make(format, "x", *((more,) if more else ()))
        assert said in str(caught.value)
        assert caught.value.where == "m.toml:1"


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
    with pytest.raises(ConfigError) as caught:
        check(Mkosi("tar", {"Content": {"Hostname": "x"}}), programs)
    assert caught.value.todo == "add to its packages: systemd"
    repart = tmp_path / "repart"
    values.write_files(repart, {"10-root.conf": "[Partition]\nType=root\nCompression=zstd\n"})
    for version, said in ((253, "systemd 253 of the seed tools is too old"),
                          (255, "Compression in 10-root.conf needs systemd 257")):  # fmt: skip
        library = f"usr/lib64/systemd/libsystemd-shared-{version}.so"
        with pytest.raises(ConfigError, match=said):
            check(Mkosi("disk", repart=repart), [*programs, library])
    with pytest.raises(ConfigError, match="mkosi 14 of the seed tools is too old"):
        check(Mkosi("tar"), [*programs, "usr/lib/python3/dist-packages/mkosi-14.egg-info/x"])
    check(Mkosi("tar"), [*programs, "usr/lib/python3/dist-packages/mkosi-25.3.dist-info/x"])
    values.write_files(repart, {"10-root.conf": "[Partition]\nType=root\nFromat=ext4\n"})
    library = "usr/lib64/systemd/libsystemd-shared-257.so"
    with pytest.raises(ConfigError, match=r"no key of 10-root.conf is called “Fromat”") as caught:
        check(Mkosi("disk", repart=repart), [*programs, library])
    assert "did you mean “Format”" in str(caught.value.todo)


def test_all_that_tools_lack_is_said_at_once(tmp_path: Path) -> None:
    """It takes minutes to make a seed."""
    (tmp_path / "bare").mkdir()
    tools = values.layer(tmp_path / "bare", "tools", kind="seed")
    values.write_files(tmp_path, ["medium/boot/grub/grub.cfg"])
    medium = Iso("X", "", files=(tmp_path / "medium",), extra_partition=300 << 20)
    formats: tuple[Format, ...]
    for formats, what, todo in (
        ((Iso("X", ""),), "an image of format iso needs", "xorriso, genisoimage"),
        ((medium,), "an image of format iso needs", "xorriso, genisoimage, xfsprogs, faketime, "
         "grub-common, grub-pc-bin and grub-efi-amd64-bin"),
        ((Erofs(), Qcow2(), Mkosi("cpio")), "images of formats erofs, qcow2, cpio need",
         "erofs-utils, gdisk, dosfstools, mtools, qemu-utils, xfsprogs, faketime, grub-common, "
         "grub-efi-amd64-bin, mkosi, util-linux, cpio"),
    ):  # fmt: skip
        images = (Image("x", Origin(Path("m.toml"), 1), "tools", each) for each in formats)
        with pytest.raises(ConfigError) as caught:
            check_images(tuple(images), {"tools": tools})
        assert caught.value.what == f"the seed tools lacks what {what}"
        assert caught.value.todo == f"add to its packages: {todo}"


def test_other_scripts_around_the_tools_make_another_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = values.layer(tmp_path, "tools", kind="seed")
    inputs = SimpleNamespace(tools={"tools": tools})
    done: Any = SimpleNamespace(context=SimpleNamespace(inputs=inputs))
    image = Image("x", Origin(Path("m.toml"), 1), "tools", Mkosi("tar"))

    def key() -> str:
        return images._key(done, image, (), ()).digest

    before = key()
    assert key() == before
    monkeypatch.setitem(mkosi_tools._SCRIPTS, "tar", 'exec /usr/lib/cloche/tar "$@"\n')
    assert key() != before


def test_only_regular_files_of_the_tools_are_taken(tmp_path: Path) -> None:
    """They could leave a link to a directory of the host, from which files would be moved."""
    values.write_files(tmp_path / "host", ["x.tar", "x.key"])
    out = tmp_path / "out"
    out.mkdir()
    assert mkosi.made_files(out) == []
    (out / "made").symlink_to(tmp_path / "host")
    assert mkosi.made_files(out) == []
    (out / "made").unlink()
    values.write_files(out / "made", ["x.raw", "x.efi"])
    (out / "made/x.vmlinuz").symlink_to(tmp_path / "host/x.key")
    assert mkosi.made_files(out) == ["x.efi", "x.raw"]
    image = Image("x", Origin(Path("m.toml"), 1), "tools", Mkosi("esp"))
    work: Any = SimpleNamespace(out=out, image=image)
    assert not list(mkosi.split_artifacts(work))  # nobody has asked for x.efi
    asked = replace(image, format=Mkosi("esp", {"Output": {"SplitArtifacts": "uki,kernel"}}))
    work.image = asked
    assert [rest for rest, _ in mkosi.split_artifacts(work)] == [".efi"]


def test_an_initrd_is_found_by_links_of_the_root_alone(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    values.write_files(tree, {"usr/lib/boot/real.img": "initrd", "boot/dir/x": ""})
    (tree / "lib").symlink_to("usr/lib")
    (tree / "boot/link.img").symlink_to("../../../lib/boot/real.img")
    (tree / "boot/absolute.img").symlink_to("/lib/boot/real.img")
    (tree / "boot/circle.img").symlink_to("circle.img")
    (tree / "boot/shadow.img").symlink_to("/etc/shadow")
    work = Imaging(*[None] * 2, (values.layer(tree),), *[None] * 7)  # type: ignore[arg-type]
    for name in ("link", "absolute"):
        found = work.regular(f"/boot/{name}.img")
        assert found is not None
        assert found.path == b"usr/lib/boot/real.img"
    for name in ("circle.img", "shadow.img", "none.img", "dir"):
        assert work.regular(f"/boot/{name}") is None
