"""What is done to a machine's root after its last package: ``[[finish]]``."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from own import TOML, prepared
from tests.support import Store

pytestmark = pytest.mark.real

FINISH = """
[[finish]]
files = "files"

[[finish]]
owners = ["root:portage /usr/share/here"]

[[finish]]
hook = "hook.sh"
environment = { WHO = "me" }

[[finish]]
unmerge = ["app-misc/greet", "app-misc/none"]

[[finish]]
remove = ["/usr/share/here/l*", "/none"]

[[finish]]
empty = ["/etc/portage"]

[output]
stage4 = true
"""
HOOK = """#!/bin/sh
set -e
greet > /etc/greeted-by
echo "${WHO} ${PATH}" >> /etc/greeted-by
test ! -e /usr/bin/python3 # the root of its own, and nothing of the seed
: > /tmp/left
"""


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of this module's own."""
    parent = ground / "finish"
    parent.mkdir()
    yield root_seeded.copy(parent / "store")
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def place(store: Store) -> Path:
    """A project whose packages have no sources."""
    return prepared(store)


def unpacked(tarball: Path) -> io.BytesIO:
    """The content of a tarball."""
    told = subprocess.run(["zstd", "-dcq", tarball], capture_output=True, check=True)
    return io.BytesIO(told.stdout)


def test_a_machine_is_finished_as_its_file_says(place: Path, store: Store) -> None:
    here = place / "files/usr/share/here"
    here.mkdir(parents=True)
    (here / "text").write_text("here\n")
    (here / "link").symlink_to("text")
    (place / "files/bin").mkdir()  # a link in the root: what it holds goes to where that leads
    (place / "files/bin/said").write_text("#!/bin/sh\necho said\n")
    (place / "files/bin/said").chmod(0o4755)
    (place / "hook.sh").write_text(HOOK)
    toml = TOML.format(atoms=["app-misc/greet", "app-shells/dash"], more=FINISH)
    (place / "machines/finished.toml").write_text(toml)
    store.cloche("build", "finished", cwd=place, check=True)
    with tarfile.open(fileobj=unpacked(place / "out/finished/stage4.tar.zst")) as archive:
        members = {member.name.removeprefix("./"): member for member in archive}
        hooked = archive.extractfile(members["etc/greeted-by"])
        assert hooked is not None
        said = hooked.read().decode()
    assert said.startswith("hellohello of leaf\nme /usr/local/sbin:")
    assert members["bin"].issym()
    assert members["usr/bin/said"].mode == 0o4755
    assert (members["usr/share/here/text"].gid, members["usr/bin/said"].gid) == (250, 0)
    assert not {"usr/share/here/link", "usr/bin/greet", "tmp/left"} & members.keys()
    assert not [name for name in members if "greet-1" in name or name.startswith("etc/portage/")]
    told = store.cloche("audit", "finished", "--json", cwd=place, check=True)
    written = {(each["path"], each["package"]) for each in json.loads(told.stdout)["written"]}
    assert ("/usr/bin/said", "[[finish]]") in written
    told = store.cloche("build", "finished", cwd=place, check=True)
    assert "pack: reused" in told.stderr


def test_a_hook_that_fails_is_named_with_its_line(place: Path, store: Store) -> None:
    (place / "wrong.sh").write_text("#!/bin/sh\necho its words: Could not resolve host\nexit 3\n")
    more = '[[finish]]\nhook = "wrong.sh"'
    toml = TOML.format(atoms=["app-shells/dash"], more=more)
    (place / "machines/wrong.toml").write_text(toml)
    told = store.cloche("build", "wrong", cwd=place)
    (place / "machines/wrong.toml").unlink()
    assert told.returncode == 2
    assert "its words" in told.stderr
    assert "machines/wrong.toml:7: wrong.sh: status 3; a hook has no network; see" in told.stderr
    assert not (place / "out/wrong/stage4.tar.zst").exists()


def test_a_change_of_an_earlier_step_is_seen_by_all_later_ones(place: Path, store: Store) -> None:
    """Also where the last step makes the same layer as before."""
    hooks = "".join(f'[[finish]]\nhook = "{name}.sh"\n' for name in ("first", "second", "third"))
    toml = TOML.format(atoms=["app-shells/dash"], more=f"{hooks}[output]\nstage4 = true")
    (place / "machines/steps.toml").write_text(toml)
    (place / "second.sh").write_text(
        '#!/bin/sh\nread -r word < /etc/word && echo "$word" > /etc/copy\n'
    )
    (place / "third.sh").write_text("#!/bin/sh\necho always > /etc/third\n")
    for word in ("one", "two"):
        (place / "first.sh").write_text(f"#!/bin/sh\necho {word} > /etc/word\n")
        store.cloche("build", "steps", cwd=place, check=True)
        with tarfile.open(fileobj=unpacked(place / "out/steps/stage4.tar.zst")) as archive:
            copy = archive.extractfile("./etc/copy")
            assert copy is not None
            assert copy.read().decode() == f"{word}\n"


def test_an_image_needs_a_seed_with_its_tools(place: Path, store: Store) -> None:
    """The machine is its seed with an image of it: it has no packages of its own."""
    toml = 'seed = "debian"\nprofile = "own:default"\nportage = ["base"]\n'
    image = '[output.images.root]\nformat = "squashfs"\ntools = "debian"\n'
    (place / "machines/image.toml").write_text(toml + image)
    told = store.cloche("build", "image", cwd=place)
    (place / "machines/image.toml").unlink()
    assert told.returncode == 2
    lacks = "machines/image.toml:4: the seed debian lacks what an image of format squashfs needs"
    assert f"{lacks}; add to its packages: squashfs-tools-ng" in told.stderr
    assert not (place / "out/image/root.squashfs").exists()
