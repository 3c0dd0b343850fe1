"""A composed root equals the target's, only what the store lacks travels, and packages built there
fit: the target's own emerge installs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import Store, User, project
from tests.targets.described import PROJECT
from tests.targets.sshd import SshTarget, ssh_target

from cloche.errors import ClocheError
from cloche.layers import compare, stored_layer
from cloche.output.remembered import finished_machine
from cloche.session.session import Session, open_session
from cloche.targets.clone import KIND, Clone, clone
from cloche.targets.connection import Connection, opened_connection, parse_address
from cloche.targets.remote import left_out, read_listing

pytestmark = pytest.mark.real
SMALL = ("usr/lib", "usr/share", "usr/libexec", "usr/include", "usr/bin")  # left out for speed

#: Large files of the seed that no test needs.
NEEDLESS = (
    *("usr/lib/gcc/*/*/cc1plus", "usr/lib/gcc/*/*/lto1", "usr/bin/*lto-dump*"),
    *("usr/lib/file/magic.mgc", "usr/lib/*/lib[at]san*", "usr/lib/*/libc.a"),
    *("usr/lib/gcc/*/*/*san*", "usr/share/locale/*/*/*"),
)


@pytest.fixture(scope="module")
def session(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A project whose machine m was built: what the target has, the store has, too."""
    store = root_seeded.copy(tmp_path_factory.mktemp("clone") / "store")
    place = project(store, PROJECT)
    (place / "machines").mkdir()
    (place / "machines/m.toml").write_text(
        'seed = "debian"\nprofile = "local:default"\n'
        'packages = ["=dev-libs/leaf-1.0", "dev-util/axe"]\n'
    )
    with open_session(place, store=store.path) as opened:
        opened.build("m")
        yield opened


@pytest.fixture(scope="module")
def target(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTarget]:
    """A target whose root is that machine, with secrets and odd names."""
    pin = finished_machine(session.store, session.project.machine("m"))
    assert pin is not None
    with session.context("m") as context:
        base = [layer.path for layer in context.inputs.base]
    layers = [*base, *(session.store.tree(id).path for id in pin.data["layers"])]
    # Copies: a link to a file of the store would change the ctime that the target shows.
    copies = tmp_path_factory.mktemp("layers")
    for number, layer in enumerate(layers):
        subprocess.run(["cp", "-a", layer, copies / str(number)], check=True)
    layers = [copies / str(number) for number in range(len(layers))]
    for name in NEEDLESS:
        for file in layers[0].glob(name):
            file.unlink()
    with ssh_target(tmp_path_factory.mktemp("target"), layers) as found:
        found.run(
            "cd /usr/local; echo 'root:$6$salt$hash:1::::::' > /etc/shadow\n"
            "mkdir -p /etc/ssh; echo secret > /etc/ssh/ssh_host_key; echo mine > /root/diary\n"
            "touch 'odd\nna\\me' -- -rf; ln /etc/passwd linked; mknod pipe p; mknod disk b 8 0\n"
            "echo acl > own; chmod 4711 own; chown 7:8 own; ln -s /nowhere dangling\n"
        )
        subprocess.run(["setcap", "cap_net_raw+ep", found.stack[-1] / "usr/local/own"], check=False)
        found.copy(PROJECT / "repo", "/var/db/repos/local")
        os.setxattr(found.stack[-1] / "usr/local/own", "user.note", b"kept")
        time.sleep(3)  # until ctimes tell
        yield found


@contextmanager
def connected(target: SshTarget, path: str | None = None) -> Iterator[Connection]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path or target.path_for())
        with opened_connection(parse_address(target.address)) as connection:
            yield connection


def cloned(session: Session, target: SshTarget, *out: str) -> tuple[Clone, int]:
    """The target's root, and the bytes that it took."""
    with connected(target) as connection:
        packed, listing = read_listing(connection, out)
        return clone(session.store, connection, packed, listing), connection.received


def test_packages_that_the_store_has_are_linked(session: Session, target: SshTarget) -> None:
    made, _ = cloned(session, target, *SMALL)
    library = "usr/lib64/libleaf.so.1"
    layers = [tree.path for tree in session.store.trees() if tree.kind == "package"]
    (stored,) = (layer / library for layer in layers if (layer / library).is_file())
    assert stored.samefile(made.layer.path / library)


def test_only_what_changed_travels(session: Session, target: SshTarget) -> None:
    cloned(session, target, *SMALL)
    same, listing = cloned(session, target, *SMALL)
    assert not same.anew
    target.run(
        "echo new > /usr/local/new; chmod 600 /usr/local/own; rm '/usr/local/odd\nna\\me'\n"
        "echo more >> /etc/hosts"
    )
    made, received = cloned(session, target, *SMALL)
    assert made.anew
    assert made.fetched == 3
    assert received - listing < 3000
    assert equal(made, target, *SMALL)


def equal(made: Clone, target: SshTarget, *out: str) -> bool:
    """Whether a root is the target's but for secrets, data below /var, and devices."""
    found = compare([made.layer.path], list(target.stack), ignore=left_out(out))
    others = [name for name in found.only_b if not name.startswith("var/")]
    differ = [each.path for each in found.differ]
    return (found.only_a, differ, others) == (
        (),
        ["etc/shadow"],
        ["usr/local/disk", "usr/local/pipe"],
    )


def test_a_change_that_hides_is_seen(session: Session, target: SshTarget) -> None:
    """A file with another content, but the size and the time that it had."""
    name = "/usr/local/hidden"
    target.run(f"echo one > {name}; touch -d @1000000 {name}; sleep 3")
    first, _ = cloned(session, target, *SMALL)
    target.run(f"echo two > {name}; touch -d @1000000 {name}")
    second, _ = cloned(session, target, *SMALL)
    assert (first.layer.path / name[1:]).read_text() == "one\n"
    assert (second.layer.path / name[1:]).read_text() == "two\n"


def test_a_file_that_changes_meanwhile_is_named(session: Session, target: SshTarget) -> None:
    with connected(target) as connection:
        target.run("echo 1 > /usr/local/log")
        packed, listing = read_listing(connection, SMALL)
        target.run("echo 2 >> /usr/local/log")
        with pytest.raises(ClocheError, match=r"/usr/local/log changed while.*run it again"):
            clone(session.store, connection, packed, listing)
        packed, listing = read_listing(connection, SMALL)
        target.run("rm /usr/local/log")
        with pytest.raises(ClocheError, match=r"/usr/local/log changed while.*run it again"):
            clone(session.store, connection, packed, listing)


HOSTILE: Mapping[str, tuple[str, str]] = {
    "another name": ("cd /; exec $tar -cf - etc/shadow", "sent “etc/shadow”, which was not asked"),
    "a way out": ("exec $tar -cPf - ../etc/passwd", "which was not asked for"),
    "a device": ("exec $tar -cf - -C / dev/null", "which was not asked for"),
    "a link": ("cat >/dev/null; cd /tmp; mkdir -p usr/local; ln -sf /etc usr/local/evil;"
               " exec $tar -cf - ./usr/local/evil", "changed while the root was read"),
    "cut off": ("$tar $all | head -c 200; cat >/dev/null", "cut off|ended early|corrupt|truncated"),
    "nothing": ("cat >/dev/null", "changed while|not a tar archive|cut off"),
    "garbage": ("head -c 10000 /dev/zero | tr '\\0' x", "not a tar archive"),
    "a failure": ("cat >/dev/null; echo 'tar: no room' >&2; exit 2", "tar: no room"),
}  # fmt: skip


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_tar_ends_in_one_line(session: Session, target: SshTarget, trick: str) -> None:
    script, words = HOSTILE[trick]
    name = trick.replace(" ", "-")
    target.run(f"echo {name} > /usr/local/evil")
    own = f'#!/bin/sh\ntar=/usr/bin/tar; all="$*"\n{script}\n'
    (target.stack[-1] / "usr/local/bin").mkdir(exist_ok=True)
    target.run(f"cat > /usr/local/bin/tar <<'END'\n{own}END\nchmod 755 /usr/local/bin/tar")
    before = len(session.store.trees())
    try:
        with pytest.raises(ClocheError, match=words) as caught:
            cloned(session, target, *SMALL)
    finally:
        target.run("rm /usr/local/bin/tar")
    assert "\n" not in str(caught.value)
    assert len(session.store.trees()) == before
    assert not any(session.store.tmp.iterdir())


def test_a_host_that_goes_away_ends_in_one_line(
    root_seeded: Store, session: Session, tmp_path: Path
) -> None:
    with ssh_target(tmp_path, [root_seeded.seed_layer]) as target, connected(target) as connection:
        packed, listing = read_listing(connection)
        end = threading.Timer(0.7, lambda: _cut(target))
        end.start()
        with pytest.raises(ClocheError) as caught:
            clone(session.store, connection, packed, listing)
        end.join()
    assert "the connection ended" in str(caught.value)
    assert "\n" not in str(caught.value)


def _cut(target: SshTarget) -> None:
    """End every process of an sshd, also those of its sessions."""
    words = ["pkill", "-KILL", "-P", str(target.process.pid)]
    subprocess.run(words, check=False)
    target.stop()


def test_an_ordinary_user_composes_the_same(
    ordinary: User, session: Session, target: SshTarget, tmp_path: Path
) -> None:
    path = target.path_for(ordinary)
    program = f"""\
import os
os.environ["PATH"] = {path!r}
from pathlib import Path
from cloche.sandbox import userns
from cloche.store import Store
from cloche.targets.clone import clone
from cloche.targets.connection import opened_connection, parse_address
from cloche.targets.remote import read_listing
with opened_connection(parse_address({target.address!r})) as connection:
    userns.enter()
    with Store.open(Path("clones")) as store:
        made = clone(store, connection, *read_listing(connection, {SMALL!r}))
        print(made.layer.id)
"""
    done = ordinary.run_python(program, ordinary.home)
    assert done.returncode == 0, done.stderr
    made, _ = cloned(session, target, *SMALL)
    assert done.stdout.strip() == made.layer.id


def build(
    store: Store, target: SshTarget, *words: str | Path, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``cloche build --target`` in a project without machines."""
    place = project(store, PROJECT)
    (place / "cloche.lock").unlink(missing_ok=True)
    search = {"PATH": path or target.path_for()}
    more = ("--target", target.address, *words)
    return store.cloche("build", "--progress", "plain", *more, cwd=place, env=search)


def test_a_package_is_built_in_that_root_and_emerge_installs_it_there(
    session: Session, target: SshTarget, root: User, tmp_path: Path
) -> None:
    store = Store(session.store.path, root)
    target.run(
        "mkdir -p /etc/portage/package.use /etc/portage/patches/app-misc/tree\n"
        "echo 'app-misc/tree fruit' > /etc/portage/package.use/own"
    )
    done = build(store, target, "app-misc/tree", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "[1/1] built    app-misc/tree-1" in done.stderr
    assert {*(tmp_path / "out/binpkgs").rglob("*.gpkg.tar")} == {
        tmp_path / "out/binpkgs/app-misc/tree/tree-1-1.gpkg.tar"
    }
    (made,) = (
        Clone(stored_layer(session.store, pin.trees[0]), "", anew=False)
        for pin in session.store.pins(f"target/{target.address}")
        if "listing" in pin.data
    )
    assert equal(made, target)
    again = build(store, target, "app-misc/tree", "-o", tmp_path / "out")
    assert "names, unchanged" in again.stderr
    assert "0 packages built, 1 reused" in again.stdout
    (command,) = (
        line.partition(": ")[2] for line in done.stdout.splitlines() if "install them" in line
    )
    environment = {**os.environ, "PATH": target.path_for()}
    subprocess.run(["sh", "-ec", command], env=environment, check=True, capture_output=True)
    assert target.run("tree") == "leaf 1, fruit\n"


def test_an_ordinary_user_builds_the_same_way(
    ordinary: User, target: SshTarget, ground: Path
) -> None:
    store = Store(ordinary.home / "store-over-ssh", ordinary)
    done = build(store, target, "app-misc/stone", path=target.path_for(ordinary))
    assert done.returncode == 0, done.stderr
    assert "1 package built" in done.stdout
    refused = build(store, target, "app-misc/stone", "--mount", path=target.path_for(ordinary))
    assert refused.returncode == 3
    assert refused.stderr.splitlines()[-1].startswith("cloche: --mount needs root")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("app-misc/none",), "no package matches app-misc/none; correct the atom"),
        (("app-misc/broken",), "1 failed: app-misc/broken-1::local"),
        (("app-misc/tree", "--strict"), "--strict cannot be used with --target"),
        (("app-misc/tree", "--cluster", "h:1"), "--cluster cannot be used with --target"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    session: Session, target: SshTarget, root: User, words: tuple[str, ...], said: str
) -> None:
    done = build(Store(session.store.path, root), target, *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr.splitlines()[-1]
    assert "cloche shell" not in done.stderr


def test_a_mounted_root_gives_packages_of_its_own(
    session: Session, target: SshTarget, root: User, tmp_path: Path
) -> None:
    store = Store(session.store.path, root)
    trees = {tree.id for tree in session.store.trees() if tree.kind == KIND}
    done = build(store, target, "app-misc/stone", "--mount", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "1 package built" in done.stdout
    assert (tmp_path / "out/binpkgs/app-misc/stone/stone-1-1.gpkg.tar").is_file()
    assert {tree.id for tree in session.store.trees() if tree.kind == KIND} == trees
    action = session.store.last_action("build", "app-misc/stone-1::local")
    assert action is not None
    assert not trees & {*action.parts.values()}
    assert not using(target)
    assert not any(session.store.tmp.iterdir())


_LOOKS = """\
import sys
from pathlib import Path
from cloche.layers import merged
from cloche.store import Store
from cloche.targets import mounted
from cloche.targets.connection import opened_connection, parse_address
from cloche.targets.remote import read_listing
mounted.prepare()
address = parse_address(sys.argv[1])
with opened_connection(address) as connection, Store.open(Path("store")) as store:
    packed, listing = read_listing(connection, ("/usr/share",))
    with mounted.mounted_root(store, connection, listing, ("/usr/share",)) as layers:
        view = merged([layer.path for layer in layers])
        for name in ("etc/ssh", "root", "usr/share", "usr/local"):
            node = view.lookup(name.encode())
            print(name, len(view.children(node)))
        print(Path(view.lookup(b"etc/shadow").origin.decode()).read_text().strip())
"""


def test_a_mounted_root_hides_what_a_composed_one_lacks(
    target: SshTarget, source: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PATH": target.path_for(), "PYTHONPATH": str(source)}
    words = [sys.executable, "-c", _LOOKS, target.address]
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *names, shadow = done.stdout.splitlines()
    assert names[:3] == ["etc/ssh 0", "root 0", "usr/share 0"]
    assert int(names[3].split()[1]) > 0
    assert shadow == "root:!:1::::::"


@pytest.mark.parametrize("way", ["killed", "interrupted"])
def test_nothing_is_left_of_a_mount_when_its_build_ends(
    session: Session, target: SshTarget, root: User, way: str
) -> None:
    place = project(Store(session.store.path, root), PROJECT)
    words = ("build", "--target", target.address, "--mount", "app-misc/wood")
    command = root.command("--store", session.store.path, *words)
    environment = root.environment({"PATH": target.path_for()})
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=place, env=environment, stderr=log)
        wait_until(lambda: "mounted" in (place / "log").read_text())
        assert any("sshfs" in line for line in using(target))
        process.send_signal(signal.SIGKILL if way == "killed" else signal.SIGINT)
        assert process.wait() == (-signal.SIGKILL if way == "killed" else 130)
    wait_until(lambda: not using(target))
    assert "sshfs" not in Path("/proc/mounts").read_text()


def using(target: SshTarget) -> list[str]:
    """The command lines of all processes that reach a target, or serve its mount."""
    found = subprocess.run(["ps", "-wweo", "args"], capture_output=True, text=True, check=True)
    port = target.address.rpartition(":")[2]
    return [line for line in found.stdout.splitlines() if f"-p {port} " in line]


def wait_until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within half a minute")
