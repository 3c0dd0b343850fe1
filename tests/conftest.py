"""What the tests share: a seed made once a run, stores that hold it, and users to be.

A run may have several workers (pytest-xdist). What is made once is made for all of them, in the
run's own directory, by the first who asks for it (`once`); the run's end takes it away.

Real tests run the command line itself, in a process of its own, as root and as an ordinary user who
exists for this run. A test that cannot run here says why; with ``CLOCHE_TESTS_MUST_RUN`` (which
``.ci/run`` sets on Debian with root) that is a failure.
"""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import coverage
import hypothesis
import pytest
from tests import timing
from tests.sandbox.driving import make_root
from tests.support import (
    GROUND,
    ROOT,
    WORKBENCH,
    Root,
    Store,
    User,
    cannot,
    once,
    project,
    python_for_all,
)

from cloche.catalyst import tools
from cloche.config.toml import dumps
from cloche.sandbox import userns
from cloche.sandbox.errors import HostError
from cloche.vm import kernel

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling


DISK = pytest.StashKey[timing.Disk]()

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("cloche", deadline=None)
hypothesis.settings.load_profile("cloche")


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C, and let what we start take it: a shell's background job inherits it ignored.

    As the command line does, an ordinary user's tests run as uid 0 of a user namespace of theirs.
    The first process of a run makes the run's directory, which every user may enter: pytest closes
    its own to others.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        with contextlib.suppress(HostError):  # what needs it says so, as does the command line
            userns.enter()
        place = os.environ.get("CLOCHE_TESTS_DIR")
        path = Path(tempfile.mkdtemp(prefix="cloche-tests-", dir=place))
        path.chmod(0o755)
        os.environ[GROUND] = str(path)
        config.stash[DISK] = timing.Disk.of(path)
        config.pluginmanager.register(config.stash[DISK])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take away what the run made, users included, when its last worker has ended."""
    if hasattr(config, "workerinput"):
        return
    path = Path(os.environ.pop(GROUND))
    names = [user.read_text() for user in path.glob("user-*")]
    for name in names:
        subprocess.run(["pkill", "-KILL", "-u", name], check=False)
        subprocess.run(["userdel", name], check=False)
    subprocess.run(["rm", "-rf", path], check=False)
    known = {entry.pw_name for entry in pwd.getpwall()}
    if left := [name for name in names if name in known]:
        raise pytest.UsageError(f"users of this run are left: {', '.join(left)}")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest modules come first; a proof has to be real, or `make check` would run it."""
    for item in items:
        if item.get_closest_marker("proof") and not item.get_closest_marker("real"):
            raise pytest.UsageError(f"{item.nodeid}: a proof needs the mark `real`, too")
    items.sort(key=lambda item: _rank(item.path))


@pytest.hookimpl(optionalhook=True)  # one process runs the tests without pytest-xdist, too
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Deal tests out by module: `loadgroup` of pytest-xdist 3.8 does nothing under pytest 9."""
    from tests.dealing import Modules

    return Modules(config, log)


#: What takes longest, so that it does not come last: modules, then rooms. The first three do not
#: wait for the same seed.
FIRST = (
    "sandbox",
    "test_machine_native",
    "fuzz",
    "test_house",
    "test_machine_workbench",
    "test_releng_media",
    "test_machine_cross",
    "engines",
    "vm",
    "probing",
    "machine",
    "test_booting_images",
    "releng",
    "faults",
    "cluster",
    "targets",
    "service",
    "client",
    "seeds",
    "binhosts",
    "session",
    "output",
    "display",
    "comparison",
    "cli",
    "test_dist",
)


def _rank(path: Path) -> int:
    names = (path.stem, path.parent.name)
    return next((FIRST.index(name) for name in names if name in FIRST), len(FIRST))


@pytest.fixture(scope="session")
def ground() -> Path:
    """A directory of this run, for all of its workers, that every user may enter."""
    return Path(os.environ[GROUND])


@pytest.fixture(scope="session")
def source(ground: Path) -> Path:
    """cloche's code where everybody can read it, compiled: nobody who runs it keeps byte code."""
    target = ground / "source"
    with once(ground, "source-copied") as first:
        if first:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / "src", target, ignore=ignored)
            subprocess.run([sys.executable, "-m", "compileall", "-q", target], check=True)
            subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target


@pytest.fixture(scope="session")
def root(ground: Path, source: Path) -> User:
    """The superuser."""
    if not userns.is_real_root():
        cannot("the tests do not run as root")
    home = ground / "root"
    home.mkdir(exist_ok=True)
    return User("root", home, sys.executable, source)


@pytest.fixture(scope="session")
def ordinary(ground: Path, source: Path) -> User:
    """Somebody without any privilege, made for this run, with a subuid range as useradd gives."""
    if not userns.is_real_root() or shutil.which("useradd") is None:
        cannot("useradd and root are needed to make an ordinary user")
    home = ground / "home"
    with once(ground, "ordinary") as first:
        if first:
            name = f"cloche{os.getpid()}"
            (ground / f"user-{name}").write_text(name)
            subprocess.run(["useradd", "--create-home", "--home-dir", home, name], check=True)
            home.chmod(0o755)
    name = pwd.getpwuid(home.stat().st_uid).pw_name
    return User(name, home, python_for_all(), source)


@pytest.fixture(scope="session")
def small_root() -> Iterator[Path]:
    """A root with a few programs, for sandboxes."""
    # Not pytest's own directory, which each start of pytest closes to other users again.
    with tempfile.TemporaryDirectory(prefix="cloche-root-") as directory:
        Path(directory).chmod(0o755)
        make_root(Path(directory, "root"))
        yield Path(directory, "root")


@pytest.fixture(scope="session")
def small_user() -> Iterator[str]:
    """A user without a home, who has ids of their own."""
    name = f"cloche-test-{os.getpid()}"  # two runs may share a machine
    if not userns.is_real_root():
        cannot("making a user needs root")
    subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True)
    given = f":{name}:" in ":" + Path("/etc/subuid").read_text().replace("\n", ":")
    if not given:
        ranges = ["--add-subuids", "900000-965535", "--add-subgids", "900000-965535"]
        subprocess.run(["usermod", *ranges, name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)


@pytest.fixture(scope="session")
def users_root(small_root: Path, small_user: str) -> Path:
    """A root that belongs to the user, in a directory that does as well."""
    directory = small_root.parent / "user-work"
    directory.mkdir()
    own = directory / "root"
    shutil.copytree(small_root, own)
    for path in (directory, own, *own.rglob("*")):
        shutil.chown(path, small_user, small_user)
    return own


@pytest.fixture(scope="session")
def virtual_kernel(ground: Path) -> Path:
    """A kernel for virtual machines, fetched and unpacked as cloche does, readable for all."""
    tools = ("qemu-system-x86_64", "apt-get", "dpkg-deb")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        cannot(f"{', '.join(missing)}: not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(ground))
        patch.delenv(kernel.VARIABLE, raising=False)
        with once(ground, "kernel") as first:
            if first:
                kernel.provide()
        found = kernel.find()
    subprocess.run(["chmod", "-R", "a+rX", ground / "cloche"], check=False)
    return found.image.parent.parent


@pytest.fixture(scope="session")
def root_seeded(root: User, ground: Path) -> Store:
    """A store with the Debian seed, made by the command line in this run."""
    return _seeded(root, ground)


@pytest.fixture(scope="session")
def root_tools(root_seeded: Store, ground: Path) -> Store:
    """The same, also with the seed of tools that make media, disks and snapshots."""
    place = ground / "with-tools"
    store = Store(place / "store", root_seeded.user)
    with once(ground, "with-tools") as first:
        if first:
            place.mkdir()
            root_seeded.copy(store.path)
            declared = dumps({"seeds": {tools.NAME: tools.seed()}})
            (place / "cloche.toml").write_text(declared)
            store.cloche("seed", "bootstrap", tools.NAME, cwd=place, check=True)
    return store


@pytest.fixture(scope="session")
def ordinary_seeded(ordinary: User, ground: Path) -> Store:
    """The same, made by the ordinary user."""
    return _seeded(ordinary, ground)


@pytest.fixture(scope="session", params=["root", "ordinary"])
def seeded(request: pytest.FixtureRequest) -> Store:
    """A seeded store of either kind of user: a test that asks for it runs twice."""
    store: Store = request.getfixturevalue(f"{request.param}_seeded")
    return store


@pytest.fixture(scope="session", params=["seed", "own"])
def root_of(request: pytest.FixtureRequest) -> Root:
    """Whose root a machine has: a test that asks for it runs twice."""
    root: Root = request.param
    return root


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


def _seeded(user: User, ground: Path) -> Store:
    if shutil.which("mmdebstrap") is None and not os.environ.get("CLOCHE_TESTS_SEEDED"):
        cannot("mmdebstrap is needed to make a seed")
    store = Store(ground / f"seeded-{user.name}" / "store", user)
    with once(ground, f"seeded-{user.name}") as first:
        if not first:
            return store
        store.path.parent.mkdir()
        user.own(store.path.parent)
        if given := os.environ.get("CLOCHE_TESTS_SEEDED"):
            _given(Path(given), store)
        else:
            store.cloche("seed", "bootstrap", cwd=project(store, WORKBENCH), check=True)
    return store


def _given(given: Path, store: Store) -> None:
    """Copy root's store of an earlier run instead: for whoever writes tests, not for a judgement.

    Unpacked in the user's own user namespace, so that the files get the user's own ids.
    """
    code = (
        "import os; from cloche.sandbox import userns; userns.enter();"
        "os.execvp('tar', ['tar', '-xpf', '-', '--xattrs', '--xattrs-include=*', '-C',"
        f" {str(store.path)!r}])"
    )
    unpack = store.user.command()
    unpack[unpack.index("-m") :] = ["-c", code]
    subprocess.run([*(store.user.as_user()), "mkdir", store.path], check=True)
    packed = subprocess.Popen(
        ["tar", "-C", given, "--xattrs", "--numeric-owner", "-cf", "-", "."], stdout=subprocess.PIPE
    )
    environment = store.user.environment(None)
    subprocess.run(unpack, stdin=packed.stdout, env=environment, check=True)
    assert packed.wait() == 0


ROOMS = {"plan": 90, "config": 90, "store": 90, "layers": 90}  # percent of lines, at least


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell where the time went, and fail a whole run that covers a room too little.

    ``make test`` measures, this looks.
    """
    config = terminalreporter.config
    if config.getoption("durations"):
        told = chain.from_iterable(terminalreporter.stats.values())
        terminalreporter.section("slowest modules")
        for line in timing.lines(r for r in told if isinstance(r, pytest.TestReport)):
            terminalreporter.write_line(line)
        terminalreporter.write_line(str(config.stash[DISK]))
    if not config.getoption("cov_source", None) or config.getoption("markexpr"):
        return
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.load()
    for room, least in ROOMS.items():
        try:
            percent = measured.report(
                include=[f"{ROOT}/src/cloche/{room}/*"], file=io.StringIO(), ignore_errors=True
            )
        except coverage.exceptions.NoDataError:  # workers of a run that was ended hand in nothing
            percent = 0.0
        terminalreporter.write_line(f"coverage of {room}: {percent:.1f} %")
        if percent < least:
            terminalreporter.write_line(f"that is below {least} %", red=True)
            terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
