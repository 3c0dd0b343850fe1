"""`cloche mkosi`: the base tree of an image, as mkosi's scripts ask for it."""

from __future__ import annotations

import json
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import gemato
import pytest
from tests.support import OWN, ROOT, Store

pytestmark = pytest.mark.real

CONF = """[Distribution]
Distribution=custom

[Include]
Include=mkosi.cloche

[Output]
Format=directory
ImageId=gentoo

[Content]
Packages=sys-apps/baselayout{more}

[Build]
Environment=CLOCHE_STORE={store}
"""


def image(place: Path, profile: str = "own/profiles/default") -> Path:
    """A directory of mkosi with the ebuilds of `OWN`."""
    shutil.copytree(OWN / "repo", place / "repos/own")
    for ebuild in place.glob("repos/own/*/*/*.ebuild"):
        (ebuild.parent / "Manifest").touch()
    etc = place / "mkosi.pkgmngr/etc/portage"
    etc.mkdir(parents=True)
    (etc / "repos.conf").write_text(f"[own]\nlocation = {place}/repos/own\n")
    (etc / "make.profile").symlink_to(place / "repos" / profile)
    return place


class Image:
    """The directory, with the settings that mkosi would give to its scripts."""

    def __init__(self, store: Store, place: Path) -> None:
        self.store, self.place = store, image(place)
        self.settings = place / "config.json"
        self.name("sys-apps/baselayout")

    def name(self, *packages: str) -> None:
        """Change ``Packages=``."""
        said = {"Distribution": "custom", "Packages": [], "Environment": {}}
        said["Environment"] = {"CLOCHE_PACKAGES": " ".join(packages)}
        self.settings.write_text(json.dumps(said))

    def cloche(self, *words: str) -> CompletedProcess[str]:
        """Run the command as the script ``sync`` does."""
        environment = {"MKOSI_CONFIG": str(self.settings)}
        return self.store.cloche("mkosi", *words, self.place, env=environment)


@pytest.fixture
def made(seeded: Store, ground: Path) -> Iterator[Image]:
    """A directory of mkosi, and a store with a seed."""
    parent = ground / f"mkosi-{seeded.user.name}"
    (parent / "image").mkdir(parents=True)
    seeded.user.own(parent)
    found = Image(seeded.copy(parent / "store"), parent / "image")
    seeded.user.own(parent / "image")
    yield found
    subprocess.run(["rm", "-rf", parent], check=True)


def content(base: Path) -> Path:
    """The base tree of root; of an ordinary user's, which is a tarball, an unpacked copy."""
    if not base.is_symlink():
        return base
    copy = base.with_name("unpacked")
    copy.mkdir()
    subprocess.run(["tar", "-xpf", base.resolve(), "-C", copy], check=True)
    return copy


def test_packages_become_the_base_tree(made: Image) -> None:
    base = made.place / "mkosi.cloche/base"
    told = made.cloche()
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"{base}  (new; 1 built, 0 reused)\n")
    assert base.is_symlink() == (made.store.user.name != "root")
    tree = content(base)
    assert (tree / "etc/passwd").read_text() == "root:x:0:0:root:/root:/bin/sh\n"
    assert (tree / "root").stat().st_mode & 0o7777 == 0o700
    assert (tree / "root").stat().st_uid == 0
    assert not (tree / "etc/portage").exists()
    warned = "brings /usr/lib/os-release, without which mkosi refuses" in told.stderr
    assert warned == (tree == base)
    assert made.cloche().stdout.startswith(f"{base}  (as it was; 0 built, 1 reused)\n")
    assert made.cloche("--check").returncode == 0
    made.name("sys-apps/baselayout", "app-shells/dash")
    told = made.cloche("--check")
    assert told.returncode == 2
    assert "mkosi.cloche/base is not what mkosi.conf asks for; run `cloche mkosi` " in told.stderr


def test_a_wrong_profile_is_told_before_there_is_a_store(root_seeded: Store, ground: Path) -> None:
    place = ground / "mkosi-wrong"
    place.mkdir()
    wrong = Image(Store(place / "store", root_seeded.user), place)
    link = place / "mkosi.pkgmngr/etc/portage/make.profile"
    link.unlink()
    link.symlink_to(place / "repos/own/profiles/defualt")
    told = wrong.cloche()
    assert told.returncode == 2
    assert "make.profile: own has no profile defualt; `cloche -C mkosi.cloche" in told.stderr
    assert not (place / "store").exists()
    wrong.settings.unlink()
    told = wrong.cloche()
    assert told.returncode == 2
    assert "config.json: cannot be read: No such file or directory; unset MKOSI_C" in told.stderr
    shutil.rmtree(place)


@pytest.mark.parametrize("name", ["patches", "machines", "mkosi.conf", "sets/x"])
def test_nothing_is_written_or_removed_through_a_link(
    root_seeded: Store, ground: Path, name: str
) -> None:
    place = ground / "mkosi-links"
    place.mkdir()
    wrong = Image(Store(place / "store", root_seeded.user), place)
    victim = place / "victim"
    victim.mkdir()
    (victim / "kept").write_text("precious")
    link = place / "mkosi.cloche" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim / "kept" if name == "mkosi.conf" else victim)
    told = wrong.cloche()
    if name == "sets/x":  # below a directory that is written anew: only the link goes
        assert not link.is_symlink()
    else:
        assert told.returncode == 2
        assert f"mkosi.cloche/{name}: a link; remove it" in told.stderr
    assert (victim / "kept").read_text() == "precious"
    shutil.rmtree(place)


#: What mkosi runs in: the tree of the seed is its own /usr, as on a Debian with cloche installed.
ENTER = """set -eu
tree=$1 packages=$2 outside=$3 home=$4 ids=$5
shift 5
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount --rbind /dev "$tree/dev"
mount -t tmpfs tmpfs "$tree/tmp"
mount -t tmpfs tmpfs "$tree/run"
mount --bind "$packages" "$tree/usr/lib/python3/dist-packages/cloche"
mkdir -p "$tree/mnt/old" "$tree$home"
mount --bind "$outside" "$tree$home"
cd "$tree"
pivot_root . mnt/old # no user namespace can be made in a chroot
umount -l /mnt/old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" LANG=C.UTF-8 \\
    PYTHONDONTWRITEBYTECODE=1 setpriv --reuid="$ids" --regid="$ids" --clear-groups sh -c "$@"
"""
SEED = """[seeds.mkosi]
type = "debian"
suite = "trixie"
packages = ["mkosi", "systemd-repart", "cpio", "zstd", "uidmap", "python3-click", "python3-msgspec", "python3-requests"]
"""  # noqa: E501
#: A Gentoo with a C library and a shell; systemd's tools in mkosi want the rest.
MORE = " app-shells/dash sys-libs/glibc"
OS_RELEASE = "ID=gentoo\nNAME=Gentoo\n"
#: How somebody without root's rights runs mkosi so that owners count, as docs/mkosi.md has it.
ALL_IDS = "mkdir -p ~/.cache/mkosi && unshare --map-root-user --map-auto mkosi --package-cache-dir=$HOME/.cache/mkosi "  # noqa: E501


@pytest.fixture(scope="module")
def system(root_seeded: Store, ground: Path) -> Iterator[Path]:
    """The root of a Debian with mkosi, and with what cloche needs."""
    place = ground / "mkosi-system"
    place.mkdir()
    store = root_seeded.copy(place / "store")
    (place / "cloche.toml").write_text(SEED)
    store.cloche("seed", "bootstrap", "mkosi", cwd=place, check=True)
    listed = json.loads(store.cloche("seed", "list", "--json", cwd=place, check=True).stdout)
    (layer,) = (each["layer"] for each in listed if each["name"] == "mkosi")
    tree = place / "tree"
    subprocess.run(["cp", "-a", store.path / "layers" / layer, tree], check=True)
    packages = tree / "usr/lib/python3/dist-packages"
    shutil.copytree(Path(gemato.__file__).parent, packages / "gemato")
    (packages / "cloche").mkdir()
    yield tree
    subprocess.run(["rm", "-rf", place], check=True)


@dataclass(frozen=True)
class Somebody:
    """Somebody who uses a stock mkosi. ``home`` is what the directory ``outside`` is for them."""

    tree: Path
    outside: Path
    home: str
    ids: str

    def run(self, words: str) -> CompletedProcess[str]:
        """Run a line of a shell in the directory of the image."""
        command = ["unshare", "-m", "-p", "-f", "sh", "-c", ENTER, "enter", str(self.tree)]
        command += [str(ROOT / "src/cloche"), str(self.outside), self.home, self.ids]
        line = f"cd {self.home}/image && {words}"
        return subprocess.run([*command, line], capture_output=True, text=True)


@pytest.fixture
def somebody(seeded: Store, system: Path, ground: Path) -> Iterator[tuple[Somebody, Path]]:
    """Root and an ordinary user with their store, and the directory of an image in their home."""
    user = seeded.user
    outside = ground / f"mkosi-home-{user.name}"
    (outside / ".local/bin").mkdir(parents=True)
    user.own(outside)
    seeded.copy(outside / "store")
    home, ids = "/root", "0"
    if user.name != "root":
        ids = str(pwd.getpwnam(user.name).pw_uid)
        home = f"/home/{user.name}"
        for name, line in {
            "passwd": f"{user.name}:x:{ids}:{ids}::{home}:/bin/sh",
            "group": f"{user.name}:x:{ids}:",
            **{
                each: next(
                    line
                    for line in Path("/etc", each).read_text().splitlines()
                    if line.startswith(f"{user.name}:")
                )
                for each in ("subuid", "subgid")
            },
        }.items():
            with (system / "etc" / name).open("a") as file:
                file.write(f"{line}\n")
    program = outside / ".local/bin/cloche"
    program.write_text('#!/bin/sh\nexec python3 -m cloche "$@"\n')
    program.chmod(0o755)
    place = image(outside / "image")
    etc = place / "mkosi.pkgmngr/etc/portage"
    (etc / "repos.conf").write_text(f"[own]\nlocation = {home}/image/repos/own\n")
    link = etc / "make.profile"
    link.unlink()
    link.symlink_to(f"{home}/image/repos/own/profiles/default")
    (place / "mkosi.skeleton/usr/lib").mkdir(parents=True)
    (place / "mkosi.skeleton/usr/lib/os-release").write_text(OS_RELEASE)
    (place / "mkosi.skeleton/boot").mkdir()
    user.own(place)
    user.own(outside / ".local")
    yield Somebody(system, outside, home, ids), place
    subprocess.run(["rm", "-rf", outside], check=True)


@pytest.mark.proof(name="images")
def test_a_stock_mkosi_builds_an_image_of_gentoo(somebody: tuple[Somebody, Path]) -> None:
    """By one line in its mkosi.conf; and its tools stay as they are."""
    user, place = somebody
    mkosi = "mkosi " if user.ids == "0" else ALL_IDS
    conf = CONF.format(more=MORE, store=f"{user.home}/store").replace(
        "Format=directory", "Format=tar\nCompressOutput=no"
    )
    (place / "mkosi.conf").write_text(conf.replace("Include=mkosi.cloche\n", ""))
    refused = user.run(f"{mkosi} -f build")
    assert "Installing packages is not supported for custom distributions" in refused.stderr
    (place / "mkosi.conf").write_text(conf)
    first = user.run("~/.local/bin/cloche --store ~/store mkosi")
    assert first.returncode == 0, first.stderr
    done = user.run(f"{mkosi} -f build")
    assert done.returncode == 0, done.stderr
    made = place.parent / "made"
    made.mkdir()
    subprocess.run(["tar", "-xpf", place / "gentoo.tar", "-C", made], check=True)
    ran = subprocess.run(
        ["chroot", made, "/bin/sh", "-c", ". /usr/lib/os-release; echo $NAME"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "Gentoo\n"
    again = user.run(f"{mkosi} -f build")
    assert again.returncode == 0, again.stderr
    assert "0 built, 3 reused" in again.stdout + again.stderr
