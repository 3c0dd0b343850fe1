"""``[output.images.NAME]`` that mkosi makes: its options, and why others are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.images import Image, read_images
from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import FORMATS, OPTIONS
from cloche.config.table import load

NONE = 'Bootable = true\nBootloader = "none"\n'
UUID = "3c0ab1a2-1111-4222-8333-444455556666"


def images(text: str, root: Path) -> tuple[Image, ...]:
    file = root / "machine.toml"
    file.write_text(text)
    return read_images(load(file, root), root, frozenset({"tools"}))


def image(root: Path, word: str, *lines: str) -> Image:
    head = ["[images.x]", f'format = "{word}"', 'tools = "tools"']
    (found,) = images("\n".join([*head, *lines, ""]), root)
    return found


def test_options_become_lines_of_their_sections(tmp_path: Path) -> None:
    found = image(
        tmp_path,
        "disk",
        "Bootable = true",
        'Bootloader = "uki"',
        'KernelCommandLine = ["console=ttyS0", "a=b c"]',
        'Initrds = ["/boot/one.img", "/boot/two.img"]',
        'SplitArtifacts = ["uki", "partitions"]',
        "SectorSize = 4096",
        'RootPassword = "hashed:$6$salt$hash"',
        'size = "2G"',
    ).format
    assert isinstance(found, Mkosi)
    assert found.settings["Content"] == {
        "Bootable": "yes",
        "Bootloader": "uki",
        "Initrds": "/boot/one.img,/boot/two.img",
        "KernelCommandLine": 'console=ttyS0 "a=b c"',
        "RootPassword": "hashed:$6$salt$hash",
    }
    assert found.settings["Output"] == {"SectorSize": "4096", "SplitArtifacts": "uki,partitions"}
    assert found.initrds == ("/boot/one.img", "/boot/two.img")
    assert (found.size, found.root_type, found.bootable) == (2 << 30, "ext4", True)


@pytest.mark.parametrize("word", FORMATS)
def test_each_format_is_read_and_has_a_file(tmp_path: Path, word: str) -> None:
    extension = FORMATS[word]
    assert image(tmp_path, word).file == (f"x.{extension}" if extension else "x")
    assert image(tmp_path, word).format.word == word  # type: ignore[union-attr]


def test_a_compressed_image_has_the_extension_of_that(tmp_path: Path) -> None:
    assert image(tmp_path, "tar", 'CompressOutput = "zstd"').file == "x.tar.zst"
    assert image(tmp_path, "uki", 'CompressOutput = "zstd"').file == "x.efi"


def test_verity_makes_the_root_one_that_never_changes(tmp_path: Path) -> None:
    found = image(tmp_path, "disk", 'Verity = "hash"').format
    assert isinstance(found, Mkosi)
    assert (found.verity, found.root_type) == (True, "erofs")


@pytest.mark.parametrize(
    ("word", "line", "said"),
    [
        ("disk", "Bootabel = true", "did you mean “Bootable”"),
        ("tar", "Bootable = true", "Bootable has no meaning for an image of format tar"),
        ("disk", 'Packages = ["vim"]', "use its `packages`"),
        ("disk", 'BuildScripts = ["x"]', "use the machine's `hooks`"),
        ("disk", "WithNetwork = true", "an image is made without network"),
        ("disk", 'ProxyUrl = "x"', "an image is made without network"),
        ("disk", 'ToolsTree = "default"', "its programs come from a pinned seed"),
        ("directory", 'CompressOutput = "zstd"', "no meaning for an image of format directory"),
        ("disk", 'Incremental = "yes"', "cloche keeps what it made"),
        ("disk", 'VerityKey = "key.pem"', "images cannot have secrets"),
        ("disk", "SecureBoot = true", "images cannot have secrets"),
        ("disk", 'RAM = "2G"', "cloche boot"),
        ("disk", "KernelModulesIncludeHost = true", "it would read this host"),
        ("disk", 'RootPassword = "secret"', "RootPassword is not a hash"),
        ("disk", 'Verity = "yes"', "a signature needs a private key"),
        ("disk", 'Bootloader = "grub"', "no value of Bootloader is called “grub”"),
        ("disk", 'Hostname = "a\\nb"', "is not a value of Hostname"),
        ("disk", 'Hostname = "a b"', "is not a value of Hostname"),
        ("disk", 'Timezone = "../../etc/shadow"', "is not a value of Timezone"),
        ("disk", 'Locale = "a b"', "is not a value of Locale"),
        ("disk", 'RootShell = "bin/sh"', "is not a value of RootShell"),
        ("disk", 'RootPassword = "hashed:x"', "RootPassword is not a hash"),
        ("disk", "SectorSize = 7", "use 512, 1024, 2048, 4096"),
        ("uki", "CompressLevel = 20", "20 is not a value of CompressLevel with zstd"),
        ("disk", 'KernelModulesInclude = ["host"]', "depends on the host that makes the image"),
        ("disk", 'KernelModulesInitrdInclude = ["default"]', "depends on the host"),
        ("disk", 'size = "1M"', 'write "32M" or more'),
        ("disk", 'size = "20T"', 'write "8T" or less'),
        ("disk", 'efi_size = "1025G"', 'write "1T" or less'),
        ("disk", 'KernelModulesInclude = ["a,b"]', "has a comma"),
        ("disk", 'Initrds = ["boot/x"]', "is not a path of the root"),
        ("disk", 'Seed = "x"', "is not a value of Seed"),
        ("disk", 'root_type = "zfs"', "no file system is called “zfs”"),
        ("disk", 'root_type = "erofs"\nsize = "2G"', "as large as its content"),
        ("disk", 'size = "1000"', "in whole MiB"),
        ("disk", 'efi_size = "16M"', "too small"),
        ("disk", 'repart = "none"', "no such directory: none"),
        ("esp", 'repart = "none"', "unknown key"),
        ("qcow", "", "no format is called “qcow”"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(
    tmp_path: Path, word: str, line: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        image(tmp_path, word, line)
    assert said in f"{caught.value.what} {caught.value.todo}"
    assert str(caught.value.where).endswith(tuple(f"machine.toml:{line}" for line in (2, 4, 5)))


def test_definitions_and_keys_that_say_the_same_are_refused(tmp_path: Path) -> None:
    (tmp_path / "repart").mkdir()
    with pytest.raises(ConfigError, match="no definition of a partition in repart"):
        image(tmp_path, "disk", 'repart = "repart"')
    (tmp_path / "repart/10-root.conf").write_text("[Partition]\nType=root\n")
    found = image(tmp_path, "disk", 'repart = "repart"')
    assert found.directories == (tmp_path / "repart",)
    with pytest.raises(ConfigError, match="“size” and `repart` both say"):
        image(tmp_path, "disk", 'repart = "repart"', 'size = "1G"')


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Type=root\nEncrypt=key-file\n", "images cannot have secrets"),
        ("Type=root-verity-sig\nVerity=signature\n", "needs a private key"),
        ("Type=root\nFormat=xfs\n", "systemd-repart makes another xfs each time"),
        ("Type=root\nFormat=btrfs\n", "systemd-repart makes another btrfs each time"),
        ("Type=root\nSizeMinBytes=9T\n", "SizeMinBytes=9T is too large write 8T or less"),
        ("Type=root\nPaddingMinBytes=1E\n", "PaddingMinBytes=1E is too large"),
        ("Type=root\nSizeMinBytes=8T\nFormat=ext4\n", "repart defines no EFI system partition"),
    ],
)
def test_definitions_of_what_cannot_be_are_refused(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "repart").mkdir()
    (tmp_path / "repart/10-root.conf").write_text(f"[Partition]\n{lines}")
    with pytest.raises(ConfigError) as caught:
        image(tmp_path, "disk", 'repart = "repart"', "Bootable = true")
    assert said in f"{caught.value.what} {caught.value.todo}"
    (tmp_path / "repart/00-esp.conf").write_text("[Partition]\nType=esp\nFormat=vfat\n")
    (tmp_path / "repart/10-root.conf").write_text("[Partition]\nType=root\nEncrypt=off\n")
    assert image(tmp_path, "disk", 'repart = "repart"', "Bootable = true").directories


def test_definitions_are_files_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "repart").mkdir()
    file = tmp_path / "repart/10-root.conf"
    os.mkfifo(file)
    with pytest.raises(ConfigError, match="not a regular file"):
        image(tmp_path, "disk", 'repart = "repart"')
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="leads out of the project"):
        image(tmp_path, "disk", 'repart = "repart"')


def test_a_root_with_verity_has_no_size_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="as large as its content"):
        image(tmp_path, "disk", 'Verity = "hash"', 'root_type = "ext4"', 'size = "1G"')


def test_an_item_of_the_kernel_line_may_have_quotes_of_its_own(tmp_path: Path) -> None:
    found = image(tmp_path, "uki", """KernelCommandLine = ['a="x y"', "b=c d", "p=100%d"]""").format
    assert isinstance(found, Mkosi)
    assert found.setting("KernelCommandLine") == 'a="x y" "b=c d" p=100%d'


@pytest.mark.parametrize(
    ("word", "line", "said"),
    [
        ("disk", 'KernelCommandLine = ["quiet"]', "add Bootable = true"),
        ("disk", 'Bootloader = "uki"', "add Bootable = true"),
        ("disk", 'efi_size = "64M"', "add Bootable = true"),
        ("disk", 'SplitArtifacts = ["uki", "partitions"]', "SplitArtifacts (uki) has no effect"),
        ("sysext", 'SplitArtifacts = ["kernel"]', "SplitArtifacts (kernel) has no effect"),
        ("uki", 'SplitArtifacts = ["kernel", "partitions"]', "(partitions) has no effect on an"),
        ("uki", 'SplitArtifacts = ["uki"]', "(uki) has no effect on an image that is one"),
        ("disk", NONE + 'KernelCommandLine = ["quiet"]', "KernelCommandLine has no effect without"),
        ("disk", NONE + 'SplitArtifacts = ["uki"]', "(uki) has no effect without a boot loader"),
        (
            "disk",
            'Bootable = true\nKernelModulesInitrdInclude = ["x"]',
            "add KernelModulesInitrd = true",
        ),
        ("tar", "CompressLevel = 3", "CompressLevel has no effect on what is not compressed"),
        ("uki", 'CompressOutput = "no"\nCompressLevel = 3', "add CompressOutput"),
        ("tar", f'Seed = "{UUID}"', "Seed has no meaning for an image of format tar"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, word: str, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        image(tmp_path, word, line)
    assert said in f"{caught.value.what} {caught.value.todo}"


def test_images_that_would_be_one_file_are_refused(tmp_path: Path) -> None:
    def two(one: str, first: str, other: str, second: str) -> str:
        return (f'[images."{one}"]\ntools = "tools"\n{first}\n'
                f'[images."{other}"]\ntools = "tools"\n{second}\n')  # fmt: skip

    oci = 'format = "oci"'
    text = f'[images."a.oci"]\ntools = "tools"\nformat = "tar"\n[images.a]\n{oci}\n'
    with pytest.raises(ConfigError, match=r"would both be a\.oci\.tar"):
        images(text, tmp_path)
    split = 'format = "disk"\nSplitArtifacts = ["partitions"]'
    with pytest.raises(ConfigError, match=r"would both be x\.esp\.raw"):
        images(two("x", split, "x.esp", 'format = "disk"'), tmp_path)
    with pytest.raises(ConfigError, match=r"would both be x\.root\.raw\.tar"):
        images(two("x", split, "x.root.raw", 'format = "tar"'), tmp_path)  # one name of an output
    with pytest.raises(ConfigError, match=r"would both be x-contents\.tar"):
        images(two("x", 'format = "iso"\nvolid = "x"', "x-contents", 'format = "tar"'), tmp_path)
    assert len(images(two("x", split, "y", 'format = "disk"'), tmp_path)) == 2
    assert len(images(two("x", 'format = "tar"', "x.tar", 'format = "tar"'), tmp_path)) == 2


def test_no_option_is_both_offered_and_refused() -> None:
    from cloche.config import mkosi_options as mkosi

    refused = [each for _, _, names in mkosi._REFUSED for each in names.split()]
    assert not [name for name in OPTIONS for each in refused if mkosi._named(name, each)]
