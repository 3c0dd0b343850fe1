"""What the tests share: a seed made once a run, stores that hold it, and users to be.

Real tests run the command line itself, in a process of its own, as root and as an ordinary user who
exists for this run. A test that cannot run here says why; with ``CLOCHE_TESTS_MUST_RUN`` (which
``.ci/run`` sets on Debian with root) that is a failure.
"""

from __future__ import annotations

import io
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import coverage
import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKBENCH = ROOT / "examples" / "workbench"
MUST_RUN = bool(os.environ.get("CLOCHE_TESTS_MUST_RUN"))


def cannot(reason: str) -> None:
    """Say that a test cannot run on this host."""
    if MUST_RUN:
        pytest.fail(f"must run here, but: {reason}")
    pytest.skip(reason)


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
    ) -> subprocess.CompletedProcess[str]:
        """Run ``cloche ARGUMENTS``; with ``check`` an exit status other than 0 fails the test."""
        done = subprocess.run(
            self.command(*arguments, prefix=prefix, env=env),
            cwd=cwd or self.home,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
        return done

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
        as_user = () if self.name == "root" else ("setpriv", f"--reuid={self.name}",
            f"--regid={self.name}", "--init-groups", "--reset-env")  # fmt: skip
        variables = [f"{k}={v}" for k, v in self.environment(env).items()]
        cloche = [self.python, "-B", "-m", "cloche.cli", *map(str, arguments)]
        return [*as_user, *(["env", *variables] if as_user else []), *prefix, *cloche]

    def environment(self, more: dict[str, str] | None) -> dict[str, str]:
        """The whole environment: little, and the same wherever the tests run."""
        passed = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_CONFIG_FILE")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": f"{self.source}:{_packages(self.python)}",
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

    def copy(self, path: Path) -> Store:
        """Another store with all that this one holds, by hard links: trees are never changed."""
        subprocess.run(["cp", "-al", self.path, path], check=True)
        # Databases and locks are written to: they must not be shared.
        for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "lock"):
            if (self.path / name).exists():
                (path / name).unlink()
                shutil.copy2(self.path / name, path / name)
                self.user.own(path / name)
        shutil.rmtree(path / "locks", ignore_errors=True)
        return replace(self, path=path)

    def layers(self, project: Path, machine: str) -> dict[str, str]:
        """Layer of each package of a machine that was built, by cpv."""
        told = self.cloche("plan", machine, "--json", cwd=project, check=True)
        return {p["cpv"]: p["layer"] for p in json.loads(told.stdout)["packages"]}


@pytest.fixture(scope="session")
def ground() -> Iterator[Path]:
    """A directory for this run that every user may enter; pytest closes its own to others."""
    path = Path(tempfile.mkdtemp(prefix="cloche-tests-", dir=os.environ.get("CLOCHE_TESTS_DIR")))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=False)


@pytest.fixture(scope="session")
def source(ground: Path) -> Path:
    """cloche's code where everybody can read it."""
    target = ground / "source"
    shutil.copytree(ROOT / "src", target, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target


@pytest.fixture(scope="session")
def root(ground: Path, source: Path) -> User:
    """The superuser."""
    if os.geteuid() != 0:
        cannot("the tests do not run as root")
    home = ground / "root"
    home.mkdir()
    return User("root", home, sys.executable, source)


@pytest.fixture(scope="session")
def ordinary(ground: Path, source: Path) -> Iterator[User]:
    """Somebody without any privilege, made for this run, with a subuid range as useradd gives."""
    if os.geteuid() != 0 or shutil.which("useradd") is None:
        cannot("useradd and root are needed to make an ordinary user")
    name = f"cloche{os.getpid()}"
    home = ground / "home"
    subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
    home.chmod(0o755)
    try:
        yield User(name, home, _python_for_all(), source)
    finally:
        subprocess.run(["pkill", "-KILL", "-u", name], check=False)
        subprocess.run(["userdel", name], check=False)
    with pytest.raises(KeyError):
        pwd.getpwnam(name)


@pytest.fixture(scope="session")
def root_seeded(root: User, ground: Path) -> Store:
    """A store with the Debian seed, made by the command line in this run."""
    return _seeded(root, ground)


@pytest.fixture(scope="session")
def ordinary_seeded(ordinary: User, ground: Path) -> Store:
    """The same, made by the ordinary user."""
    return _seeded(ordinary, ground)


@pytest.fixture(scope="session", params=["root", "ordinary"])
def seeded(request: pytest.FixtureRequest) -> Store:
    """A seeded store of either kind of user: a test that asks for it runs twice."""
    store: Store = request.getfixturevalue(f"{request.param}_seeded")
    return store


@pytest.fixture
def fresh(ground: Path) -> Iterator[Callable[[Store], Store]]:
    """Give copies of a store that go away after the test."""
    made: list[Path] = []

    def copy(store: Store) -> Store:
        parent = Path(tempfile.mkdtemp(prefix="store-", dir=ground))
        parent.chmod(0o755)
        store.user.own(parent)
        made.append(parent)
        return store.copy(parent / "store")

    yield copy
    for path in made:
        subprocess.run(["rm", "-rf", path], check=False)


def project(store: Store, source: Path, name: str | None = None) -> Path:
    """Copy a project to where the store's user can read and write it, with the seed's lock."""
    parent = Path(tempfile.mkdtemp(prefix="project-", dir=store.user.home))
    target = parent / (name or source.name)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("out", "cloche.lock"))
    store.user.own(parent)
    return target


def _seeded(user: User, ground: Path) -> Store:
    store = Store(ground / f"seeded-{user.name}" / "store", user)
    store.path.parent.mkdir()
    user.own(store.path.parent)
    # For whoever writes tests: a seeded store that root made before, instead of a minute's wait.
    if user.name == "root" and (made := os.environ.get("CLOCHE_TESTS_SEEDED")):
        return Store(Path(made), user).copy(store.path)
    store.cloche("seed", "bootstrap", cwd=project(store, WORKBENCH), check=True)
    return store


def _packages(python: str) -> str:
    """Where our dependencies lie, for a Python that is not the one of our environment."""
    return ":".join(path for path in sys.path if path.endswith("site-packages"))


def _python_for_all() -> str:
    """A Python of our version that an ordinary user may execute."""
    ours = Path(sys.executable).resolve()
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in ours.parents):
        return str(ours)
    version = f"python3.{sys.version_info.minor}"
    for directory in ("/usr/bin", "/usr/local/bin"):
        if (Path(directory) / version).exists():
            return f"{directory}/{version}"
    cannot(f"there is no {version} that an ordinary user may execute")
    raise AssertionError


ROOMS = {"plan": 90, "config": 90, "store": 90, "layers": 90}  # percent of lines, at least


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Fail a whole run that covers a room too little; ``make test`` measures, this looks."""
    config = terminalreporter.config
    if not config.getoption("cov_source", None) or config.getoption("markexpr"):
        return
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    for room, least in ROOMS.items():
        percent = measured.report(
            include=[f"*/cloche/{room}/*"], file=io.StringIO(), skip_covered=False
        )
        terminalreporter.write_line(f"coverage of {room}: {percent:.1f} %")
        if percent < least:
            terminalreporter.write_line(f"that is below {least} %", red=True)
            terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
