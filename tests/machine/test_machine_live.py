"""Live ebuilds: fetched by their own code where that is allowed, pinned, and built offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.machine.served import address_of, serve, stop
from tests.support import ROOT, Store, cannot, project

pytestmark = pytest.mark.real

CASES = ROOT / "tests/cases"
PACKAGE = "app-misc/pinned-9999::local"


class Upstream:
    """A git repository with one file, served over HTTP on the loopback (git's dumb protocol)."""

    def __init__(self, place: Path) -> None:
        self.work = place / "work"
        self.bare = place / "served/some/pinned.git"
        self.bare.parent.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", self.work, cwd=place)
        self.git("init", "-q", "--bare", "-b", "main", self.bare, cwd=place)
        self.server = serve(place / "served")
        self.address = address_of(self.server)

    def git(self, *words: str | Path, cwd: Path | None = None) -> str:
        """Run git without the user's configuration; give what it says."""
        who = {f"GIT_{role}_{key}": "a@example.org" for role in ("AUTHOR", "COMMITTER")
               for key in ("NAME", "EMAIL")}  # fmt: skip
        env = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "GIT_CONFIG_NOSYSTEM": "1", **who}
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.work,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def publish(self, greeting: str, *, anew: bool = False) -> str:
        """Commit and publish a greeting, with ``anew`` in a history of its own; give the commit."""
        if anew:
            self.git("checkout", "-q", "--orphan", "other")
            self.git("branch", "-q", "-f", "-D", "main")
            self.git("branch", "-m", "main")
            shutil.rmtree(self.bare)
            self.git("init", "-q", "--bare", "-b", "main", self.bare)
        (self.work / "greeting").write_text(f"{greeting}\n")
        self.git("add", ".")
        self.git("commit", "-qm", greeting)
        self.git("push", "-q", self.bare, "main")
        self.git("update-server-info", cwd=self.bare)
        return self.git("rev-parse", "HEAD")

    def stop(self) -> None:
        """Answer nobody any more."""
        stop(self.server)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    if shutil.which("git") is None:
        cannot("git is needed to publish a repository")
    made = Upstream(tmp_path)
    yield made
    made.stop()


@dataclass(frozen=True)
class Place:
    """The project of the case, and a store in which it is built."""

    project: Path
    store: Store

    def cloche(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run ``cloche``, which has to end with this status and without a traceback."""
        done = self.store.cloche("-C", self.project, *words)
        assert done.returncode == status, f"{done.args}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def build(self, *words: str, status: int = 0) -> str:
        """Build the machine; give what was said."""
        done = self.cloche("build", "git", "--progress", "plain", *words, status=status)
        return done.stdout + done.stderr

    def installed(self) -> list[str]:
        """The commit and the greeting that the machine has."""
        command = "cat /usr/share/pinned/commit /usr/share/pinned/greeting"
        return self.cloche("shell", "git", "--", "sh", "-c", command).stdout.split()

    def line(self, told: str) -> str:
        """The line about the package that failed."""
        return next(line for line in told.splitlines() if line.startswith(f"{PACKAGE}: "))


@pytest.fixture(scope="module")
def with_git(ordinary_seeded: Store, ground: Path) -> Iterator[Store]:
    """An ordinary user's store with a seed that has git."""
    parent = Path(tempfile.mkdtemp(prefix="live-", dir=ground))
    parent.chmod(0o755)
    store = ordinary_seeded.copy(ordinary_seeded.user.own(parent) / "store")
    store.cloche("-C", project(store, CASES / "live"), "seed", "bootstrap", "git", check=True)
    yield store
    subprocess.run(["rm", "-rf", parent], check=True)


@pytest.fixture
def fresh(with_git: Store) -> Callable[[], Store]:
    """Give stores with the seed and nothing else."""

    def copied() -> Store:
        parent = Path(tempfile.mkdtemp(dir=with_git.path.parent))
        return with_git.copy(with_git.user.own(parent) / "store")

    return copied


@pytest.fixture
def place(fresh: Callable[[], Store], upstream: Upstream) -> Place:
    """The case with the address of the server in it, and a store of its own."""
    store = fresh()
    made = project(store, CASES / "common", "live")
    shutil.copytree(CASES / "live", made, dirs_exist_ok=True)
    ebuild = made / "repo/app-misc/pinned/pinned-9999.ebuild"
    text = ebuild.read_text().replace("HERE", upstream.address)
    ebuild.write_text(text.replace("PORT", str(upstream.server.server_port)))
    (made / "portage/live/mirrors").write_text(f"upstream {upstream.address}\n")
    store.user.own(made)
    return Place(made, store)


def test_a_commit_is_fetched_pinned_and_moved_on(
    place: Place, upstream: Upstream, fresh: Callable[[], Store]
) -> None:
    lock = place.project / "cloche.lock"
    first = upstream.publish("one")
    assert "1 package built" in place.build()
    assert place.installed() == [first, "one"]
    assert f'commits = [\n    {{ repository = "some_pinned.git", commit = "{first}" }},\n]' in (
        lock.read_text()
    )
    # The pin holds, whatever comes after it, and the build needs no network.
    second = upstream.publish("two")
    assert "0 packages built, 1 reused" in place.build()
    place.cloche("lock", "git")
    pinned = lock.read_text()
    place.cloche("lock", "git", "--check")
    forced = place.build("--rebuild", "pinned", "--offline", "--locked")
    assert "rebuilt: the same layer as before" in forced
    # The sources are those of the ebuild as it was: of another repository it has nothing.
    ebuild = place.project / "repo/app-misc/pinned/pinned-9999.ebuild"
    text = ebuild.read_text()
    ebuild.write_text(text.replace("/some/", "/other/"))
    told = place.build("--offline", status=1)
    assert "build failed: phase unpack: No local clone of http://127" in place.line(told)
    assert "after a change of the ebuild, run `cloche lock --update git`" in told
    ebuild.write_text(text)
    # A new pin builds again, and it says so.
    told = place.cloche("lock", "git", "--update").stderr
    assert f"{PACKAGE} {first[:12]} → {second[:12]}" in told
    assert "1 package built" in place.build("--offline")
    assert place.installed() == [second, "two"]
    assert "    live: " in place.cloche("why", "pinned").stdout
    place.cloche("store", "gc")
    assert "0 packages built, 1 reused" in place.build("--offline")
    # Elsewhere the branch has moved on, and the pinned commit is taken.
    lock.write_text(pinned)
    other = Place(place.project, fresh())
    assert "its sources are not in the store, and --offline" in other.build("--offline", status=1)
    assert other.cloche("fetch", "git", "--locked").stdout == ""
    assert "1 package built" in other.build("--offline", "--locked")
    assert other.installed() == [first, "one"]
    assert lock.read_text() == pinned


def test_what_cannot_be_had_is_one_line(
    place: Place, upstream: Upstream, fresh: Callable[[], Store]
) -> None:
    first = upstream.publish("one")
    place.cloche("lock", "git")
    other = Place(place.project, fresh())
    upstream.publish("two", anew=True)
    told = other.line(other.build(status=1))
    assert f"cloche.lock pins {first[:12]} of some_pinned.git, which does not exist" in told
    mirrors = place.project / "portage/live/mirrors"
    named = mirrors.read_text()
    mirrors.write_text("")
    told = other.build(status=1)
    assert "/some/pinned.git/info/refs?service=git-upload-pack is refused: it is the loo" in told
    mirrors.write_text(named)
    upstream.stop()
    told = other.build(status=1)
    assert "/some/pinned.git/info/refs?service=git-upload-pack: Connection refused" in told
    assert "check the network and the proxy settings" in told


@pytest.mark.proof(name="engines")
def test_a_virtual_machine_has_the_same_way_out(
    place: Place, upstream: Upstream, virtual_kernel: Path
) -> None:
    """Through a socket that is bound in: neither it nor a fetch has another network."""
    first = upstream.publish("one")
    variables = {"CLOCHE_KERNEL": str(virtual_kernel)}
    words = ("-C", place.project, "--engine", "qemu", "fetch", "git")
    done = place.store.cloche(*words, env=variables)
    assert done.returncode == 0, done.stderr
    assert f'commit = "{first}"' in (place.project / "cloche.lock").read_text()
    assert "1 package built" in place.build("--offline")
    assert place.installed() == [first, "one"]
