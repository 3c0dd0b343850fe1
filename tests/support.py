"""Users, stores and projects for tests that run the real command line."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKBENCH = ROOT / "examples" / "workbench"
OWN = ROOT / "tests" / "machine" / "projects" / "own"
MUST_RUN = bool(os.environ.get("CLOCHE_TESTS_MUST_RUN"))
Root = Literal["seed", "own"]  # whose root a machine has
GROUND = "CLOCHE_TESTS_GROUND"  # the run's directory, told to its workers


@contextmanager
def once(ground: Path, name: str) -> Iterator[bool]:
    """Hold a block against the run's other workers; say whether it has not been done yet.

    What failed for one is not tried again on its remains; the others fail with its words.
    """
    with (ground / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done, failed = ground / f"{name}.done", ground / f"{name}.failed"
        if failed.exists():
            raise RuntimeError(f"{name} failed in another worker: {failed.read_text()}")
        try:
            yield not done.exists()
        except Exception as error:
            failed.write_text(f"{type(error).__name__}: {error}")
            raise
        done.touch()


def cannot(reason: str) -> None:
    """Say that a test cannot run on this host."""
    if MUST_RUN:
        pytest.fail(f"must run here, but: {reason}")
    pytest.skip(reason)


def make_device(path: Path, minor: int) -> None:
    """Make a device node of major 1 (memory devices): no user namespace may."""
    try:
        os.mknod(path, 0o020666, os.makedev(1, minor))
    except PermissionError:
        cannot("only root can make device nodes")


@dataclass(frozen=True)
class User:
    """Who runs the command line. ``home`` is a directory of their own, readable for them alone."""

    name: str
    home: Path
    python: str
    source: Path

    def run(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        check: bool = False,
        timeout: float = 900,
        prefix: tuple[str, ...] = (),
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``cloche ARGUMENTS``; with ``check`` an exit status other than 0 fails the test."""
        done = subprocess.run(
            self.command(*arguments, prefix=prefix, env=env),
            cwd=cwd or self.home,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
        return done

    def run_python(self, program: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a Python program that uses cloche as a library, with its source as ``-c``."""
        path = (f"PYTHONPATH={self.environment(None)['PYTHONPATH']}", f"PATH={os.environ['PATH']}")
        command = [*self.as_user(), "env", *path, self.python, "-B", "-c", program]
        return subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, *arguments: str | Path, cwd: Path, **more: object) -> subprocess.Popen[str]:
        """Start ``cloche ARGUMENTS`` and do not wait for it."""
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            self.command(*arguments), cwd=cwd, env=self.environment(None), text=True, **more
        )

    def command(
        self,
        *arguments: str | Path,
        prefix: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> list[str]:
        """The command line, as this user."""
        as_user = self.as_user()
        variables = [f"{k}={v}" for k, v in self.environment(env).items()]
        cloche = [self.python, "-B", "-m", "cloche.cli", *map(str, arguments)]
        return [*as_user, *(["env", *variables] if as_user else []), *prefix, *cloche]

    def as_user(self) -> tuple[str, ...]:
        """What turns a command line into this user's."""
        if self.name == "root":
            return ()
        ids = (f"--reuid={self.name}", f"--regid={self.name}")
        return ("setpriv", *ids, "--init-groups", "--reset-env")

    def environment(self, more: dict[str, str] | None) -> dict[str, str]:
        """The whole environment: little, and the same wherever the tests run."""
        passed = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_CONFIG_FILE")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": f"{self.source}:{packages()}",
            **{name: os.environ[name] for name in passed if name in os.environ},
            **(more or {}),
        }

    def own(self, path: Path) -> Path:
        """Give a tree to the user."""
        if self.name != "root":
            subprocess.run(["chown", "-R", f"{self.name}:", path], check=True)
        return path


@dataclass(frozen=True)
class Store:
    """A store, and the user it belongs to."""

    path: Path
    user: User

    def cloche(self, *arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
        """Run ``cloche --store THIS ARGUMENTS``; see `User.run`."""
        return self.user.run("--store", self.path, *arguments, **more)  # type: ignore[arg-type]

    def copy(self, path: Path, *, linked: bool = True) -> Store:
        """Another store with all that this one holds, by hard links: trees are never changed.

        What is written to is not shared. A process that ends may have the database open still, so
        it is SQLite that copies it. Rooms of commands that run in it now may go meanwhile.
        """
        own = {"index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "lock", "locks"}
        shared = [entry for entry in self.path.iterdir() if entry.name not in own]
        path.mkdir()
        words = ["cp", "-al" if linked else "-a", *shared, path]
        done = subprocess.run(
            words, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        rooms = f"'{self.path}/tmp/"
        assert all(rooms in line for line in done.stderr.splitlines()), done.stderr
        with (
            closing(sqlite3.connect(self.path / "index.sqlite")) as index,
            closing(sqlite3.connect(path / "index.sqlite")) as copy,
        ):
            index.backup(copy)
        for file in (path, path / "index.sqlite"):
            shutil.copymode(self.path / file.relative_to(path), file)
            shutil.chown(file, self.user.name, self.user.name)
        return replace(self, path=path)

    @property
    def seed_layer(self) -> Path:
        """The tree of its Debian seed; that of the tools is another one."""
        (seed,) = (
            layer
            for layer in (self.path / "layers").iterdir()
            if (layer / "usr/lib/python3.11").is_dir()
        )
        return seed

    def pack_layer(self, layer: Path, target: Path, *options: str | Path) -> None:
        """Write a layer as a tarball, while other tests may link to its files.

        A link changes a file's ctime, of which tar(1) warns by its status 1.
        """
        words = ["tar", "--numeric-owner", "--xattrs", *options, "-cf", target, "-C", layer, "."]
        assert subprocess.run(words).returncode in (0, 1)

    def layers(self, project: Path, machine: str) -> dict[str, str]:
        """Layer of each package of a machine that was built, by cpv."""
        told = self.cloche("plan", machine, "--json", cwd=project, check=True)
        return {p["cpv"]: p["layer"] for p in json.loads(told.stdout)["packages"]}


def project(store: Store, source: Path, name: str | None = None) -> Path:
    """Copy a project to where the store's user can read and write it, with the seed's lock."""
    parent = Path(tempfile.mkdtemp(prefix="project-", dir=store.user.home))
    target = parent / (name or source.name)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("out", "cloche.lock"))
    store.user.own(parent)
    return target


def with_own_root(place: Path, machine: str, *packages: str) -> None:
    """Give a machine of a project a root of its own, with these packages in it.

    Its C library, compiler's libraries and shell are the seed's, as packages of `OWN`.
    """
    shutil.copytree(OWN / "repo", place / "own")
    with (place / "cloche.toml").open("a") as text:
        text.write('\n[repos.own]\npath = "own"\n')
    file = place / f"machines/{machine}.toml"
    atoms = ", ".join(f'"{name}"' for name in (*packages, "sys-devel/gcc", "app-shells/dash"))
    lines = [
        f"packages = [{atoms}]" if line.startswith("packages = ") else line
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(['root = "own"', *lines, ""]))


def for_all(path: Path) -> Path:
    """The path, or its like in a copy for this run, where not every user gets to the path itself.

    A checkout in root's home is such a place.
    """
    if _open_to_all(path):
        return path
    whole = ROOT if path.is_relative_to(ROOT) else path
    ground = Path(os.environ[GROUND])
    copy = ground / f"for-all-{whole.name}"
    with once(ground, copy.name) as first:
        if first:
            ignored = shutil.ignore_patterns(".git", ".cache", ".*_cache")
            shutil.copytree(whole, copy, symlinks=True, ignore=ignored)
            subprocess.run(["chmod", "-R", "a+rX", copy], check=True)
    return copy / path.relative_to(whole)


def _open_to_all(path: Path) -> bool:
    ways = {*path.absolute().parents, *path.resolve().parents}
    return all(way.stat().st_mode & 0o005 == 0o005 for way in ways)


def packages() -> str:
    """Where our dependencies lie, for a Python that is not the one of our environment."""
    return ":".join(str(for_all(Path(p))) for p in sys.path if p.endswith("site-packages"))


def python_for_all() -> str:
    """A Python of our version that an ordinary user may execute."""
    ours = Path(sys.executable).resolve()
    if _open_to_all(ours):
        return str(ours)
    version = f"python3.{sys.version_info.minor}"
    for directory in ("/usr/bin", "/usr/local/bin"):
        if (Path(directory) / version).exists():
            return f"{directory}/{version}"
    cannot(f"there is no {version} that an ordinary user may execute")
    raise AssertionError
