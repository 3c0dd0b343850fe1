"""Updates are shown before they are taken; local edits stay; what is not wanted any more goes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tests.mirrors import Signer, signer
from tests.overlays.conftest import System
from tests.overlays.published import (
    LEAF,
    MAIN,
    OVERLAY,
    Upstream,
    ebuild,
    metadata,
    publish,
)

pytestmark = pytest.mark.real

EBUILD = "app-misc/leaf/leaf-1.ebuild"
NEWER = OVERLAY[EBUILD].replace("dev-libs/twig", "dev-libs/twig dev-libs/thorn")
UPDATE = {
    EBUILD: NEWER,
    "app-misc/leaf/leaf-9999.ebuild": None,
    "dev-libs/thorn/thorn-1.ebuild": ebuild("thorn"),
    "dev-libs/thorn/metadata.xml": metadata(),
    "dev-libs/root/root-1.ebuild": None,
    "dev-libs/root/metadata.xml": None,
    "dev-libs/twig/twig-2.ebuild": ebuild("twig"),
}


def state(system: System) -> dict[str, dict[str, object]]:
    return {row["overlay"]: row for row in json.loads(system.done("list", "--json"))}


def test_an_update_is_shown_before_it_is_taken(system: System, upstream: Upstream) -> None:
    system.done("add", LEAF)
    before = system.files()
    commit = upstream.write(UPDATE)
    said = system.done("update", "--dry-run")
    assert system.files() == before
    assert '+RDEPEND="dev-libs/twig dev-libs/thorn acct-user/leaf dev-libs/there"' in said
    assert "gone: thicket/app-misc/leaf/leaf-9999.ebuild" in said
    assert "+++ b/dev-libs/thorn/thorn-1.ebuild\n" in said
    assert "new: dev-libs/thorn, needed by app-misc/leaf-1" in said
    assert "gone: dev-libs/root" in said
    assert "nobody can be asked" in system.refused("update")[1]
    system.done("update", "--yes")
    row = state(system)["thicket"]
    assert row["commit"] == commit
    assert row["packages"] == {
        "acct-group/leaf": "acct-user/leaf-0",
        "acct-user/leaf": "app-misc/leaf-1",
        "app-misc/leaf": "",
        "dev-libs/thorn": "app-misc/leaf-1",
        "dev-libs/twig": "app-misc/leaf-1",
    }
    assert not (system.top / "thicket/eclass/live.eclass").exists()
    assert not (system.top / "thicket/dev-libs/root").exists()


def test_local_edits_are_kept_or_the_update_is_refused(system: System, upstream: Upstream) -> None:
    system.done("add", LEAF)
    repository = system.top / "thicket"
    mine = (repository / EBUILD).read_text().replace("dev-libs/there", "dev-libs/there:0")
    (repository / EBUILD).write_text(mine)
    (repository / "app-misc/leaf/files/mine.patch").write_text("--- a\n")
    (repository / "dev-libs/root/metadata.xml").unlink()
    upstream.write({"app-misc/leaf/files/leaf.txt": "red\n"})
    said = system.done("update", "--yes")
    for edit in (f"{EBUILD} (changed)", "mine.patch (added)", "root/metadata.xml (removed)"):
        assert edit in said
    assert (repository / EBUILD).read_text() == mine
    assert (repository / "app-misc/leaf/files/mine.patch").exists()
    assert not (repository / "dev-libs/root/metadata.xml").exists()
    assert (repository / "app-misc/leaf/files/leaf.txt").read_text() == "red\n"
    assert "there:0" in (repository / "metadata/md5-cache/app-misc/leaf-1").read_text()
    told = system.overlay("check").stdout
    assert f"thicket: local edit: {EBUILD} (changed)" in told
    upstream.write({EBUILD: NEWER})
    status, line = system.refused("update", "--yes")
    assert (status, f"local edits would be lost: changed: {EBUILD};" in line) == (2, True)
    assert "local edits would be lost" in system.refused("rm", LEAF)[1]


def test_what_is_removed_takes_along_what_only_it_needed(system: System) -> None:
    system.done("add", LEAF, "dev-libs/twig::thicket")
    system.done("rm", LEAF)
    packages = state(system)["thicket"]["packages"]
    assert packages == {"dev-libs/root": "dev-libs/twig-2", "dev-libs/twig": ""}
    assert not (system.top / "thicket/eclass").exists()
    _, line = system.refused("rm", "dev-libs/twg::thicket")
    assert "did you mean “dev-libs/twig::thicket”" in line
    system.done("rm", "dev-libs/twig::thicket")
    assert state(system) == {}
    assert list(system.top.iterdir()) == []
    assert not (system.root / "etc/portage/repos.conf/overlayman.conf").exists()


def test_dependencies_may_come_from_another_overlay(
    system: System, upstream: Upstream, tmp_path: Path
) -> None:
    files = {
        "profiles/repo_name": "copse\n",
        "profiles/categories": "sys-apps\n",
        "metadata/layout.conf": "masters = main\nthin-manifests = true\n",
        "sys-apps/lacking/lacking-3.ebuild": ebuild("lacking"),
        "sys-apps/other/other-3.ebuild": ebuild("other"),
    }
    copse = publish(tmp_path / "copse", files)
    system.list_overlays(upstream, copse)
    # The list may be a directory of files that somebody writes.
    lists = system.root / "etc/overlayman/packages"
    lists.mkdir(parents=True)
    (lists / "mine").write_text(f"# mine\n{LEAF} deps=copse\n")
    system.done("update", "--yes")
    expected = {"sys-apps/lacking": "dev-libs/root-1::thicket"}
    assert state(system)["copse"]["packages"] == expected
    assert state(system)["thicket"]["lacking"] == {}
    assert "nothing is wrong" in system.done("check")
    before = system.files()
    assert "nothing changes" in system.done("update", "--yes")
    assert system.files() == before
    assert state(system)["copse"]["packages"] == expected
    # One that fails does not stop the other, nor does that which is named move the other.
    newer = upstream.write({"profiles/eapi": "7\n"})
    copse.write({"profiles/repo_name": "other\n"})
    ended = system.overlay("update", "--yes")
    assert ended.returncode == 1
    assert "copse: left as it is: overlay copse: the repository calls itself" in ended.stderr
    assert state(system)["thicket"]["commit"] == newer
    system.done("update", "--yes", "thicket")
    assert state(system)["copse"]["packages"] == expected
    assert "copse: nothing of it is wanted" in system.done("rm", LEAF)
    assert state(system) == {}


@pytest.fixture(scope="module")
def key() -> object:
    with signer() as made:
        yield made


def test_commits_are_signed_where_that_is_asked_for(
    system: System, upstream: Upstream, key: Signer, tmp_path: Path
) -> None:
    keyring = key.keyring(tmp_path / "keys.asc")
    status, line = system.refused("add", LEAF, upstream.address, "--keyring", keyring)
    assert (status, "not signed" in line) == (2, True)
    program = tmp_path / "gpg"
    program.write_text(f'#!/bin/sh\nexec gpg --homedir {key.home} --batch "$@"\n')
    program.chmod(0o755)
    upstream.git("config", "gpg.program", str(program))
    upstream.git("config", "user.signingKey", key.fingerprint)
    signed = upstream.commit("--gpg-sign")
    system.done("add", LEAF, upstream.address, "--keyring", keyring)
    assert state(system)["thicket"]["commit"] == signed
    status, line = system.refused("add", LEAF, "--branch", "other")
    assert (status, "with another branch or none" in line) == (2, True)
    # The line that says so goes, and the other one says it from then on.
    system.done("add", "dev-libs/twig::thicket")
    system.done("rm", LEAF)
    upstream.write({"profiles/eapi": "7\n"})
    assert "not signed" in system.refused("update", "--yes")[1]


def test_a_package_that_the_overlay_removed_is_told(system: System, upstream: Upstream) -> None:
    system.done("add", "dev-libs/twig::thicket")
    upstream.write({name: None for name in OVERLAY if name.startswith("dev-libs/twig/")})
    status, line = system.refused("update", "--yes")
    assert (status, "it has no package “dev-libs/twig”" in line) == (2, True)


def test_a_manifest_that_does_not_fit_is_refused(system: System, upstream: Upstream) -> None:
    text = "EBUILD twig-2.ebuild 3 BLAKE2B 00 SHA512 00\n"
    upstream.write({"dev-libs/twig/Manifest": text})
    status, line = system.refused("add", LEAF)
    assert (status, "twig-2.ebuild does not match its Manifest" in line) == (1, True)


def test_a_whole_overlay_of_the_same_name_is_left_alone(system: System) -> None:
    conf = system.root / "etc/portage/repos.conf/thicket.conf"
    conf.write_text("[thicket]\nlocation = /var/db/repos/thicket\n")
    status, line = system.refused("add", LEAF)
    assert (status, "configured already" in line) == (2, True)


def test_eclass_overrides_of_the_system_hold(system: System) -> None:
    conf = system.root / "etc/portage/repos.conf/thicket.conf"
    conf.write_text("[thicket]\nlocation = /var/lib/overlayman/thicket\neclass-overrides = main\n")
    system.done("add", LEAF)
    there = {path.stem for path in (system.top / "thicket/eclass").iterdir()}
    assert there == {"bark", "live", "thicket"}  # "shadowed" is the main one's
    (entry,) = (system.top / "thicket/metadata/md5-cache").glob("*/leaf-9999")
    theirs = hashlib.md5(MAIN["eclass/shadowed.eclass"].encode()).hexdigest()
    assert f"shadowed\t{theirs}" in entry.read_text()


def test_files_that_no_repository_has_are_refused(system: System, upstream: Upstream) -> None:
    files = upstream.path / "app-misc/leaf/files"
    for name, make, words in (
        ("out", lambda path: path.symlink_to("../../../../../etc/passwd"), "is a link to"),
        ("a\x1b[2Jb", Path.touch, "is not a name"),
        ("huge", lambda path: path.write_bytes(b"0" * (9 << 20)), "is larger than 8 MiB"),
    ):
        make(files / name)
        upstream.commit()
        status, line = system.refused("add", LEAF)
        assert (status, words in line) == (2, True), line
        assert "\x1b" not in line
        (files / name).unlink()


HOST = """
from pathlib import Path
from cloche.broker import open_engine
from cloche.overlays import portage_root
from cloche.overlays.asking import Portage
from cloche.session.opening import open_store
with open_store(Path({store!r})) as store, open_engine() as engine:
    root = portage_root.find(store, None, Path({host!r}))
    portage = Portage(store, engine, root, {{}}, "main")
    (ebuild,) = portage.ebuilds("main", Path({tree!r}), ["dev-libs/there"])
    print(root.name, root.whole, ebuild.cpv, ebuild.error, *portage.cache("main", Path({tree!r})))
"""


def test_a_gentoo_hosts_own_portage_reads_ebuilds_and_its_other_files_are_hidden(
    system: System, tmp_path: Path
) -> None:
    tree = system.root / "var/db/repos/main"
    with (tree / "dev-libs/there/there-1.ebuild").open("a") as text:
        text.write('[[ ! -e /etc/debian_version && ! -e /var/lib/dpkg ]] || die "seen"\n')
    (tree / "metadata/md5-cache").mkdir()
    host = system.store.seed_layer
    names = {"store": system.store.path, "host": host, "tree": tree}
    program = HOST.format(**{name: str(path) for name, path in names.items()})
    done = system.store.user.run_python(program, tmp_path)
    wanted = "this host's Portage False dev-libs/there-1  metadata/md5-cache/dev-libs/there-1\n"
    assert done.stdout == wanted, done.stderr
