"""A real emerge in a chroot of the seed, watched from outside."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import Store

pytestmark = [pytest.mark.real, pytest.mark.seed]

# A root of its own over the seed's layer, in a mount namespace of its own.
ROOT = """
set -e; PATH=$PATH:/usr/sbin:/sbin
mount -t tmpfs none "$2"; mkdir "$2/upper" "$2/work" "$2/root"; root="$2/root"
mount -t overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$root"
mount --rbind /proc "$root/proc"; mount --rbind /dev "$root/dev"
cp -r "$3/." "$root/"
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    TERM=dumb FEATURES="$4" emerge --oneshot --keep-going --jobs=2 app-misc/three app-misc/bad
"""
OFF = "-sandbox -usersandbox -network-sandbox -pid-sandbox -ipc-sandbox -mount-sandbox -news"
EBUILD = """EAPI=8
DESCRIPTION="{name}"
SLOT="0"
KEYWORDS="amd64"
S="${{WORKDIR}}"
DEPEND="{depend}"
src_compile() {{ echo "compiling {name}"; sleep 2; {more} }}
src_install() {{ echo {name} > {name}.txt; insinto /usr/share/tiny; doins {name}.txt; }}
"""
PACKAGES = {
    "one": ("", ""), "two": ("app-misc/one", ""), "three": ("app-misc/two", ""),
    "bad": ("", "die no;"),
}  # fmt: skip


@pytest.fixture
def place(ground: Path) -> Iterator[Path]:
    """A directory that everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="watch-", dir=ground))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=False)


@pytest.fixture
def tiny(place: Path) -> Path:
    """What is laid over the seed: a repository of four packages, and the settings for it."""
    repo = place / "tiny/var/db/repos/tiny"
    files = {
        "metadata/layout.conf": "masters =\nthin-manifests = true\n",
        "profiles/repo_name": "tiny\n",
        "profiles/arch.list": "amd64\n",
        "profiles/categories": "app-misc\n",
        "profiles/default/eapi": "8\n",
        "profiles/default/make.defaults": (
            'ARCH="amd64"\nACCEPT_KEYWORDS="amd64"\nCHOST="x86_64-pc-linux-gnu"\nKERNEL="linux"\n'
        ),
    }
    for name, (depend, more) in PACKAGES.items():
        text = EBUILD.format(name=name, depend=depend, more=more)
        files[f"app-misc/{name}/{name}-1.ebuild"] = text
    for name, text in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text)
    etc = place / "tiny/etc/portage"
    etc.mkdir(parents=True)
    (etc / "make.profile").symlink_to("../../var/db/repos/tiny/profiles/default")
    (etc / "repos.conf").write_text(
        "[DEFAULT]\nmain-repo = tiny\n[tiny]\nlocation = /var/db/repos/tiny\n"
    )
    return place / "tiny"


@dataclass(frozen=True)
class Begun:
    """An emerge that has begun, and a store of whose it is."""

    process: subprocess.Popen[bytes]
    store: Store


def started(store: Store, room: Path, tiny: Path, feature: str) -> subprocess.Popen[bytes]:
    """Start an emerge of the store's user, in a root of its own; its pid is the process's.

    An ordinary user's is in a user namespace.
    """
    seed, *_ = json.loads(store.cloche("seed", "list", "--json", check=True).stdout)
    room.mkdir()
    store.user.own(room)
    mapped = () if store.user.name == "root" else ("--user", "--map-root-user", "--map-auto")
    return subprocess.Popen(
        [*store.user.as_user(), "unshare", *mapped, "--mount", "--propagation=private",
         "bash", "-c", ROOT, "bash", seed["path"], str(room), str(tiny), f"{OFF} {feature}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process with the block."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=[("root", "observability"), ("ordinary", "-observability")])
def emerge(request: pytest.FixtureRequest, place: Path, tiny: Path) -> Iterator[Begun]:
    """One of root's with Portage's own stream; and one in a user namespace of somebody's.

    That has no stream, and its emerge.log is where its make.conf says.
    """
    who, feature = request.param
    store: Store = request.getfixturevalue(f"{who}_seeded")
    if who == "ordinary":
        (tiny / "etc/portage/make.conf").write_text('EMERGE_LOG_DIR="/var/log/elsewhere"\n')
        (tiny / "var/log/elsewhere").mkdir(parents=True)
    with ended(started(store, place / "room", tiny, feature)) as process:
        yield Begun(process, store)


def test_an_emerge_outside_of_cloche_is_told_as_a_build(emerge: Begun) -> None:
    process = emerge.process
    done = emerge.store.cloche(
        "watch", "--wait", "--pid", str(process.pid), "--progress", "json", timeout=120
    )
    said = (process.stdout.read() if process.stdout else b"").decode()
    assert done.returncode == 0, done.stderr + said
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (plan,) = [event for event in events if event["event"] == "planned"]
    assert plan["machine"].startswith("emerge --oneshot --keep-going"), said
    names = [f"app-misc/{name}-1::tiny" for name in PACKAGES]
    assert sorted(plan["packages"]) == sorted(names), said
    assert plan["edges"][names[2]] == [names[1]]
    assert plan["edges"][names[1]] == [names[0]]
    results = {event["package"]: event["how"] for event in events if event["event"] == "done"}
    assert results == {**dict.fromkeys(names[:3], "built"), names[3]: "failed"}, said
    phases = {(e["package"], e["phase"]) for e in events if e["event"] == "phase"}
    assert (names[1], "compile") in phases
    assert (names[2], "compile") in phases
    (failed,) = [e for e in events if e["event"] == "done" and e["how"] == "failed"]
    assert failed["lines"] == [
        "compiling bad", " * ERROR: app-misc/bad-1::tiny failed (compile phase):", " *   no",
    ]  # fmt: skip
    assert failed["reason"] == f"see {failed['log']}"
    logs = [event["log"] for event in events if event["event"] in ("started", "logging")]
    assert any(log and log.endswith("app-misc/two-1/temp/build.log") for log in logs)
    assert events[-1]["event"] == "finished"
    assert (events[-1]["built"], events[-1]["failed"]) == (3, 1)


WAITS = "until [[ -e /go-on ]]; do sleep 0.1; done;"


def test_roots_emerge_is_named_to_another_user_who_follows_his_own(
    root_seeded: Store, ordinary_seeded: Store, place: Path, tiny: Path
) -> None:
    """Two users with an emerge each: he may not look into root's, and both go on."""
    three = tiny / "var/db/repos/tiny/app-misc/three/three-1.ebuild"
    three.write_text(EBUILD.format(name="three", depend="", more=WAITS))
    with ended(started(root_seeded, place / "of-root", tiny, "")) as roots:
        deadline = time.monotonic() + 120
        while b"/emerge\0" not in Path(f"/proc/{roots.pid}/cmdline").read_bytes():
            assert roots.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        alone = ordinary_seeded.cloche("watch", "--pid", str(roots.pid))
        assert alone.returncode == 2
        assert f"the emerge with pid {roots.pid}: it runs as another user" in alone.stderr

        three.write_text(EBUILD.format(name="three", depend="app-misc/two", more=""))
        own = started(ordinary_seeded, place / "of-ordinary", tiny, "")
        with ended(own):
            done = ordinary_seeded.cloche("watch", "--wait", "--progress", "json", timeout=180)
            assert done.returncode == 0, done.stderr
            events = [json.loads(line) for line in done.stdout.splitlines()]
            notes = [event["text"] for event in events if event["event"] == "note"]
            hidden = f"(pid {roots.pid}) runs as another user and cannot be inspected"
            assert [note for note in notes if note.endswith(hidden)], notes
            assert (events[-1]["event"], events[-1]["built"], events[-1]["failed"]) == (
                "finished", 3, 1
            ), own.communicate()[0].decode()  # fmt: skip
        assert roots.poll() is None
        Path(f"/proc/{roots.pid}/root/go-on").touch()
        said, _ = roots.communicate(timeout=120)
        assert b">>> Installing (1 of 2) app-misc/three-1" in said


def test_without_an_emerge_there_is_nothing_to_watch(root_seeded: Store) -> None:
    done = root_seeded.cloche("watch", "--pid", str(os.getpid()))
    assert done.returncode == 2
    assert "--wait" in done.stderr
