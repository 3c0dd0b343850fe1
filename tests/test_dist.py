"""`make dist`: it gives the same bytes everywhere, and what it makes works without a checkout."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.machine.itself import PROJECT, write_eclasses
from tests.support import ROOT, Store, User, cannot, packages, python_for_all
from tests.test_examples import scan

from cloche.cli import share
from cloche.cli.manual import Release

pytestmark = pytest.mark.real

VERSION = "7.8.9"
WHO = ("-c", "user.name=a", "-c", "user.email=a@example.org")


@dataclass(frozen=True)
class Dist:
    """The files that `scripts/dist` made from the last commit, with a tag."""

    place: Path

    @property
    def sdist(self) -> Path:
        return self.place / f"cloche-{VERSION}.tar.gz"

    @property
    def wheel(self) -> Path:
        return self.place / f"cloche-{VERSION}-py3-none-any.whl"

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file."""
        return {
            str(path.relative_to(self.place)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.place.rglob("*"))
            if path.is_file()
        }


def built(place: Path, python: str = sys.executable, *as_user: str, **variables: str) -> Dist:
    """Make a tagged clone in ``place``, and build from it."""
    clone = place / "clone"
    subprocess.run(["git", "clone", "-q", f"file://{ROOT}", clone], check=True)
    tag = [*WHO, "tag", "-m", VERSION, f"v{VERSION}"]
    subprocess.run(["git", "-C", clone, *tag], check=True)
    if as_user:
        subprocess.run(["chown", "-R", f"{as_user[0]}:", place], check=True)
        as_user = ("setpriv", f"--reuid={as_user[0]}", f"--regid={as_user[0]}", "--init-groups")
    passed = {n: v for n, v in os.environ.items() if n.startswith("PIP_") or n == "PATH"}
    done = subprocess.run(
        [*as_user, python, clone / "scripts/dist", place / "dist"],
        env={**passed, "HOME": str(place), "PYTHONPATH": packages(), **variables},
        umask=int(variables.get("UMASK", "022"), 8),
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Dist(place / "dist")


@pytest.fixture(scope="module")
def place(ground: Path) -> Iterator[Path]:
    """A directory for this module that all users can enter."""
    if shutil.which("git") is None:
        cannot("needs git, to clone the checkout")
    place = Path(tempfile.mkdtemp(prefix="dist-", dir=ground))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def dist(place: Path) -> Dist:
    """Built by the user who runs the tests."""
    (place / "ours").mkdir()
    return built(place / "ours")


def test_another_user_builds_the_same_bytes(dist: Dist, place: Path, ordinary: User) -> None:
    theirs = place / "theirs-elsewhere"
    theirs.mkdir()
    other = built(
        theirs, python_for_all(), ordinary.name, UMASK="077", TZ="Pacific/Apia", LC_ALL="C"
    )
    assert other.digests() == dist.digests()
    assert {"cloche-7.8.9.tar.gz", "gentoo/app-portage/cloche/Manifest"} <= dist.digests().keys()


def test_the_sdist_has_the_committed_and_the_generated_files(dist: Dist) -> None:
    tracked = subprocess.run(
        ["git", "-C", dist.place.parent / "clone", "ls-files"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    expected = {name for name in tracked if name and not name.startswith((".ci/", "gentoo/"))}
    expected |= {f"share/{name}" for name in share.files(Release("", ""))}
    with tarfile.open(dist.sdist) as archive:
        names = {each.name.partition("/")[2] for each in archive if each.isfile()}
    assert names == expected | {"PKG-INFO"}


def test_the_wheel_has_every_file_of_the_package_with_its_mode(dist: Dist) -> None:
    top = dist.place.parent / "clone/src"
    tracked = {path for path in (top / "cloche").rglob("*") if path.is_file()}
    tracked = {path for path in tracked if "__pycache__" not in path.parts}
    with zipfile.ZipFile(dist.wheel) as archive:
        modes = {each.filename: each.external_attr >> 16 & 0o777 for each in archive.infolist()}
    for path in tracked:
        assert modes[str(path.relative_to(top))] == (0o755 if path.stat().st_mode & 1 else 0o644)
    data = {name.partition("/data/share/")[2] for name in modes if "/data/share/" in name}
    assert data == share.files(Release("", "")).keys()


@pytest.fixture(scope="module")
def installed(dist: Dist, place: Path) -> Path:
    """An environment with the wheel and its dependencies, independent of the checkout."""
    environment = place / "environment"
    venv.create(environment, with_pip=True)
    words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", dist.wheel)
    subprocess.run([environment / "bin/python", *words], check=True, cwd=place)
    return environment


def run(installed: Path, *words: str | Path, cwd: Path) -> str:
    """Run the installed program without a variable that leads to the checkout."""
    done = subprocess.run(
        [installed / "bin/cloche", *words],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(cwd)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_wheel_has_its_version_manual_and_completion(
    installed: Path, place: Path
) -> None:
    assert run(installed, "--version", cwd=place) == f"cloche, version {VERSION}\n"
    assert "Examples:" in run(installed, "build", "--help", cwd=place)
    page = (installed / "share/man/man1/cloche-build.1").read_text()
    assert f'"cloche {VERSION}"' in page
    for program in ("cloche", "olm"):
        places = [each.format(program) for each in share.PLACES.values()]
        assert all((installed / "share" / place).is_file() for place in places)


def test_an_installed_wheel_lints_and_builds(
    installed: Path, place: Path, root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    spec = place / "one.spec"
    spec.write_text("target: stage4\nsubarch: amd64\nno_such_key: 1\n")
    done = subprocess.run(
        [installed / "bin/cloche", "catalyst", "lint", spec], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no_such_key" in done.stdout
    run(installed, "init", "machines", cwd=place)
    project = place / "machines"
    run(installed, "--store", store.path, "build", "first", cwd=project)
    said = run(installed, "--store", store.path, "shell", "first", "--", "greeting", cwd=project)
    assert said.strip()


#: Checks that need Gentoo's own repository: its packages and targets are not available here.
UNKNOWN_HERE = (
    *("NonexistentDeps", "NonsolvableDepsInStable", "NonsolvableDepsInDev"),
    *("MissingPythonEclass", "RequiredUseDefaults"),
)


def test_pkgcheck_finds_no_fault_in_the_release_and_the_live_ebuild(
    dist: Dist, tmp_path: Path
) -> None:
    """A master must be installed on the host, so the eclasses are those of the tests."""
    both = tmp_path / "both"
    shutil.copytree(ROOT / "examples/workbench/repo", both)
    shutil.copytree(dist.place / "gentoo/app-portage", both / "app-portage")
    write_eclasses(both / "eclass")
    shutil.copytree(PROJECT / "repo/profiles/desc", both / "profiles/desc")
    with (both / "profiles/categories").open("a") as text:
        text.write("app-portage\n")
    left_out = ",".join(f"-{each}" for each in UNKNOWN_HERE)
    done = scan(both, tmp_path, f"--keywords={left_out}")
    assert done.returncode == 0, done.stdout + done.stderr
    ebuilds = {path.name for path in (dist.place / "gentoo").rglob("*.ebuild")}
    assert ebuilds == {"cloche-9999.ebuild", f"cloche-{VERSION}.ebuild"}
    line = (dist.place / "gentoo/app-portage/cloche/Manifest").read_text()
    size = dist.sdist.stat().st_size
    assert re.fullmatch(
        rf"DIST {dist.sdist.name} {size} BLAKE2B \w{{128}} SHA512 \w{{128}}\n", line
    )
