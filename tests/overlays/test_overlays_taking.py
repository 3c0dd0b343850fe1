"""One package out of an overlay becomes a repository that is whole, and holds nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.overlays.conftest import System
from tests.overlays.published import (
    BROUGHT,
    LEAF,
    MAIN,
    OVERLAY,
    Upstream,
    ebuild,
    publish,
    write_tree,
)
from tests.support import WORKBENCH, Store, project

from cloche.overlays.source import Source
from cloche.trees.methods import SyncContext

pytestmark = pytest.mark.real

ECLASSES = {"bark", "live", "shadowed", "thicket"}  # not "never", nor those of the main repository


def pkgcheck(place: Path, repository: Path) -> set[str]:
    """What pkgcheck finds in a copy of a repository, whose master is "main"."""
    shutil.copytree(repository, place / "thicket", ignore=shutil.ignore_patterns(".git"))
    write_tree(place / "main", MAIN)
    (place / "etc").mkdir()
    (place / "etc/make.conf").touch()
    (place / "etc/make.profile").symlink_to(place / "main/profiles/default")
    sections = "".join(f"[{name}]\nlocation = {place / name}\n" for name in ("main", "thicket"))
    (place / "etc/repos.conf").write_text(f"[DEFAULT]\nmain-repo = main\n{sections}")
    program = Path(sys.executable).parent / "pkgcheck"
    done = subprocess.run(
        [program, "--config", place / "etc", "scan", "--reporter=JsonStream", "-r", "thicket"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {json.dumps(json.loads(line), sort_keys=True) for line in done.stdout.splitlines()}


def test_a_package_comes_with_all_that_it_needs_and_with_nothing_else(
    taken: tuple[System, Upstream, str],
) -> None:
    system, upstream, said = taken
    repository = system.top / "thicket"
    packages = {str(p.parent.relative_to(repository)) for p in repository.glob("*/*/*.ebuild")}
    assert packages == set(BROUGHT)
    assert {p.stem for p in (repository / "eclass").iterdir()} == ECLASSES
    assert [p.name for p in (repository / "licenses").iterdir()] == ["thicket-licence"]
    assert "no repository has sys-apps/lacking, needed by dev-libs/root-1" in said
    profiles = "".join(p.read_text() for p in (repository / "profiles").rglob("*") if p.is_file())
    assert "other" not in profiles
    assert "unused" not in profiles
    assert "eats files" in profiles
    caches = {str(p.relative_to(repository / "metadata/md5-cache")) for p in
              (repository / "metadata/md5-cache").glob("*/*")}  # fmt: skip
    ebuilds = repository.glob("*/*/*.ebuild")
    assert caches == {f"{p.parent.parent.name}/{p.stem}" for p in ebuilds}
    made = json.loads((repository / "metadata/overlay.json").read_text())
    assert made["commit"] == upstream.git("rev-parse", "HEAD")
    conf = (system.root / "etc/portage/repos.conf/overlayman.conf").read_text()
    assert "[thicket]\nlocation = /var/lib/overlayman/thicket\n" in conf
    assert system.overlay("check").stdout.splitlines() == [
        "thicket: no repository has sys-apps/lacking, needed by dev-libs/root-1"
    ]
    # Only what was needed has been fetched.
    context = SyncContext(system.store.path / "downloads")
    bare = Source("thicket", upstream.address, "", context).bare
    unneeded = upstream.git("rev-parse", "HEAD:licenses/other-licence")
    missing = ["git", "--git-dir", bare, "rev-list", "--objects", "--missing=print", "--all"]
    assert f"?{unneeded}" in subprocess.run(missing, capture_output=True, text=True).stdout


def test_pkgcheck_finds_nothing_that_the_overlay_does_not_have(
    taken: tuple[System, Upstream, str], tmp_path: Path
) -> None:
    system, upstream, _ = taken
    found = pkgcheck(tmp_path / "mine", system.top / "thicket")
    of_theirs = pkgcheck(tmp_path / "theirs", upstream.path)
    assert any("leaf" in line for line in found)  # it has looked
    assert found <= of_theirs


def test_the_repository_can_be_used_at_once(store: Store, upstream: Upstream) -> None:
    where = project(store, WORKBENCH)
    write_tree(where / "main", MAIN)
    with (where / "cloche.toml").open("a") as text:
        text.write('\n[repos.main]\npath = "main"\n')
    alone = OVERLAY["app-misc/leaf/leaf-1.ebuild"].replace("acct-user/leaf dev-libs/there", "")
    upstream.write({"app-misc/leaf/leaf-1.ebuild": alone.replace("dev-libs/twig", "")})
    store.cloche("overlay", "add", LEAF, upstream.address, cwd=where, check=True)
    assert '[repos.thicket]\npath = "overlays/thicket"' in (where / "cloche.toml").read_text()
    machine = (
        'seed = "debian"\nprofile = "workbench:default"\npackages = ["app-misc/leaf::thicket"]\n'
        'portage = ["leaf"]\n'
    )
    (where / "machines/leaf.toml").write_text(machine)
    (where / "portage/leaf").mkdir(parents=True)
    (where / "portage/leaf/package.accept_keywords").write_text("*/* ~amd64\n")
    (where / "portage/leaf/package.license").write_text("*/* *\n")
    store.cloche("build", "leaf", cwd=where, check=True)
    shown = store.cloche("shell", "leaf", "--", "cat", "/usr/share/leaf/leaf.txt", cwd=where)
    assert shown.stdout == OVERLAY["app-misc/leaf/files/leaf.txt"]


def test_an_ordinary_user_takes_a_package_in_a_project(ordinary_seeded: Store) -> None:
    where = project(ordinary_seeded, WORKBENCH)
    write_tree(where / "main", MAIN)
    with (where / "cloche.toml").open("a") as text:
        text.write('\n[repos.main]\npath = "main"\n')
    upstream = publish(where / "upstream")
    ordinary_seeded.user.own(where)
    words = ("overlay", "add", LEAF, upstream.path)
    done = ordinary_seeded.cloche(*words, cwd=where, check=True)
    assert done.stdout == f"{where / 'overlays/thicket'}\n"
    assert (where / "overlays/thicket").stat().st_uid == where.stat().st_uid
    told = ordinary_seeded.cloche("overlay", "check", cwd=where)
    assert told.stdout == "thicket: no repository has sys-apps/lacking, needed by dev-libs/root-1\n"


HOSTILE = """
for file in {marker} /var/db/repos/thicket/{{eclass/planted.eclass,metadata/md5-cache/planted}}; do
	echo here > "${{file}}"
done
echo here > /dev/tcp/127.0.0.1/{port} && RDEPEND="app-misc/connected"
true
"""


def test_an_ebuild_that_is_sourced_reaches_nothing(
    system: System, upstream: Upstream, tmp_path: Path
) -> None:
    import socket

    marker = tmp_path / "marker"
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = HOSTILE.format(marker=marker, port=server.getsockname()[1])
        files = {
            "app-misc/evil/evil-1.ebuild": ebuild("evil", body),
            "app-misc/evil/metadata.xml": OVERLAY["dev-libs/root/metadata.xml"],
        }
        upstream.write(files)
        said = system.done("add", "app-misc/evil::thicket")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "connected" not in said
    assert not marker.exists()
    repository = system.top / "thicket"
    assert not (repository / "eclass").exists()
    entries = [path.name for path in (repository / "metadata/md5-cache").rglob("*")]
    assert sorted(entries) == ["app-misc", "evil-1"]


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        (
            {"app-misc/leaf/leaf-1.ebuild": ebuild("leaf", inherit="lost")},
            1,
            "app-misc/leaf-1 cannot be sourced: lost.eclass could not be found by inherit()",
        ),
        (
            {
                "eclass/thicket.eclass": "inherit bark\n",
                "eclass/bark.eclass": "inherit thicket\n",
            },
            1,
            "eclasses inherit each other: bark → thicket → bark",
        ),
        (
            {"app-misc/leaf/leaf-1.ebuild": "EAPI=8\nif\n"},
            1,
            "app-misc/leaf-1 cannot be sourced: line",
        ),
        ({"profiles/repo_name": "copse\n"}, 2, "the repository calls itself “copse”"),
        ({"metadata/layout.conf": "masters = lost\n"}, 2, "its master “lost” is not configured"),
    ],
    ids=["eclass", "circle", "syntax", "name", "master"],
)
def test_what_is_broken_is_told_in_one_line(
    system: System, upstream: Upstream, files: dict[str, str], status: int, words: str
) -> None:
    upstream.write(files)
    ended = system.refused("add", LEAF)
    assert ended[0] == status
    assert words in ended[1]


def test_what_is_not_there_is_told_with_the_nearest_name(system: System) -> None:
    status, line = system.refused("add", "app-misc/laef::thicket")
    assert (status, "did you mean “app-misc/leaf”?" in line) == (2, True)
    status, line = system.refused("add", "app-misc/leaf::thickets")
    assert (status, "did you mean “thicket”?" in line) == (2, True)


def test_why_a_file_is_there(taken: tuple[System, Upstream, str]) -> None:
    system, _, _ = taken
    why = "thicket: eclass/bark.eclass: app-misc/leaf-1\n"
    assert system.done("why", "eclass/bark.eclass") == why
    place = system.top / "thicket/licenses/thicket-licence"
    assert system.done("why", place).endswith("app-misc/leaf-1\n")
    beside = system.top / "thicket/profiles/../eclass/bark.eclass"
    assert system.done("why", beside) == why
    status, line = system.refused("why", "eclass/brak.eclass")
    assert (status, "did you mean “eclass/bark.eclass”" in line) == (2, True)


def test_olm_is_the_same(system: System) -> None:
    code = "import sys; from cloche.cli.__main__ import olm; sys.argv[0] = 'olm'; olm()"
    user = system.store.user
    words = [user.python, "-B", "-c", code, "--store", system.store.path]
    done = subprocess.run(
        [*words, "list", "--root", system.root, "--json"],
        env=user.environment(None), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []
    helped = subprocess.run(
        [*words, "--help"], env=user.environment(None), capture_output=True, text=True, check=True
    )
    assert "Usage: olm" in helped.stdout
    assert "olm add app-misc/foo::guru" in helped.stdout
    assert "cloche overlay" not in helped.stdout
