"""A composed root equals the target's, and only what the store lacks travels."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import Store, User, project
from tests.targets.described import PROJECT
from tests.targets.sshd import SshTarget, ssh_target

from cloche.errors import ClocheError
from cloche.layers import compare
from cloche.output.deliver import finished_machine
from cloche.session.session import Session, open_session
from cloche.targets.clone import Clone, clone
from cloche.targets.connection import Connection, opened_connection, parse_address
from cloche.targets.remote import left_out, read_listing

pytestmark = pytest.mark.real
SMALL = ("usr/lib", "usr/share", "usr/libexec", "usr/include", "usr/bin")  # left out for speed


@pytest.fixture(scope="module")
def session(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A project whose machine m was built: what the target has, the store has, too."""
    store = root_seeded.copy(tmp_path_factory.mktemp("clone") / "store")
    place = project(store, PROJECT)
    (place / "machines").mkdir()
    (place / "machines/m.toml").write_text(
        'seed = "debian"\nprofile = "local:default"\npackages = ["dev-libs/leaf", "dev-util/axe"]\n'
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
    with ssh_target(tmp_path_factory.mktemp("target"), layers) as found:
        found.run(
            "cd /usr/local; echo 'root:$6$salt$hash:1::::::' > /etc/shadow\n"
            "mkdir -p /etc/ssh; echo secret > /etc/ssh/ssh_host_key; echo mine > /root/diary\n"
            "touch 'odd\nna\\me' -- -rf; ln /etc/passwd linked; mknod pipe p; mknod disk b 8 0\n"
            "echo acl > own; chmod 4711 own; chown 7:8 own; ln -s /nowhere dangling\n"
        )
        subprocess.run(["setcap", "cap_net_raw+ep", found.stack[-1] / "usr/local/own"], check=False)
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
    library = "usr/lib64/libleaf.so.2"
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
