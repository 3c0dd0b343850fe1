"""A plan beside the machine's last build: versions and flags, with Portage as the oracle."""

from dataclasses import replace
from types import SimpleNamespace

from _emerge.resolver import output_helpers
from hypothesis import given
from hypothesis import strategies as st
from portage.output import nocolor
from portage.versions import vercmp

from cloche.display.plantable import Row, as_table, flag_text
from cloche.display.theme import make_theme
from cloche.plan.changes import changed_since, gone
from cloche.plan.depgraph import Depgraph, Package
from cloche.plan.versions import version_key

NUMBER = st.sampled_from(["0", "1", "2", "9", "10", "05", "050", "00", "19", "100"])
SUFFIX = st.sampled_from(["_alpha", "_beta2", "_pre", "_rc1", "_p", "_p0", "_p3"])
VERSION = st.builds(
    lambda numbers, letter, suffixes, revision: (
        f"{'.'.join(numbers)}{letter}{''.join(suffixes)}{revision}"
    ),
    st.lists(NUMBER, min_size=1, max_size=3),
    st.sampled_from(["", "", "a", "b"]),
    st.lists(SUFFIX, max_size=2),
    st.sampled_from(["", "-r0", "-r1", "-r10"]),
)
FLAGS = st.frozensets(st.sampled_from(["acl", "doc", "nls", "test", "x", "y"]))


def package(name="app", version="1", slot="0", **more) -> Package:
    cpv = f"cat/{name}-{version}"
    return Package(
        id=f"{cpv}::r", cpv=cpv, category="cat", pn=name, pf=f"{name}-{version}", version=version,
        slot=slot, sub_slot=slot, repo="r", eapi="8", ebuild="", **more,
    )  # fmt: skip


def change(new: Package, *old: Package, again: bool = False, **graph):
    ids = frozenset({new.id}) if again else frozenset()
    return changed_since(Depgraph((new,), **graph), Depgraph(old), ids)[new.id]


@given(VERSION, VERSION)
def test_versions_are_ordered_as_portage_orders_them(one: str, other: str) -> None:
    mine, its = version_key(one), version_key(other)
    assert (mine > its) - (mine < its) == (vercmp(one, other) > 0) - (vercmp(one, other) < 0)


@given(FLAGS, FLAGS, FLAGS, FLAGS, FLAGS, st.booleans())
def test_flags_are_marked_as_emerge_marks_them(iuse, use, fixed, was_iuse, was, is_new) -> None:
    nocolor()
    new = package(iuse=tuple(iuse), use=tuple(use & iuse), fixed=tuple(fixed & iuse))
    old = package(iuse=tuple(was_iuse), use=tuple(was & was_iuse))
    ours = change(new, *([] if is_new else [old])).flags.get("USE", ())
    shown = " ".join(map(flag_text, ours))
    conf = SimpleNamespace(print_use_string=True, alphabetical=False, all_flags=True)
    before = (set(), set()) if is_new else (set(old.iuse), set(old.use))
    theirs = output_helpers._create_use_string(
        conf, "USE", new.iuse, set(new.fixed), new.use, *before, is_new, set()
    )
    assert (f'USE="{shown}" ' if shown else "") == theirs


def test_the_letters_are_those_of_emerge() -> None:
    one, two = package(), package(version="2", slot="2")
    assert change(one).status == "N"
    assert change(two, one).status == "NS"
    assert change(one, one).status == ""
    assert change(one, one, again=True).status == "R"
    assert change(replace(one, iuse=("x",)), one).status == "R"
    update = change(package(version="1-r1"), one)
    assert (update.status, update.before) == ("U", "1")
    down = change(package(version="1_rc1"), replace(one, repo="s"))
    assert (down.status, down.before) == ("UD", "1::s")


def test_what_nothing_takes_the_place_of_is_gone() -> None:
    before = Depgraph((package("a"), package("b"), package("c", slot="2")))
    assert gone(Depgraph((package("a", version="2"), package("c"))), before) == (
        "cat/b-1",
        "cat/c-1",
    )


def test_flags_stand_in_their_groups_and_the_hidden_ones_are_hidden() -> None:
    flags = ("abi_mips_n32", "abi_x86_64", "doc", "python_targets_a", "python_targets_b")
    profile = {
        "use_expand": ("ABI_MIPS", "ABI_X86", "PYTHON_TARGETS", "PYTHON"),
        "use_expand_hidden": ("ABI_MIPS",),
    }
    new = package(iuse=flags, use=("abi_x86_64", "python_targets_b"), fixed=("abi_mips_n32",))
    row = Row("build", new.cpv, "0", "r", change(new, **profile), 2048, ("live",))
    line = as_table([row], ["cat/old-1"], make_theme(colour=False))
    assert line == [
        '[build    N    ] cat/app-1::r USE="-doc" ABI_X86="64" PYTHON_TARGETS="b -a" 2.0 KiB'
        "  (live)",
        "[gone          ] cat/old-1",
        "",
        "1 package: 1 to build (1 new, 1 gone); 2.0 KiB to fetch",
    ]
    # A hidden flag is the only reason: without it nobody would know why.
    old = replace(new, use=("abi_mips_n32", *new.use))
    assert [*change(new, old, **profile).shown] == ["USE", "ABI_X86", "PYTHON_TARGETS", "ABI_MIPS"]
