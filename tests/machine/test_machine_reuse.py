"""What is built again after a change, what is not, and how cloche says so before and after."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import tiny
from tests.support import Store

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def first(root_seeded: Store, ground: Path) -> tiny.Build:
    """A finished build, in a store and a project that the tests of this module change."""
    made = tiny.built_once(root_seeded)
    (ground / "reuse").mkdir()
    return tiny.fresh_copy(made, made.store.copy(ground / "reuse/store"))


def why(made: tiny.Build, name: str) -> list[str]:
    """Parts of the key that changed with the last build of a package, as ``cloche why`` says."""
    told = made.store.cloche("why", name, "--json", cwd=made.project, check=True)
    (answer,) = json.loads(told.stdout)
    return [change["part"] for change in answer["builds"][-1]["changed"]]


def test_a_second_build_does_nothing(first: tiny.Build) -> None:
    assert set(tiny.plan(first).values()) == {"reuse"}
    second = tiny.build(first.store, first.project)
    assert second.packages("reused") == tiny.PACKAGES
    assert second.stages_done_again() == set()
    assert not [e for e in second.events if e["event"] in ("note", "started", "phase")]
    assert second.delivered == first.delivered


def test_a_changed_comment_builds_one_package_and_stops_there(first: tiny.Build) -> None:
    ebuild = first.project / "repo/tiny/greet/greet-1.ebuild"
    ebuild.write_text(ebuild.read_text() + "# A comment.\n")
    fates = tiny.plan(first)
    # Whether the report has to be built, which runs greet, is known when greet is there.
    assert fates.pop("tiny/greet-1") == "build"
    assert fates.pop("tiny/report-1") == "perhaps"
    assert set(fates.values()) == {"reuse"}
    second = tiny.build(first.store, first.project)
    assert second.packages("built") == {"tiny/greet-1"}
    assert second.layers == first.layers
    assert second.stages_done_again() <= {"resolve"}
    assert why(first, "tiny/greet") == ["ebuild"]
    assert second.delivered == first.delivered


def test_a_changed_flag_builds_what_has_it(first: tiny.Build) -> None:
    flags = first.project / "portage/base/package.use"
    flags.write_text("tiny/report long\n")
    fates = tiny.plan(first)
    assert fates.pop("tiny/report-1") == "build"
    assert set(fates.values()) == {"reuse"}
    second = tiny.build(first.store, first.project)
    assert second.packages("built") == {"tiny/report-1"}
    assert why(first, "tiny/report") == ["use"]
    told = first.store.cloche("why", "tiny/report", cwd=first.project, check=True)
    assert "long" in told.stdout
    assert second.layers["tiny/report-1"] != first.layers["tiny/report-1"]
    assert second.delivered["stage4.tar.zst"] != first.delivered["stage4.tar.zst"]
    # Back again: nothing is built, and it is the first result that is delivered.
    flags.unlink()
    third = tiny.build(first.store, first.project)
    assert third.packages("reused") == tiny.PACKAGES
    assert third.delivered == first.delivered


def test_a_changed_library_builds_all_that_sees_it_and_nothing_else(first: tiny.Build) -> None:
    source = first.project / "repo/tiny/leaf/files/leaf.c"
    source.write_text(source.read_text().replace("leaf of", "another leaf of"))
    fates = tiny.plan(first)
    assert fates["tiny/leaf-1"] == "build"
    second = tiny.build(first.store, first.project)
    assert second.packages("built") == {"tiny/leaf-1", "tiny/greet-1", "tiny/report-1"}
    for name in second.packages("built"):
        assert fates[name] in ("build", "perhaps")
    for name in second.packages("reused"):
        assert fates[name] == "reuse"
    assert why(first, "tiny/leaf") == ["files"]
    assert why(first, "tiny/greet") == ["layer tiny/leaf-1"]
    told = first.store.cloche("shell", "tiny", "--", "greet", cwd=first.project, check=True)
    assert told.stdout.startswith("another leaf of")


def test_a_lost_package_file_is_made_again(first: tiny.Build) -> None:
    """Also where the layer stays, and so would the package that it was made from at first."""
    ebuild = first.project / "repo/tiny/census/census-1.ebuild"
    package = first.project / "out/tiny/binpkgs/tiny/census/census-1-1.gpkg.tar"
    tiny.build(first.store, first.project)
    before = package.read_bytes()
    ebuild.write_text(ebuild.read_text() + "# A comment that the saved ebuild has, too.\n")
    second = tiny.build(first.store, first.project)
    assert second.packages("built") == {"tiny/census-1"}
    assert package.read_bytes() == before
    with package.open("rb") as file:
        blob = first.store.path / "blobs" / hashlib.file_digest(file, "sha256").hexdigest()
    blob.unlink()
    first.store.cloche("store", "verify", "--repair", cwd=first.project)
    third = tiny.build(first.store, first.project)
    assert third.layers == second.layers
    assert package.stat().st_size


def test_what_acts_at_a_merge_alone_is_gone_when_it_is_taken_back(first: tiny.Build) -> None:
    before = tiny.build(first.store, first.project)
    conf, hook = (first.project / "portage/base" / name for name in ("make.conf", "bashrc"))
    was = conf.read_text()
    conf.write_text(was + 'INSTALL_MASK="/usr/share/report"\n')
    # No function, which the package's saved environment would hold.
    hook.write_text("if [[ ${EBUILD_PHASE} == postinst ]]; then touch /var/lib/${PN}; fi\n")
    masked = tiny.build(first.store, first.project)
    shell = ("shell", "tiny", "--", "ls", "/usr/share/report", "/var/lib/leaf")
    told = first.store.cloche(*shell, cwd=first.project)
    assert "/usr/share/report" in told.stderr, told
    assert "/var/lib/leaf" in told.stdout, told
    conf.write_text(was)
    hook.unlink()
    after = tiny.build(first.store, first.project)
    assert after.layers == before.layers != masked.layers
    told = first.store.cloche(*shell, cwd=first.project)
    assert "/usr/share/report" in told.stdout, told
    assert "/var/lib/leaf" in told.stderr, told
