"""The client and the service together: an enrolled root asks, and a stock emerge installs."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from target_root import EBUILD, REPOSITORY, Target
from tests.client.handed_out import TEXT
from tests.support import Store, project

pytestmark = pytest.mark.real

PROJECT = """[seeds.debian]
type = "debian"
suite = "bookworm"

[repos.gentoo]
path = "repo"
main = true
"""
BROKEN = EBUILD.replace(
    "src_install() {", 'src_compile() {\n    die "on purpose"\n}\nsrc_install() {'
)
SLOW = EBUILD.replace("src_install() {", "src_compile() {\n    sleep 5\n}\nsrc_install() {")
MORE = {
    "app-misc/broken/broken-1.ebuild": BROKEN % "",
    "app-misc/slow/slow-1.ebuild": SLOW % "",
}
PATIENCE = 180.0  # seconds; a build takes a few


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A store of its own for the service."""
    place = ground / "client-service"
    place.mkdir()
    yield root_seeded.copy(place / "store")
    subprocess.run(["rm", "-rf", place], check=False)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the repository of the targets."""
    source = tmp_path_factory.mktemp("project") / "packages"
    for path, text in {**REPOSITORY, **MORE}.items():
        file = source / "repo" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (source / "cloche.toml").write_text(PROJECT)
    return source


@pytest.fixture(scope="module")
def place(store: Store, declared: Path) -> Path:
    """The project of the service."""
    return project(store, declared)


@contextmanager
def service(
    store: Store, place: Path, port: int = 0
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A service that runs; its address and process."""
    words = ("serve", "--port", str(port), "--builds", "1", "-j", "1")
    log = place / "serve.log"
    with log.open("w") as stream:
        process = store.user.start("--store", store.path, *words, cwd=place, stderr=stream)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"https?://127\.0\.0\.1:\d+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found[0], process
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def address(store: Store, place: Path) -> Iterator[str]:
    """The address of a service for the tests of this module."""
    with service(store, place) as (address, _):
        yield address


def enrol(target: Target, store: Store, place: Path, address: str) -> Target:
    """Enrol a target, which has the repository of the project."""
    for path, text in MORE.items():
        target.write(f"var/db/repos/gentoo/{path}", text)
    told = store.cloche("serve", "token", "add", "test", cwd=place, check=True)
    target.client("enrol", "--server", address, CLOCHE_TOKEN=told.stdout.split()[-1])
    return target


@pytest.fixture
def enrolled(weak: Target, store: Store, place: Path, address: str) -> Target:
    """The target, enrolled."""
    return enrol(weak, store, place, address)


def installed(target: Target) -> set[str]:
    return {path.name for path in (target.place / "upper/var/db/pkg").glob("*/*")}


def test_what_is_asked_for_is_built_there_and_installed_here(
    enrolled: Target, address: str
) -> None:
    told = enrolled.client("want", "app-misc/tool")
    assert re.search(r"app-misc/(leaf|tool)-1 built in ", told)
    command = "emerge --getbinpkg --usepkgonly app-misc/tool"
    assert told.splitlines()[-1] == f"All is ready. To install: {command}"
    assert enrolled.run(*command.split()).count(">>> Emerging binary") == 2
    assert installed(enrolled) == {"leaf-1", "tool-1"}
    told = enrolled.client("status")
    assert "out of date" in told, "two packages more are installed"
    assert enrolled.client("refresh") == "Sent what changed.\n"
    assert "up to date" in enrolled.client("status")


def test_a_second_target_gets_what_is_there(enrolled: Target) -> None:
    told = enrolled.client("want", "--emerge", "app-misc/tool")
    assert installed(enrolled) == {"leaf-1", "tool-1"}
    assert "built in " not in told


def test_a_revoked_token_is_replaced(enrolled: Target, store: Store, place: Path) -> None:
    """Also where the machine has lost its files: it is the same target again."""

    def serve(*words: str) -> str:
        return store.cloche("serve", *words, cwd=place, check=True).stdout

    file = enrolled.place / "upper/etc/cloche-client.json"
    before = json.loads(file.read_text())
    tokens = json.loads(serve("token", "list", "--json"))
    (own,) = (each for each in tokens if each["target"] == before["target"])
    serve("token", "revoke", own["id"])
    words = ("enrol", "--server", before["server"])
    made = f"`cloche serve token add NAME --target {before['target']}` there makes a new one"
    for command in (("status",), ("want", "app-misc/leaf"), words):
        told = enrolled.client(*command, check=False)
        assert made in told
        assert "cloche-client enrol --server" in told
    for lost in (False, True):
        new = serve("token", "add", "again", "--target", before["target"]).strip()
        if lost:
            file.unlink()
        told = enrolled.client(*words, "--json", CLOCHE_TOKEN=new)
        assert json.loads(told)["target"] == before["target"]
        after = json.loads(file.read_text())
        assert (after["token"], after["name"]) == (new, before["name"])
        assert new in (enrolled.place / "upper/etc/cloche-client.wgetrc").read_text()
        assert "up to date" in enrolled.client("status")
    listed = json.loads(serve("token", "list", "--json"))
    accounts = {each["account"] for each in listed if each["target"] == before["target"]}
    assert accounts == {own["account"]}


def test_a_token_of_another_role_is_not_kept(enrolled: Target, store: Store, place: Path) -> None:
    """An administrator's sees the target, too, and must not get into files of the machine."""
    file = enrolled.place / "upper/etc/cloche-client.json"
    before = json.loads(file.read_text())
    words = ("serve", "token", "add", "admin", "--role", "admin")
    admin = store.cloche(*words, cwd=place, check=True).stdout.strip()
    enrolled.client("enrol", "--server", before["server"], CLOCHE_TOKEN=admin)
    assert json.loads(file.read_text())["token"] == before["token"]


def test_the_failure_of_a_build_is_told_with_its_log(enrolled: Target, address: str) -> None:
    told = enrolled.client("want", "app-misc/broken", check=False)
    assert "on purpose" in told
    assert re.search(r"cloche-client: app-misc/broken-1 failed: ", told)
    log = re.search(rf"the whole log: {address}(/api/v1/builds/\S+)", told)
    assert log is not None
    assert told.endswith("exit 1")


def test_an_atom_that_nobody_has_is_portages_answer(enrolled: Target) -> None:
    told = enrolled.client("want", "app-misc/none", check=False)
    assert 'there are no ebuilds to satisfy "app-misc/none"' in told


def test_the_service_hands_out_the_client(enrolled: Target, address: str) -> None:
    enrolled.run("wget", "-q", "-O", "/client", f"{address}/client")
    assert (enrolled.place / "upper/client").read_bytes() == TEXT.encode()


def test_a_restarted_service_is_waited_for(
    weak: Target, root_seeded: Store, fresh: Callable[[Store], Store], declared: Path
) -> None:
    store = fresh(root_seeded)
    own = project(store, declared)
    with service(store, own) as (address, _):
        enrol(weak, store, own, address)
        weak.write("client.py", TEXT)
        words = weak.command("python3", "-u", "/client.py", "want", "app-misc/slow")
        client = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        while "build app-misc/slow-1" not in (line := client.stdout.readline()):
            assert line, "the client ended"
    with service(store, own, int(address.rpartition(":")[2])):
        told, _ = client.communicate(timeout=PATIENCE)
    assert "; trying again in 1 s" in told
    assert "app-misc/slow-1 built in " in told
    assert client.returncode == 0
