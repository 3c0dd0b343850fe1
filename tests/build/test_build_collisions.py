"""Two packages that own one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.build.collisions import Owned, canonical, collisions, ignored_by, root_links
from cloche.build.errors import CollisionError
from cloche.layers import Layer
from cloche.plan.depgraph import Package


def owns(name: str, *paths: str, slot: str = "") -> Owned:
    return Owned(name, slot or f"c/{name}:0", frozenset(paths))


def test_packages_with_files_of_their_own_are_left_alone() -> None:
    assert collisions([owns("a", "/usr/bin/a"), owns("b", "/usr/bin/b")]) == []


def test_each_pair_is_named_with_all_its_files() -> None:
    first, second = owns("a", "/x/2", "/x/1", "/a"), owns("b", "/x/1", "/x/2", "/b")
    third = owns("c", "/b")
    found = [(c.first, c.second, c.paths) for c in collisions([first, second, third])]
    assert found == [("a", "b", ("/x/1", "/x/2")), ("b", "c", ("/b",))]


def test_another_version_of_the_slot_replaces_the_first() -> None:
    older, newer = (owns(f"a-{v}", "/usr/bin/a", slot="c/a:0") for v in (1, 2))
    assert collisions([older, newer]) == []
    other = owns("a-3", "/usr/bin/a", slot="c/a:3")
    assert len(collisions([older, other])) == 1


@pytest.mark.parametrize(
    "path", ["/lib/modules/6.1/modules.dep", "/usr/lib/x.pyc", "/usr/lib/gentoo/dropin.cache"]
)
def test_what_portage_lets_packages_share_is_no_collision(path: str) -> None:
    assert collisions([owns("a", path), owns("b", path)]) == []
    assert len(collisions([owns("a", path), owns("b", path)], ())) == 1


def test_a_directory_among_the_patterns_means_all_below_it() -> None:
    both = [owns("a", "/etc/shared/x"), owns("b", "/etc/shared/x")]
    assert collisions(both, ("/etc/shared",)) == []


def test_a_merged_usr_has_one_spelling(tmp_path: Path) -> None:
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "etc").mkdir()
    links = root_links([Layer("x", tmp_path, "seed", "seed", 0, 0)])
    assert canonical("/lib/a/b", links) == canonical("/usr/lib/a/b", links) == "/usr/lib/a/b"
    assert canonical("/etc/a", links) == "/etc/a"
    assert canonical("/lib", links) == "/lib"


def test_the_machines_own_patterns_count() -> None:
    def package(**environment: str) -> Package:
        return Package(
            id="c/a-1::r", cpv="c/a-1", category="c", pn="a", pf="a-1", version="1", slot="0",
            sub_slot="0", repo="r", eapi="8", ebuild="", environment=environment,
        )  # fmt: skip

    assert "*.py[co]" in ignored_by([package()])
    assert ignored_by([package(COLLISION_IGNORE="/x /y"), package()]) == ("/x", "/y")


def test_the_error_names_both_and_the_files() -> None:
    error = CollisionError("m", (("c/a-1::r", "c/b-1::r", ("/1", "/2", "/3", "/4")),))
    assert "file collision of c/a-1::r and c/b-1::r: /1, /2, /3 and 1 more" in error.what
    assert error.detail is not None
    assert "/4" in error.detail
    assert error.status == 1
