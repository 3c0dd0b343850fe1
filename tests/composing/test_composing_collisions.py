"""Two packages that own one file."""

from __future__ import annotations

import pytest
from tests.values import package

from cloche.composing.collisions import (
    IGNORED,
    Collision,
    CollisionError,
    Owned,
    collisions,
    ignored_by,
)
from cloche.composing.places import Found, Look

LINKS = {"lib": "usr/lib", "opt/store": "store-2"}


def owns(name: str, *paths: str, slot: str = "", kind: str = "obj") -> Owned:
    return Owned(name, slot or f"c/{name}:0", dict.fromkeys(paths, kind))


def root(*files: str) -> Look:
    """A root of these files, with `LINKS`."""
    above = {f[:at] for f in (*files, *LINKS) for at, sign in enumerate(f) if sign == "/"}

    def look(name: str) -> Found | None:
        if name in LINKS:
            return Found("link", LINKS[name])
        if name in above or name in LINKS.values():
            return Found("directory")
        return Found("other") if name in files else None

    return look


def found(package: Owned, *others: Owned, look: Look | None = None) -> list[Collision]:
    files = [name for other in others for name in other.kinds]
    return collisions(package, others, look or root(*files, "usr/lib/x"))


def test_packages_with_files_of_their_own_are_left_alone() -> None:
    assert found(owns("a", "usr/bin/a"), owns("b", "usr/bin/b")) == []


def test_each_owner_is_named_with_all_its_files() -> None:
    first, second = owns("a", "x/2", "x/1", "a"), owns("b", "y")
    told = found(owns("c", "x/1", "x/2", "y", "c"), first, second)
    assert told == [Collision("a", ("/x/1", "/x/2")), Collision("b", ("/y",))]


def test_a_file_that_nobody_owns_is_no_collision() -> None:
    assert found(owns("a", "x"), owns("b", "y"), look=root("x", "y")) == []


def test_another_version_of_the_slot_replaces_the_first() -> None:
    older, newer = (owns(f"a-{v}", "usr/bin/a", slot="c/a:0") for v in (1, 2))
    assert found(newer, older) == []
    assert len(found(owns("a-3", "usr/bin/a", slot="c/a:3"), older)) == 1


@pytest.mark.parametrize(
    "path", ["lib/modules/6.1/modules.dep", "usr/lib/x.pyc", "usr/lib/gentoo/dropin.cache"]
)
def test_what_portage_lets_packages_share_is_no_collision(path: str) -> None:
    ours, theirs = owns("a", path), owns("b", path)
    look = root("usr/" + path if path.startswith("lib") else path)
    assert collisions(ours, [theirs], look, IGNORED) == []
    assert len(collisions(ours, [theirs], look, ())) == 1


def test_a_directory_among_the_patterns_means_all_below_it() -> None:
    ours, theirs = owns("a", "etc/shared/x"), owns("b", "etc/shared/x")
    assert collisions(ours, [theirs], root("etc/shared/x"), ("/etc/shared",)) == []


def test_two_names_that_lead_to_one_file_are_one() -> None:
    assert found(owns("a", "lib/x"), owns("b", "usr/lib/x")) == [Collision("b", ("/lib/x",))]
    through = owns("b", "opt/store/d")
    told = found(owns("a", "opt/store-2/d"), through, look=root("opt/store-2/d"))
    assert told == [Collision("b", ("/opt/store-2/d",))]


def test_a_file_above_a_path_of_another_package_is_a_collision() -> None:
    assert found(owns("a", "opt/x/in/it"), owns("b", "opt/x")) == [Collision("b", ("/opt/x",))]


def test_a_link_where_a_directory_is_collides_with_whose_it_is() -> None:
    link = owns("a", "opt/x", kind="sym")
    there = Owned("b", "c/b:0", {"opt/x": "dir", "opt/x/in": "obj"})
    assert found(link, there) == [Collision("b", ("/opt/x",))]
    assert found(link, owns("c", "y"), look=root("opt/x/in", "y")) == [Collision("", ("/opt/x",))]


def test_the_machines_own_patterns_count() -> None:
    own = package(environment={"COLLISION_IGNORE": "/x /y"})
    assert "*.py[co]" in ignored_by([package()])
    assert ignored_by([own, package()]) == ("/x", "/y")


def test_the_error_names_both_and_the_files() -> None:
    error = CollisionError("m", (("c/a-1::r", "c/b-1::r", ("/1", "/2", "/3", "/4")),))
    assert "file collision of c/a-1::r and c/b-1::r: /1, /2, /3 and 1 more" in error.what
    assert error.detail is not None
    assert "/4" in error.detail
    assert error.status == 1
