"""Under which USE flags a dependency stands in a build file, branch by branch."""

from __future__ import annotations

import pytest

from cloche.autogen.dependencies import Atom, lines
from cloche.autogen.github import cmake, meson
from cloche.autogen.github.build_systems import recipe
from cloche.autogen.github.mapping import Names, names
from cloche.autogen.github.recipe import Need, dependencies
from cloche.autogen.pypi.archive import Sdist

OPTIONS = "".join(f"option('{name}', type : 'boolean')\n" for name in "ab")
OPTIONS += "option('f', type : 'feature')\n"
SWITCHES = "".join(f'option(WITH_{name} "x")\n' for name in "AB")
A, B, F = "get_option('a')", "get_option('b')", "get_option('f')"
LINUX, WINDOWS = (f"host_machine.system() == '{name}'" for name in ("linux", "windows"))


def of_meson(text: str) -> list[Need]:
    files = (("meson.build", text), ("meson.options", OPTIONS))
    return list(meson.recipe(Sdist("x-1", frozenset({"meson.build"}), files)).needs)


def of_cmake(text: str) -> list[Need]:
    files = (("CMakeLists.txt", SWITCHES + text),)
    return list(cmake.recipe(Sdist("x-1", frozenset({"CMakeLists.txt"}), files)).needs)


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        ((A, ""), {"one": ("a",), "two": ("!a",)}),
        ((f"not {A}", ""), {"one": ("!a",), "two": ("a",)}),
        ((A, B, ""), {"one": ("a",), "two": ("!a", "b"), "three": ("!a", "!b")}),
        ((WINDOWS, A, ""), {"two": ("a",), "three": ("!a",)}),
        ((A, WINDOWS, ""), {"one": ("a",), "three": ("!a",)}),
        ((LINUX, A, ""), {"one": ()}),
        ((A, LINUX, ""), {"one": ("a",), "two": ("!a",)}),
        ((f"{A} and {B}", ""), {"one": ("a", "b"), "two": ()}),  # no flags say “not both”
        ((f"{A} and x", ""), {"one": ("a",), "two": ()}),
        ((f"{A} or {B}", ""), {"one": (), "two": ()}),
        ((f"{A} or {WINDOWS}", ""), {"one": ("a",), "two": ("!a",)}),
        ((f"{A} or {LINUX}", ""), {"one": ()}),
        ((f"not ({A} or {B})", ""), {"one": (), "two": ()}),
        ((f"{A} and not {A}", ""), {"two": ()}),
        ((f"{F}.enabled()", ""), {"one": ("f",), "two": ("!f",)}),
        ((f"{F}.disabled()", ""), {"one": ("!f",), "two": ("f",)}),
        (("x", A, ""), {"one": (), "two": ("a",), "three": ("!a",)}),
    ],
)
def test_branches_of_meson(branches: tuple[str, ...], expected: dict[str, tuple[str, ...]]) -> None:
    words = ["if", *["elif"] * (len(branches) - 2), "else"]
    text = "".join(
        f"{word} {condition}\n  dependency('{name}')\n"
        for word, condition, name in zip(words, branches, ("one", "two", "three"), strict=False)
    )
    assert {each.name: each.flags for each in of_meson(f"{text}endif\n")} == expected


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        (("WITH_A", ""), {"one": ("a",), "two": ("!a",)}),
        (("WITH_A", "WITH_B", ""), {"one": ("a",), "two": ("!a", "b"), "three": ("!a", "!b")}),
        (("WIN32", "WITH_A", ""), {"two": ("a",), "three": ("!a",)}),
        (("UNIX", "WITH_A", ""), {"one": ()}),
        (("WITH_A AND WITH_B", ""), {"one": ("a", "b"), "two": ()}),
        (("WITH_A AND NOT WIN32", ""), {"one": ("a",), "two": ("!a",)}),
        (("WIN32 OR APPLE", ""), {"two": ()}),
        (("WITH_A OR WIN32", ""), {"one": ("a",), "two": ("!a",)}),
        (("WITH_A AND WITH_B OR UNIX", ""), {"one": (), "two": ()}),
        (("(WITH_A)", ""), {"one": (), "two": ()}),
    ],
)
def test_branches_of_cmake(branches: tuple[str, ...], expected: dict[str, tuple[str, ...]]) -> None:
    words = ["if", *["elseif"] * (len(branches) - 2), "else"]
    text = "".join(
        f"{word}({condition})\n  find_package({name})\n"
        for word, condition, name in zip(words, branches, ("one", "two", "three"), strict=False)
    )
    assert {each.name: each.flags for each in of_cmake(f"{text}endif()\n")} == expected


def test_blocks_within_blocks_and_what_is_required_with_an_option() -> None:
    text = f"if {A}\n if {B}\n  dependency('x', required : {F})\n endif\n dependency('y')\nendif\n"
    assert {e.name: e.flags for e in of_meson(text)} == {"x": ("a", "b", "f"), "y": ("a",)}
    text = f"if {F}.disabled()\n  dependency('x', required : {F})\nendif\n"
    assert of_meson(text) == []


def test_branches_that_nothing_begins_are_read() -> None:
    assert [e.name for e in of_meson("else\nendif\nelif x\ndependency('x')\n")] == ["x"]
    assert [e.name for e in of_cmake("endif()\nelse()\nelseif(A)\nfind_package(x)\n")] == ["x"]


def test_packages_stand_once_under_their_flags() -> None:
    found = dependencies(
        [
            Need("library", "a", flags=("x", "!y")),
            Need("library", "b", flags=("x",)),
            Need("library", "b", flags=("x", "!y")),
            Need("library", "c"),
            Need("library", "c", flags=("x",)),
        ],
        Names({"library": {each: names_of(each) for each in "abc"}}),
    )
    assert [line.replace("\t", " ") for line in lines(found.libraries)] == [
        " l/c",
        " x? (",
        "  l/b",
        "  !y? (",
        "   l/a",
        "  )",
        " )",
    ]


def names_of(name: str) -> tuple[Atom, ...]:
    return (Atom(f"l/{name}"),)


CONFIGURE = """\
AC_INIT([x], [1])
PKG_CHECK_MODULES([A], [zlib])
PKG_CHECK_MODULES([B], [libcurl >= 7], [AC_DEFINE([B], [1], [b, c])], [have_b=no])
"""


def test_what_is_optional_for_upstream_is_told() -> None:
    """It is required: otherwise what is there at build time would decide."""
    needs = [
        *of_meson("dependency('zlib', required : false)\ndependency('expat')\n"),
        *of_cmake("find_package(CURL)\nfind_package(EXPAT REQUIRED)\n"),
    ]
    found = dependencies(needs, names())
    (note,) = found.notes
    assert note.endswith("so required: zlib, CURL")
    twice = [*needs, *of_meson("dependency('zlib')\n")]
    assert dependencies(twice, names()).notes[0].endswith("so required: CURL")
    sdist = Sdist("x-1", frozenset({"configure.ac", "configure"}), (("configure.ac", CONFIGURE),))
    assert {e.name: e.optional for e in recipe(sdist, "x").needs} == {
        "zlib": False, "libcurl": True
    }  # fmt: skip
