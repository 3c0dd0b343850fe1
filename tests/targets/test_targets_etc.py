"""What counts of a target's /etc/portage, and how a level holds its packages where they are."""

from __future__ import annotations

import pytest
from tests.targets.described import described, entry

from cloche.targets.etc import code_of, etc_of, pins, resolved, stands_for_nothing, use_of
from cloche.targets.levels import Level, Seen

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


def test_of_a_users_profile_only_words_count() -> None:
    defaults = 'USE="moss"\nCC="sh -c x"\nEXTRA_ECONF="--x"\nCFLAGS="-O3"\n'
    files = {
        "profile/package.use": "a/b c\n",
        "profile/parent": "/root\n",
        "profile/new-in-portage": "x",
        "profile/make.defaults": defaults,
    }
    taken = etc_of(described(files=files), Level.ABI, inject=False)
    assert set(taken.files) == {
        *("make.conf/50-target", "profile/package.use", "profile/make.defaults"),
    }
    assert taken.files["profile/make.defaults"] == b'CFLAGS="-O3"\nUSE="moss"\n'
    for name in ("CC in profile/make.defaults", "profile/parent", "profile/new-in-portage"):
        assert name in taken.notes[0]
    whole = etc_of(described(files=files), Level.ABI, inject=True).files
    assert whole["profile/make.defaults"] == defaults.encode()


def test_a_digest_tells_targets_with_other_code_apart() -> None:
    plain = described(make_conf={"CFLAGS": "-O2"}, files={"package.use": "a/b c\n"})
    assert code_of(plain).all == ""
    assert (
        code_of(described(files={"profile/make.defaults": 'USE="a"\nMAKEOPTS="-j3"\n'})).all == ""
    )
    others = (
        described(files={"bashrc": ":"}),
        described(files={"patches/a/b/c.patch": "x"}),
        described(make_conf={"CC": "sh -c x"}),
        described(files={"profile/make.defaults": 'CC="sh -c x"\n'}),
        described(files={"profile/make.defaults": "source /x\n"}),
        described(files={"profile/parent": "x"}),
    )
    assert len({code_of(each).all for each in (plain, *others)}) == len(others) + 1


def test_words_of_portages_reader_are_no_variables() -> None:
    target = described(make_conf={"source": "/etc/passwd", "export": "x", "USE": "x"})
    assert etc_of(target, Level.ABI, inject=True).files == {"make.conf/50-target": b'USE="x"\n'}


def test_compiler_flags_count_from_level_2_on() -> None:
    target = described(
        make_conf={"CFLAGS": "-O2  -march=native", "USE": "x"}, native="-march=znver3"
    )
    assert etc_of(target, Level.USE, inject=False).files["make.conf/50-target"] == b'USE="x"\n'
    text = etc_of(target, Level.FLAGS, inject=False).files["make.conf/50-target"]
    assert text == b'CFLAGS="-march=znver3 -O2"\nUSE="x"\n'


def test_flags_of_two_words_are_one() -> None:
    conf = {"CFLAGS": "-O2 --param l1-cache-size=32", "RUSTFLAGS": "-C target-cpu=native -C lto"}
    target = described(make_conf=conf, native="-march=skylake --param l2-cache-size=256")
    text = etc_of(target, Level.ABI, inject=False).files["make.conf/50-target"].decode()
    assert 'CFLAGS="-O2 --param=l1-cache-size=32"' in text
    assert 'RUSTFLAGS="-Ctarget-cpu=skylake -Clto"' in text
    assert not stands_for_nothing(target)
    assert stands_for_nothing(described(make_conf={"RUSTFLAGS": "-Ctarget-cpu=native"}))
    native = resolved("-O2 -march=native", "-march=skylake --param l2-cache-size=256")
    assert native == "-march=skylake --param=l2-cache-size=256 -O2"


def test_what_use_expand_names_is_not_the_targets_to_say() -> None:
    conf = {"USE_EXPAND": "MINE", "MINE": "a", "L10N": "de"}
    taken = etc_of(described(make_conf=conf), Level.ABI, inject=False, expand=["MINE", "L10N"])
    assert taken.files["make.conf/50-target"] == b'L10N="de"\n'
    files = {"env/x": 'USE_EXPAND="-L10N"\n'}
    target = described(make_conf=conf, files=files)
    taken = etc_of(target, Level.ABI, inject=False, expand=["MINE", "L10N"])
    assert taken.files["make.conf/50-target"] == b""


def test_what_may_be_of_use_expand_is_not_called_code() -> None:
    target = described(make_conf={"VIDEO_CARDS": "intel", "EXTRA_ECONF": "--with=$(x)"})
    (note,) = etc_of(target, Level.ABI, inject=False).notes
    assert "VIDEO_CARDS" not in note
    assert "EXTRA_ECONF in make.conf" in note


def test_native_is_what_the_target_says() -> None:
    assert resolved("-O2 -march=native -pipe", "-march=skylake -mno-sgx").split() == [
        *("-march=skylake", "-mno-sgx", "-O2", "-pipe")
    ]
    assert stands_for_nothing(described(make_conf={"CFLAGS": "-mtune=native"}))
    assert not stands_for_nothing(described(make_conf={"CFLAGS": "-mtune=generic"}))


def test_a_value_that_cannot_be_quoted_is_told() -> None:
    values = {"A": 'a"\nB="b', "C": "`x`", "D": "$(x)", "USE": "a\n  b"}
    for inject in (False, True):
        kept = etc_of(described(make_conf=values), Level.ABI, inject=inject)
        assert kept.files["make.conf/50-target"] == b'USE="a b"\n'
        assert "A in make.conf, C in make.conf, D in make.conf" in kept.notes[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CC", "sh -c x"),
        ("CFLAGS", "-O2 -wrapper sh,-c,x"),
        ("CFLAGS", "-fplugin=/etc/portage/sets/x"),
        ("LDFLAGS", "-Wl,-plugin,/etc/portage/sets/x"),
        ("CXXFLAGS", "@/etc/portage/sets/x"),
        ("LDFLAGS", "-B/etc/portage"),
        ("CFLAGS", "-O1 --specs=/etc/portage/sets/s"),
        ("CFLAGS", "--specs=x"),
        ("CFLAGS", "-include/etc/portage/sets/x.h"),
        ("CFLAGS", "-includex.h"),
        ("CFLAGS", "-I/etc/portage/sets"),
        ("CFLAGS", "--config=x"),
        ("CFLAGS", "-gcc-toolchain=x"),
        ("CFLAGS", "-fuse-ld=x"),
        ("CFLAGS", "-fprofile-use=x"),
        ("CFLAGS", "-mllvm -load=x"),
        ("CFLAGS", "-Dprintf=puts"),
        ("CFLAGS", "--ld-path=x"),
        ("LDFLAGS", "-Wl,-T,x"),
        ("LDFLAGS", "-Wl,--dynamic-linker,x"),
        ("RUSTFLAGS", "-Clinker=python3"),
        ("RUSTFLAGS", "-C linker=python3"),
        ("GOFLAGS", "-toolexec=x"),
        ("GOFLAGS", "-overlay=x"),
        ("PORTAGE_BASHRC", "/etc/portage/sets/x"),
        ("PORTAGE_COMPRESS", "reboot"),
        ("LD_PRELOAD", "x.so"),
        ("EXTRA_ECONF", "--with-x"),
        ("USE", "a;b"),
    ],
)
def test_variables_that_may_be_code_need_the_permission(name: str, value: str) -> None:
    target = described(make_conf={name: value})
    taken = etc_of(target, Level.ABI, inject=False, expand=())
    assert taken.files["make.conf/50-target"] == b""
    assert f"{name} in make.conf" in taken.notes[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CC", "x86_64-pc-linux-gnu-gcc-13"),
        ("CFLAGS", "-O2 -pipe -march=x86-64-v3 -fstack-clash-protection"),
        ("CFLAGS", "-O3 -flto=auto -fuse-linker-plugin -fno-semantic-interposition -g -ggdb3"),
        ("CFLAGS", "-O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fcf-protection=full -Wall"),
        ("CFLAGS", "-march=x86-64 -mno-sgx --param=l1-cache-size=32 -mtune=generic -std=gnu17"),
        ("LDFLAGS", "-Wl,-O1 -Wl,--as-needed"),
        ("LDFLAGS", "-Wl,-O1 -Wl,--as-needed -Wl,-z,pack-relative-relocs -Wl,-z,now,--sort-common"),
        ("LDFLAGS", "-Wl,--defsym=__gentoo_check_ldflags__=0 -Wl,--hash-style=gnu -flto"),
        ("RUSTFLAGS", "-Ctarget-cpu=znver3 -Copt-level=3 -Cstrip=symbols"),
        ("GOFLAGS", "-trimpath -buildvcs=false"),
        ("USE", "-* X python_targets_python3_12"),
        ("ACCEPT_LICENSE", "-* @FREE"),
        ("ACCEPT_KEYWORDS", "~amd64"),
        ("INSTALL_MASK", "/usr/share/doc/* -*.md"),
        ("VIDEO_CARDS", "intel"),
    ],
)
def test_words_need_no_permission(name: str, value: str) -> None:
    target = described(make_conf={name: value})
    taken = etc_of(target, Level.ABI, inject=False, expand=["VIDEO_CARDS"])
    assert taken.files["make.conf/50-target"].decode() == f'{name}="{value}"\n'
    assert taken.notes == ()


def test_at_3a_other_sub_slots_are_masked() -> None:
    files = pins(described(LEAF), Level.ABI, (), VERSIONS)
    assert files == {"package.mask/90-cloche": b"=dev-libs/leaf-2.0\n"}


def test_at_3b_everything_else_is_masked() -> None:
    files = pins(described(LEAF), Level.CLOSURE, (), {})
    assert files["package.mask/90-cloche"] == b"dev-libs/leaf\n"
    assert files["package.unmask/90-cloche"] == b"=dev-libs/leaf-1.0\n"
    assert files["package.use/90-cloche"] == b"=dev-libs/leaf-1.0 sap -veins\n"
    assert files["package.accept_keywords/90-cloche"] == b"=dev-libs/leaf-1.0 **\n"


def test_at_3b_what_gets_another_slot_keeps_the_one_that_it_has() -> None:
    files = pins(described(LEAF), Level.CLOSURE, {("dev-libs/leaf", "9")}, {})
    assert files["package.mask/90-cloche"] == b"<dev-libs/leaf-1.0:0\n>dev-libs/leaf-1.0:0\n"


def test_the_seed_is_left_alone_where_it_does_not_matter() -> None:
    leaf, axe = Seen("dev-libs/leaf", "0", "1", "1.1"), Seen("dev-util/axe", "0", "0", "1")
    other = Seen("dev-libs/leaf", "0", "2", "2.0")
    assert pins(described(LEAF), Level.ABI, (), VERSIONS, (leaf, axe)) == {
        "package.mask/90-cloche": b"<dev-libs/leaf-1.1:0\n<dev-util/axe-1:0\n"
        b"=dev-libs/leaf-2.0\n>dev-libs/leaf-1.1:0\n>dev-util/axe-1\n>dev-util/axe-1:0\n"
    }
    assert pins(described(LEAF), Level.ABI, (), VERSIONS, (other,)) == {
        "package.mask/90-cloche": b"=dev-libs/leaf-2.0\n"
    }
    assert b"leaf-1.1" not in b"".join(
        pins(described(LEAF), Level.CLOSURE, (), VERSIONS, (leaf,)).values()
    )


def test_another_slot_of_the_seeds_packages_is_not_taken() -> None:
    old, new = (Seen("dev-lang/p", slot, slot, slot) for slot in ("3.9", "3.10"))
    text = pins(described(), Level.ABI, (), {}, (old, new))["package.mask/90-cloche"].decode()
    assert ">dev-lang/p-3.10\n" in text
    assert ">dev-lang/p-3.9\n" not in text
    assert ">dev-lang/p-3.9:3.9\n" in text


def test_what_the_target_replaces_is_not_held() -> None:
    for level in Level:
        assert pins(described(LEAF), level, {("dev-libs/leaf", "0")}, VERSIONS) == {}


def test_lower_levels_hold_nothing() -> None:
    assert pins(described(LEAF), Level.FLAGS, (), VERSIONS) == {}


def test_flags_outside_of_iuse_do_not_count() -> None:
    assert use_of(LEAF["dev-libs/leaf-1.0"]) == ("sap",)
