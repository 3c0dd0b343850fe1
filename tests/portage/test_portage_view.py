"""What one package's build sees of the repositories, and that its key covers all of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloche.portage.cpv import split_cpv
from cloche.portage.etc import Content, Symlink
from cloche.portage.repository import RepositoryError
from cloche.portage.view import Digests, package_view, patches_of, profile_chain, user_patches

CPV = split_cpv("app-misc/x-1-r2")


def put(path: Path, text: str = "x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def trees(tmp_path: Path) -> Mapping[str, Path]:
    main, over = tmp_path / "main", tmp_path / "over"
    put(main / "metadata/layout.conf")
    put(main / "metadata/md5-cache/app-misc/x-1")
    put(main / "metadata/install-qa-check.d/50check")
    put(main / "profiles/base/profile.bashrc")
    put(main / "profiles/default/parent", "# up\n../base\n../nowhere\n")
    put(main / "eclass/one.eclass")
    put(main / "eclass/two.eclass")
    put(main / "eclass/unused.eclass")
    put(over / "profiles/repo_name")
    put(over / "profiles/desk/parent", "main:default\nmain:default\nother:x\n:side\n")
    put(over / "profiles/side/eapi")
    put(over / "eclass/two.eclass", "other\n")
    put(over / "app-misc/x/x-1-r2.ebuild")
    put(over / "app-misc/x/x-3.ebuild")
    put(over / "app-misc/x/Manifest")
    put(over / "app-misc/x/files/a.patch")
    put(over / "app-misc/y/y-1.ebuild")
    return {"main": main, "over": over}


MASTERS = {"main": (), "over": ("main",)}


def test_a_build_sees_its_own_package_and_what_it_inherits(trees: Mapping[str, Path]) -> None:
    binds = package_view(trees, MASTERS, "over", CPV, ("two", "one"))
    top = "/var/db/repos"
    assert {target: source for source, target in binds} == {
        f"{top}/main/profiles": trees["main"] / "profiles",
        f"{top}/main/metadata/layout.conf": trees["main"] / "metadata/layout.conf",
        f"{top}/main/metadata/install-qa-check.d": trees["main"] / "metadata/install-qa-check.d",
        f"{top}/main/eclass/one.eclass": trees["main"] / "eclass/one.eclass",
        f"{top}/over/profiles": trees["over"] / "profiles",
        f"{top}/over/eclass/two.eclass": trees["over"] / "eclass/two.eclass",
        f"{top}/over/app-misc/x/x-1-r2.ebuild": trees["over"] / "app-misc/x/x-1-r2.ebuild",
        f"{top}/over/app-misc/x/files": trees["over"] / "app-misc/x/files",
        f"{top}/over/app-misc/x/Manifest": trees["over"] / "app-misc/x/Manifest",
    }


def test_what_is_missing_is_named(trees: Mapping[str, Path]) -> None:
    with pytest.raises(RepositoryError, match="no eclass “three” in over, main"):
        package_view(trees, MASTERS, "over", CPV, ("three",))
    with pytest.raises(RepositoryError, match="no ebuild for app-misc/x-2"):
        package_view(trees, MASTERS, "over", split_cpv("app-misc/x-2"), ())


def digests(trees: Mapping[str, Path], etc: Mapping[str, Content]) -> Mapping[str, str]:
    found = Digests(trees, MASTERS, etc, ("over", "desk"))
    return found.inputs("over", CPV, ("one", "two"), slot="2/3")


ETC: Mapping[str, Content] = {
    "bashrc": b"",
    "env/app-misc/x:2": b"A=1",
    "env/app-misc/y": b"A=1",
    "make.profile": Symlink("x"),
    "package.use/00-base": b"app-misc/y a",
    "patches/app-misc/x/1.patch": b"one",
    "patches/app-misc/y/1.patch": b"other",
}


def test_the_key_has_a_part_for_each_input(trees: Mapping[str, Path]) -> None:
    assert sorted(digests(trees, ETC)) == [
        "checks/main/metadata/install-qa-check.d", "ebuild", "eclass/one", "eclass/two",
        "env/app-misc/x:2", "files", "patch/001-1.patch", "profile-bashrc/00-profile.bashrc",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("over/app-misc/x/x-1-r2.ebuild", "ebuild"),
        ("main/eclass/one.eclass", "eclass/one"),
        ("over/eclass/two.eclass", "eclass/two"),
        ("over/app-misc/x/files/a.patch", "files"),
        ("over/app-misc/x/files/deep/new", "files"),
        ("main/profiles/base/profile.bashrc", "profile-bashrc/00-profile.bashrc"),
        ("main/metadata/install-qa-check.d/50check", "checks/main/metadata/install-qa-check.d"),
        ("main/eclass/two.eclass", None),
        ("main/eclass/unused.eclass", None),
        ("over/app-misc/x/x-3.ebuild", None),
        ("over/app-misc/x/Manifest", None),
        ("over/app-misc/y/y-1.ebuild", None),
    ],
)
def test_a_change_shows_in_its_own_part_alone(
    trees: Mapping[str, Path], name: str, part: str | None
) -> None:
    before = digests(trees, ETC)
    put(trees["main"].parent / name, "changed\n")
    after = digests(trees, ETC)
    assert [key for key in before if before[key] != after[key]] == ([part] if part else [])


def test_an_executable_and_a_link_in_files_count(trees: Mapping[str, Path]) -> None:
    file = trees["over"] / "app-misc/x/files/a.patch"
    seen = {digests(trees, ETC)["files"]}
    file.chmod(0o755)
    seen.add(digests(trees, ETC)["files"])
    (file.parent / "link").symlink_to("a.patch")
    seen.add(digests(trees, ETC)["files"])
    assert len(seen) == 3


def test_shell_code_of_the_configuration_counts(trees: Mapping[str, Path]) -> None:
    own = (
        "bashrc",
        "hooks/install/a",
        "profile/bashrc/b",
        "profile/profile.bashrc",
        "suidctl.conf",
    )
    etc = {**ETC, **dict.fromkeys(own, b":")}
    put(trees["over"] / "profiles/desk/bashrc/a.sh")
    put(trees["over"] / "profiles/desk/package.bashrc", "app-misc/x a.sh\n")
    new = digests(trees, etc).keys() - digests(trees, ETC).keys()
    assert new == set(own)
    assert {"profile-bashrc/03-bashrc/a.sh", "profile-bashrc/03-package.bashrc"} <= (
        digests(trees, ETC).keys()
    )


def test_what_savedconfig_eclass_would_read_counts(trees: Mapping[str, Path]) -> None:
    own = ("savedconfig/app-misc/x", "savedconfig/x86_64/app-misc/x-1/file")
    others = ("savedconfig/app-misc/xy", "savedconfig/app-misc", "savedconfig/dev-libs/x")
    etc = {**ETC, **dict.fromkeys((*own, *others), b"A=1\n")}
    assert digests(trees, etc).keys() - digests(trees, ETC).keys() == set(own)


def test_the_whole_configuration_counts_where_it_is_named(trees: Mapping[str, Path]) -> None:
    cpv, other = split_cpv("app-misc/x-1-r2"), {**ETC, "sets/x.h": b"#define X"}

    def whole(etc: Mapping[str, Content], **variables: str) -> str | None:
        found = Digests(trees, MASTERS, etc, ("over", "desk"))
        return found.inputs("over", cpv, (), "2", variables).get("etc/portage")

    assert whole(ETC, CFLAGS="-O2") is None
    named = "-include /etc/portage/sets/x.h"
    assert whole(ETC, CFLAGS=named)
    assert whole(ETC, CFLAGS=named) != whole(other, CFLAGS=named)
    assert whole({**ETC, "bashrc": b". ${PORTAGE_CONFIGROOT}etc/portage/y"})


def test_user_patches_are_chosen_as_portage_chooses_them() -> None:
    place = "patches/app-misc"
    etc: dict[str, Content] = {
        f"{place}/x/b.patch": b"least",
        f"{place}/x/gone.patch": b"there",
        f"{place}/x/deep/no.patch": b"",
        f"{place}/x/README": b"",
        f"{place}/x:2/B.diff": b"slot",
        f"{place}/x:1/c.patch": b"other slot",
        f"{place}/x-1/b.patch": b"more",
        f"{place}/x-1-r2/b.patch": b"most",
        f"{place}/x-1-r2:2/gone.patch": b"",
        f"{place}/x-1-r1/d.patch": b"other revision",
    }
    assert user_patches(etc, CPV, "2/5") == (("B.diff", b"slot"), ("b.patch", b"most"))
    of_x = ("b.patch", "gone.patch", "deep/no.patch")
    assert {f"{place}/x/{name}" for name in of_x} < {*patches_of(etc, CPV)}
    assert f"{place}/x:1/c.patch" in patches_of(etc, CPV)  # whatever its slot
    assert not {f"{place}/x-1-r1/d.patch"} & {*patches_of(etc, CPV)}
    r0 = {f"{place}/x-1-r0/a.patch": b"zero"}
    assert user_patches(r0, split_cpv("app-misc/x-1"), "0") == (("a.patch", b"zero"),)


def test_a_profile_chain_goes_over_repositories(trees: Mapping[str, Path]) -> None:
    main, over = trees["main"] / "profiles", trees["over"] / "profiles"
    assert profile_chain(trees, "over", "desk") == (
        main / "base", main / "default", over / "side", over / "desk",
    )  # fmt: skip


def test_a_profile_cannot_reach_files_of_the_host(trees: Mapping[str, Path]) -> None:
    outside = trees["main"].parent / "outside"
    put(outside / "profile.bashrc")
    put(trees["main"] / "profiles/base/parent", f"{outside}\n../../../outside\n")
    assert outside not in profile_chain(trees, "main", "default")


def test_a_circle_of_profiles_ends(trees: Mapping[str, Path]) -> None:
    put(trees["main"] / "profiles/base/parent", "../default\n")
    assert len(profile_chain(trees, "main", "default")) == 2
