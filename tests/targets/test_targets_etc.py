"""What counts of a target's /etc/portage, and how a level holds its packages where they are."""

from __future__ import annotations

from tests.targets.described import described, entry

from cloche.targets.etc import etc_of, pins, resolved, stands_for_nothing, use_of
from cloche.targets.levels import Level

LEAF = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins +sap", use="amd64 sap")}
VERSIONS = {"dev-libs/leaf": (("1.0", "0", "1"), ("1.1", "0", "1"), ("2.0", "0", "2"))}


def test_files_and_directories_have_a_place_beside_ours() -> None:
    target = described(
        files={"package.use": "a/b c\n", "package.mask/x/y": "a/b\n", "sets/s": "a/b"}
    )
    files = etc_of(target, Level.ABI, inject=False).files
    assert files["package.use/50-target"] == b"a/b c\n"
    assert files["package.mask/50-target/x/y"] == b"a/b\n"
    assert files["sets/s"] == b"a/b"


def test_what_this_host_decides_is_left_out() -> None:
    target = described(
        files={"repos.conf/gentoo.conf": "x", "modules": "x", "gnupg/secret": "x", "mirrors": "x"},
        make_conf={"FETCHCOMMAND": "x", "PKGDIR": "/x", "MAKEOPTS": "-j9", "USE": "moss"},
    )
    files = etc_of(target, Level.ABI, inject=True).files
    assert files == {"make.conf/50-target": b'USE="moss"\n'}


def test_code_of_a_target_needs_a_permission() -> None:
    code = ("bashrc", "env/x", "package.env", "patches/a/b/c.patch", "hooks/x", "savedconfig/a/b")
    target = described(files=dict.fromkeys((*code, "profile/profile.bashrc"), "x"))
    kept = etc_of(target, Level.ABI, inject=False)
    assert set(kept.files) == {"make.conf/50-target"}
    assert "bashrc, env, hooks, package.env, patches, profile/profile.bashrc" in kept.notes[0]
    assert len(etc_of(target, Level.ABI, inject=True).files) == len(code) + 2


def test_compiler_flags_count_from_level_2_on() -> None:
    target = described(
        make_conf={"CFLAGS": "-O2  -march=native", "USE": "x"}, native="-march=znver3"
    )
    assert etc_of(target, Level.USE, inject=False).files["make.conf/50-target"] == b'USE="x"\n'
    text = etc_of(target, Level.FLAGS, inject=False).files["make.conf/50-target"]
    assert text == b'CFLAGS="-march=znver3 -O2"\nUSE="x"\n'


def test_native_is_what_the_target_says() -> None:
    assert resolved("-O2 -march=native -pipe", "-march=skylake -mno-sgx").split() == [
        *("-march=skylake", "-mno-sgx", "-O2", "-pipe")
    ]
    assert stands_for_nothing(described(make_conf={"CFLAGS": "-mtune=native"}))
    assert not stands_for_nothing(described(make_conf={"CFLAGS": "-mtune=generic"}))


def test_a_value_that_cannot_be_quoted_is_told() -> None:
    target = described(make_conf={"A": 'a"\nB="b', "C": "`x`", "D": "$(x)", "E": "a\n  b"})
    kept = etc_of(target, Level.ABI, inject=False)
    assert kept.files["make.conf/50-target"] == b'E="a b"\n'
    assert kept.notes == ("make.conf: values that cannot be written again: A, C, D",)


def test_at_3a_other_sub_slots_are_masked() -> None:
    files = pins(described(LEAF), Level.ABI, (), VERSIONS)
    assert files == {"package.mask/90-cloche": b"=dev-libs/leaf-2.0\n"}


def test_at_3b_everything_else_is_masked() -> None:
    files = pins(described(LEAF), Level.CLOSURE, (), {})
    assert files["package.mask/90-cloche"] == b"<dev-libs/leaf-1.0:0\n>dev-libs/leaf-1.0:0\n"
    assert files["package.use/90-cloche"] == b"=dev-libs/leaf-1.0 sap -veins\n"
    assert files["package.accept_keywords/90-cloche"] == b"=dev-libs/leaf-1.0 **\n"


def test_what_the_target_replaces_is_not_held() -> None:
    for level in Level:
        assert pins(described(LEAF), level, {("dev-libs/leaf", "0")}, VERSIONS) == {}


def test_lower_levels_hold_nothing() -> None:
    assert pins(described(LEAF), Level.FLAGS, (), VERSIONS) == {}


def test_flags_outside_of_iuse_do_not_count() -> None:
    assert use_of(LEAF["dev-libs/leaf-1.0"]) == ("sap",)
