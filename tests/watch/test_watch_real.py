"""A real emerge in a chroot of the seed, watched from outside."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Store

pytestmark = [pytest.mark.real, pytest.mark.seed]

# A root of its own over the seed's layer, in a mount namespace of its own.
ROOT = """
set -e
mount -t tmpfs none "$2"; mkdir "$2/upper" "$2/work" "$2/root"; root="$2/root"
mount -t overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/work" none "$root"
mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"
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
def tiny(tmp_path: Path) -> Path:
    """What is laid over the seed: a repository of four packages, and the settings for it."""
    repo = tmp_path / "tiny/var/db/repos/tiny"
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
    etc = tmp_path / "tiny/etc/portage"
    etc.mkdir(parents=True)
    (etc / "make.profile").symlink_to("../../var/db/repos/tiny/profiles/default")
    (etc / "repos.conf").write_text(
        "[DEFAULT]\nmain-repo = tiny\n[tiny]\nlocation = /var/db/repos/tiny\n"
    )
    return tmp_path / "tiny"


@pytest.fixture(params=["observability", "-observability"])
def emerge(
    request: pytest.FixtureRequest, root_seeded: Store, tiny: Path, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """An emerge that has begun, with and without Portage's own stream."""
    seeds = [
        path for path in (root_seeded.path / "layers").iterdir() if (path / "var/lib/dpkg").is_dir()
    ]
    place = tmp_path / "place"
    place.mkdir()
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation=private", "bash", "-c", ROOT, "bash",
         str(seeds[0]), str(place), str(tiny), f"{OFF} {request.param}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def test_an_emerge_outside_of_cloche_is_told_as_a_build(
    emerge: subprocess.Popen[bytes], root_seeded: Store
) -> None:
    done = root_seeded.cloche(
        "watch", "--wait", "--pid", str(emerge.pid), "--progress", "json", timeout=120
    )
    said = (emerge.stdout.read() if emerge.stdout else b"").decode()
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
    logs = [event["log"] for event in events if event["event"] in ("started", "logging")]
    assert any(log and log.endswith("app-misc/two-1/temp/build.log") for log in logs)
    assert events[-1]["event"] == "finished"
    assert (events[-1]["built"], events[-1]["failed"]) == (3, 1)


def test_without_an_emerge_there_is_nothing_to_watch(root_seeded: Store) -> None:
    done = root_seeded.cloche("watch", "--pid", str(os.getpid()))
    assert done.returncode == 2
    assert "--wait" in done.stderr
