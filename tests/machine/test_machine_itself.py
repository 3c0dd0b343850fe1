"""cloche built by cloche: in the stage that comes out, it builds a package."""

from __future__ import annotations

import bz2
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.machine import itself
from tests.machine.served import address_of, serve, stop
from tests.support import ROOT, Store, cannot
from tests.test_dist import VERSION, built

pytestmark = pytest.mark.real

# What any host gives to a root, the kernel's file systems, and a store.
SCRIPT = r"""
set -eu
mount --make-rprivate /
mount --rbind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/store"
exec chroot "$1" /usr/bin/python3.11 -c "$3"
"""
# The stage only holds what cloche needs, so it lacks env(1).
ENTER = """
import os, sys
words = {words!r}
os.chdir("/root")
variables = {{"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "CLOCHE_STORE": "/store"}}
os.execve("/usr/bin/cloche", ["cloche", *words], variables)
"""


@dataclass(frozen=True)
class Stage:
    """The stage, unpacked, and a store for the cloche in it."""

    root: Path
    store: Store
    packages: frozenset[str]

    def cloche(self, *words: str, status: int = 0) -> str:
        """Run the stage's cloche in it, with nothing of this host but its kernel."""
        enter = ("unshare", "--mount", "--pid", "--fork", "sh", "-c", SCRIPT, "sh")
        done = subprocess.run(
            [*enter, self.root, self.store.path, ENTER.format(words=words)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@dataclass(frozen=True)
class Prepared:
    """The project, and a store to build it in."""

    place: Path
    store: Store


@pytest.fixture(scope="module")
def prepared(root_seeded: Store, ground: Path) -> Iterator[Prepared]:
    """The last commit of this checkout, tagged as a release, and what cloche needs."""
    if shutil.which("git") is None:
        cannot("needs git, to clone the checkout")
    parent = ground / "itself"
    (parent / "dist").mkdir(parents=True)
    dist = built(parent / "dist")
    store = root_seeded.copy(parent / "store")
    yield Prepared(itself.prepared(store, dist.place), store)
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def stage(prepared: Prepared, root_seeded: Store) -> Iterator[Stage]:
    """The machine `itself`, built and unpacked."""
    store, place = prepared.store, prepared.place
    store.cloche("build", "itself", cwd=place, check=True, timeout=1800)
    told = json.loads(store.cloche("plan", "itself", "--json", cwd=place, check=True).stdout)
    parent = store.path.parent / "unpacked"
    root = parent / "root"
    root.mkdir(parents=True)
    packed = place / "out/itself/stage4.tar.zst"
    subprocess.run(["tar", "-C", root, "--zstd", "-xpf", packed], check=True)
    (root / "store").mkdir()
    names = frozenset(each["id"] for each in told["packages"])
    yield Stage(root, root_seeded.copy(parent / "store"), names)
    shutil.rmtree(parent)


def test_the_ebuild_brings_program_manual_and_completion(stage: Stage) -> None:
    assert f"app-portage/cloche-{VERSION}::cloche" in stage.packages
    assert stage.cloche("--version") == f"cloche, version {VERSION}\n"
    share = stage.root / "usr/share"
    page = bz2.decompress((share / "man/man1/cloche.1.bz2").read_bytes()).decode()  # by Portage
    assert f'"cloche {VERSION}"' in page
    assert (share / "bash-completion/completions/cloche").is_file()
    assert (share / "zsh/site-functions/_cloche").is_file()
    assert (share / "fish/vendor_completions.d/cloche.fish").is_file()


def test_the_stage_knows_its_sandboxes(stage: Stage) -> None:
    said = stage.cloche("engines")
    assert "native" in said


def test_a_package_is_built_inside_of_the_stage(stage: Stage) -> None:
    stage.cloche("init", "machines")
    stage.cloche("-C", "machines", "build", "first")
    assert stage.cloche("-C", "machines", "shell", "first", "--", "greeting").strip()
    assert (stage.root / "root/machines/out/first/binpkgs/Packages").is_file()


@dataclass(frozen=True)
class Upstream:
    """This checkout's history on the loopback."""

    bare: Path
    address: str

    def git(self, *words: str) -> str:
        """What git says of it."""
        done = subprocess.run(["git", "-C", self.bare, *words], check=True, capture_output=True)
        return done.stdout.decode()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    bare = tmp_path / "served/cloche.git"
    subprocess.run(["git", "clone", "-q", "--bare", f"file://{ROOT}", bare], check=True)
    server = serve(bare.parent)
    published = Upstream(bare, address_of(server))
    published.git("update-server-info")
    yield published
    stop(server)


def test_the_live_ebuild_builds_the_last_commit(prepared: Prepared, upstream: Upstream) -> None:
    store, place = prepared.store, prepared.place
    ebuild = place / "overlay/app-portage/cloche/cloche-9999.ebuild"
    text = ebuild.read_text()
    ebuild.write_text(text.replace("https://example.org", upstream.address))
    (place / "portage/live/mirrors").write_text(f"upstream {upstream.address}\n")
    store.cloche("seed", "bootstrap", "git", cwd=place, check=True)
    store.cloche("build", "live", cwd=place, check=True, timeout=1800)
    commit = upstream.git("rev-parse", "HEAD").strip()
    assert f'commit = "{commit}"' in (place / "cloche.lock").read_text()
    layer = Path(store.path, "layers", store.layers(place, "live")["app-portage/cloche-9999"])
    assert list(layer.glob("usr/share/man/man1/cloche-build.1*"))
    (program,) = layer.rglob("cloche/cli/main.py")
    assert program.read_text() == upstream.git("show", "HEAD:src/cloche/cli/main.py")
