"""A plan beside the machine's last build: versions and flags, with Portage as the oracle."""

from dataclasses import replace
from types import SimpleNamespace

from _emerge.resolver import output_helpers
from hypothesis import given
from hypothesis import strategies as st
from portage.output import nocolor
from portage.versions import vercmp
from tests.values import package

from cloche.display.plantable import flag_text
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
    one, two = package(), package("a-2", slot="2")
    assert change(one).status == "N"
    assert change(two, one).status == "NS"
    assert change(one, one).status == ""
    assert change(one, one, again=True).status == "R"
    assert change(replace(one, iuse=("x",)), one).status == "R"
    update = change(package("a-1-r1"), one)
    assert (update.status, update.before) == ("U", "1")
    down = change(package("a-1_rc1"), replace(one, repo="s"))
    assert (down.status, down.before) == ("UD", "1::s")


def test_what_nothing_takes_the_place_of_is_gone() -> None:
    before = Depgraph((package("a"), package("b"), package("c", slot="2")))
    assert gone(Depgraph((package("a-2"), package("c"))), before) == (
        "c/b-1",
        "c/c-1",
    )
