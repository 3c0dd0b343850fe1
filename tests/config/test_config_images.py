"""``[output.images.NAME]``: its keys, and errors with the line of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.images import Image, Iso, Oci, Qcow2, Squashfs, read_images
from cloche.config.machine import Machine, load_machine
from cloche.config.table import load

HEAD = "name = 1\n"
SEEDS = frozenset({"debian", "tools"})


def images(text: str, root: Path) -> tuple[Image, ...]:
    file = root / "machine.toml"
    file.write_text(HEAD + text)
    return read_images(load(file, root), root, SEEDS)


def test_each_format_has_its_options(tmp_path: Path) -> None:
    (tmp_path / "medium").mkdir()
    root, live, disk = images(
        """
[images.root]
format = "squashfs"
tools = "tools"
options = ["-c", "zstd"]

[images.live]
format = "iso"
tools = "tools"
volid = "Gentoo amd64"
files = ["medium"]
verify = true
extra_partition = "300M"
copy = { "boot/gentoo" = "/boot/vmlinuz", "." = "/var/lib/medium" }

[images.disk]
format = "qcow2"
tools = "tools"
size = "2G"
efi_size = 67108864
root_type = "ext4"
kernel_options = "console=ttyS0,115200 quiet"
""",
        tmp_path,
    )
    assert root.format == Squashfs(("-c", "zstd"))
    assert root.file == "root.squashfs"
    assert live.format == Iso(
        volid="Gentoo amd64",
        files=(tmp_path / "medium",),
        copy={"boot/gentoo": "/boot/vmlinuz", ".": "/var/lib/medium"},
        verify=True,
        extra_partition=300 << 20,
    )
    assert disk.format == Qcow2(2 << 30, 64 << 20, "ext4", "console=ttyS0,115200 quiet")
    assert images("", tmp_path) == ()


def test_a_medium_may_be_without_the_root(tmp_path: Path) -> None:
    (live,) = images(HERE.format("iso") + 'volid = "x"\nsquashfs = ""\n', tmp_path)
    assert live.format == Iso(volid="x", squashfs="")


HERE = '[images.x]\nformat = "{}"\ntools = "tools"\n'
ISO, DISK = HERE.format("iso"), HERE.format("qcow2")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HERE.format("disc"), 3, "did you mean “disk”"),
        (HERE.format("squashfs") + 'volid = "x"', 5, "unknown key “images.x.volid”"),
        ('[images.x]\nformat = "iso"\ntools = "tool"\n', 4, "did you mean “tools”"),
        ('[images.x]\ntools = "tools"\n', 2, "images.x.format"),
        ('[images.packages]\nformat = "iso"\ntools = "tools"', 2, "is not a name for an image"),
        ('[images."a/b"]\nformat = "iso"\ntools = "tools"', 2, "is not a name for an image"),
        (ISO, 2, "images.x.volid"),
        (ISO + f'volid = "{"x" * 33}"', 5, "is not a volume ID"),
        (ISO + 'volid = "x"\nfiles = [".."]', 6, "is not in the project"),
        (ISO + 'volid = "x"\nsquashfs = ""\nsquashfs_options = ["-q"]', 7, "has no effect"),
        (ISO + 'volid = "x"\nsquashfs = "../x"', 6, "is not a name on a medium"),
        (ISO + 'volid = "x"\ncopy = { "/boot" = "/boot" }', 6, "is not a name on a medium"),
        (ISO + 'volid = "x"\ncopy = { boot = "boot" }', 6, "is not a path of the root"),
        (ISO + 'volid = "x"\ncopy = { boot = "/a/../b" }', 6, "is not a path of the root"),
        (ISO + 'volid = "x"\nextra_partition = "lots"', 6, "expected a size"),
        (ISO + 'volid = "x"\nextra_partition = "299M"', 6, 'write "300M" or more'),
        (ISO + 'volid = "x"\nextra_partition = "20T"', 6, 'write "8T" or less'),
        (DISK + 'size = "100000000T"', 5, "a disk of 100000000T is too large"),
        (DISK + 'efi_size = "2T"', 5, 'write "1T" or less'),
        (DISK + 'size = "1000"', 5, "expected a size such as"),
        (DISK + "Bootable = true", 5, "Bootable has no meaning for an image of format qcow2"),
        (HERE.format("erofs") + 'Packages = ["vim"]', 5, "use its `packages`"),
        (DISK + 'efi_size = "1M"', 5, "1 MiB is too small"),
        (DISK + 'size = "512M"', 5, "is too small for a root"),
        (DISK + 'root_type = "ext3"', 5, "did you mean “ext4”"),
        (DISK + 'kernel_options = "a; b"', 5, "cannot be in a boot menu"),
    ],
)
def test_what_is_wrong_has_its_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        images(text, tmp_path)
    assert what in str(raised.value)
    assert f"machine.toml:{line}:" in str(raised.value)


def machine(text: str, root: Path) -> Machine:
    (root / "machine.toml").write_text(f'profile = "own:default"\nseed = "debian"\n{text}')
    return load_machine("m", root / "machine.toml", root, SEEDS, frozenset({"own"}))


def test_a_machine_that_only_makes_something_of_its_seed_needs_no_packages(tmp_path: Path) -> None:
    made = machine(
        f"[output]\n{HERE.format('squashfs').replace('images', 'output.images')}", tmp_path
    )
    assert made.targets == ()
    assert machine('[[finish]]\nempty = ["/srv"]\n', tmp_path).targets == ()
    for text in ("", 'root = "own"\n[[finish]]\nempty = ["/srv"]\n'):
        with pytest.raises(ConfigError, match="packages"):
            machine(text, tmp_path)


def test_an_image_for_containers_needs_no_tools(tmp_path: Path) -> None:
    (image,) = images(
        """
[images.web]
format = "oci"
ref = "example.org:5000/a/web:1.0"
entrypoint = ["/bin/web", "-f"]
env = { LANG = "C" }
user = "web:100"
ports = ["80", "53/udp"]
volumes = ["/srv"]
""",
        tmp_path,
    )
    assert (image.tools, image.file) == (None, "web.oci.tar")
    assert image.format == Oci(
        ref="example.org:5000/a/web:1.0",
        entrypoint=("/bin/web", "-f"),
        env={"LANG": "C"},
        user="web:100",
        ports=("80", "53/udp"),
        volumes=("/srv",),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('tools = "tools"', "unknown key"),
        ('ref = "Web"', "“Web” is not for `ref`"),
        ('ref = "web"', 'write it as "example.org/web:1.0"'),
        ('ports = ["0"]', "“0” is not for `ports`"),
        ('ports = ["65536/udp"]', "“65536/udp” is not for `ports`"),
        ('ports = ["http"]', "“http” is not for `ports`"),
        ('working_dir = "srv"', "an absolute path"),
        ('env = { "A=B" = "c" }', "“A=B” is not a name for `env`"),
        ("env = { A = 1 }", "expected a string"),
        ('stop_signal = "TERM"', '"SIGTERM"'),
    ],
)
def test_a_wrong_key_of_an_image_for_containers_is_named(
    line: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        images(f'[images.web]\nformat = "oci"\n{line}\n', tmp_path)
    assert words in str(caught.value)
    assert ":4" in str(caught.value)
