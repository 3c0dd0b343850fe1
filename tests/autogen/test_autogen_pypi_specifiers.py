"""Specifiers and versions, with Portage and packaging as the judges."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from portage.dep import match_from_list
from portage.versions import vercmp

from cloche.autogen.dependencies import AnyOf, Atom, Dependency, accepts, lines
from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.specifiers import dependencies
from cloche.autogen.pypi.versions import fault, gentoo_version, out_of_order

CP = "dev-python/foo"


def said(specifiers: str, *known: str) -> list[str]:
    found = dependencies(CP, SpecifierSet(specifiers), [Version(v) for v in known])
    return [line.strip() for line in lines(found)]


def portage_accepts(wanted: tuple[Dependency, ...], version: str) -> bool:
    def meets(each: Dependency) -> bool:
        if isinstance(each, AnyOf):
            return any(map(meets, each.inner))
        assert isinstance(each, Atom)
        return bool(match_from_list(str(each).lstrip("!"), [f"{CP}-{version}"])) != each.blocks

    return all(map(meets, wanted))


numbers = st.integers(0, 11)
releases = st.lists(numbers, min_size=1, max_size=3).map(lambda n: ".".join(map(str, n)))
suffixes = st.sampled_from(
    ["", "", "", "", "a0", "a1", "b2", "rc1", ".post0", ".post1", "rc1.post2"]
)
versions = st.builds(lambda r, s: Version(r + s), releases, suffixes)
finals = st.builds(
    lambda r, s: Version(r + s), releases, st.sampled_from(["", "", "", ".post1", ".post3"])
)


def evenly_spelt(all_versions: list[Version]) -> list[Version]:
    """Those that a package can have, which spells equal releases in one way."""
    spelling: dict[str, tuple[int, ...]] = {}
    kept = []
    for version in all_versions:
        plain = str(Version(version.base_version)).rstrip(".0") or "0"
        if spelling.setdefault(plain, version.release) == version.release:
            kept.append(version)
    return kept


@given(st.lists(versions, min_size=2, max_size=6))
def test_the_order_of_versions_stays(drawn: list[Version]) -> None:
    kept = evenly_spelt(drawn)
    for one in kept:
        for other in kept:
            compared = vercmp(gentoo_version(one), gentoo_version(other))
            assert (compared < 0) == (one < other), (one, other)
            assert (compared == 0) == (one == other), (one, other)
        assert out_of_order(one, kept) is None


@given(versions, versions)
def test_versions_whose_order_would_differ_are_found(one: Version, other: Version) -> None:
    compared = vercmp(gentoo_version(one), gentoo_version(other))
    same = (compared < 0) == (one < other) and (compared == 0) == (one == other)
    assert (out_of_order(one, [other]) is None) == same


@pytest.mark.parametrize(
    ("text", "gentoo"),
    [
        ("1.2.3", "1.2.3"),
        ("2024.01.05", "2024.1.5"),
        ("1.0rc1", "1.0_rc1"),
        ("1.0-alpha.2", "1.0_alpha2"),
        ("1.0b3.post1", "1.0_beta3_p1"),
        ("2.9.0.post0", "2.9.0_p0"),
        ("1.0-1", "1.0_p1"),
    ],
)
def test_versions_as_gentoo_writes_them(text: str, gentoo: str) -> None:
    assert gentoo_version(Version(text)) == gentoo


@pytest.mark.parametrize("text", ["1!2.0", "1.0+cpu", "1.0.dev3", "1.0a1.dev2"])
def test_versions_without_a_form_are_refused_with_the_reason(text: str) -> None:
    assert fault(Version(text))
    with pytest.raises(RefusedError, match=r"epoch|local|development"):
        gentoo_version(Version(text))


clauses = st.one_of(
    st.builds(
        lambda o, v: f"{o}{v}", st.sampled_from([">=", "<=", "<", ">", "==", "!="]), versions
    ),
    st.builds(lambda o, r: f"{o}{r}.*", st.sampled_from(["==", "!="]), releases),
    st.builds(lambda r, s: f"~={r}.{s}", releases, numbers),
)
sets = st.lists(clauses, min_size=1, max_size=4).map(lambda c: SpecifierSet(",".join(c)))


@settings(max_examples=200)
@given(sets, st.lists(versions, max_size=12))
def test_the_accepted_versions_are_the_same(wanted: SpecifierSet, drawn: list[Version]) -> None:
    known = evenly_spelt(drawn)
    try:
        found = dependencies(CP, wanted, known)
    except RefusedError:
        return
    early = any(Version(c.version.removesuffix(".*")).is_prerelease for c in wanted)
    for version in known:
        if early or not version.is_prerelease:
            text = gentoo_version(version)
            assert portage_accepts(found, text) == wanted.contains(version, prereleases=True)
            assert accepts(found, text) == portage_accepts(found, text)
            assert portage_accepts(found, f"{text}-r2") == portage_accepts(found, text)


def of_width(width: int) -> st.SearchStrategy[str]:
    return st.lists(numbers, min_size=width, max_size=width).map(lambda n: ".".join(map(str, n)))


@settings(max_examples=120)
@given(st.data(), st.integers(2, 3))
def test_versions_that_come_later_are_accepted_alike(data: st.DataObject, width: int) -> None:
    """Where package and specifier have the same number of components, nothing has to be known."""
    one = of_width(width)
    operators = st.sampled_from([">=", "<=", "<", "==", "!=", "~="])
    clause = st.builds(lambda o, r: o + r, operators, one) | st.builds(
        lambda o, r: f"{o}{r}.*", st.sampled_from(["==", "!="]), of_width(width - 1)
    )
    wanted = SpecifierSet(",".join(data.draw(st.lists(clause, min_size=1, max_size=4))))
    try:
        found = dependencies(CP, wanted)
    except RefusedError as error:
        assert "no version is accepted" in error.what  # noqa: PT017
        return
    for _ in range(8):
        release = data.draw(one)
        for version in (Version(release), Version(f"{release}.post2")):
            text = gentoo_version(version)
            assert portage_accepts(found, text) == wanted.contains(version, prereleases=True)


@pytest.mark.parametrize(
    ("specifiers", "known", "expected"),
    [
        ("", (), ["dev-python/foo"]),
        # One bound of a range, gs-pypi's fault.
        (">=1.2,<2", (), [">=dev-python/foo-1.2", "<dev-python/foo-2"]),
        (">=1.2,<2,!=1.5", (),
         [">=dev-python/foo-1.2", "<dev-python/foo-2", "!~dev-python/foo-1.5"]),
        # ~= is not ~.
        ("~=1.4.2", (), [">=dev-python/foo-1.4.2", "<dev-python/foo-1.5"]),
        ("~=2.2", (), [">=dev-python/foo-2.2", "<dev-python/foo-3"]),
        # != is not >.
        ("!=1.5", (), ["dev-python/foo", "!~dev-python/foo-1.5"]),
        ("!=1.5.*", (), ["dev-python/foo", "!=dev-python/foo-1.5*"]),
        ("==1.5.*", (), ["=dev-python/foo-1.5*"]),
        ("==1.5", (), ["~dev-python/foo-1.5"]),
        ("==1.5", ("1.5.0",), ["~dev-python/foo-1.5.0"]),
        ("===1.5", (), ["~dev-python/foo-1.5"]),
        (">=1.0", ("1",), [">=dev-python/foo-1"]),
        ("==1.0.*", ("1",), [">=dev-python/foo-1", "<dev-python/foo-1.1"]),
        ("<=1.5", (), ["|| (", "<dev-python/foo-1.5", "~dev-python/foo-1.5", ")"]),
        (">1.5", ("1.5.post1",),
         [">=dev-python/foo-1.5", "!~dev-python/foo-1.5", "!~dev-python/foo-1.5_p1"]),
        (">=2.0b1,<3", (), [">=dev-python/foo-2.0_beta1", "<dev-python/foo-3_alpha"]),
        (">=3,>=1,<9,<7", (), [">=dev-python/foo-3", "<dev-python/foo-7"]),
        (">=2.5.0.dev0", (), [">=dev-python/foo-2.5.0_alpha"]),
        (">1.0rc1.dev2", (), [">=dev-python/foo-1.0_rc1"]),
        (">=1,<2.dev1", (), [">=dev-python/foo-1", "<dev-python/foo-2_alpha"]),
        ("!=1.0.dev4,!=1.0+x", (), ["dev-python/foo"]),
        (">=2,!=1.5,!=0.3.*", (), [">=dev-python/foo-2"]),
    ],
)  # fmt: skip
def test_specifiers_as_an_ebuild_says_them(
    specifiers: str, known: tuple[str, ...], expected: list[str]
) -> None:
    assert said(specifiers, *known) == expected


@pytest.mark.parametrize(
    "specifiers",
    [
        ">=2,<1",
        "==1,!=1",
        "==1.2,!=1.*",
        ">=1!2",
        "==1.0+cpu",
        "===1.0-rc1",
        "===what",
        "==1.0.dev4",
    ],
)
def test_what_cannot_be_said_is_refused(specifiers: str) -> None:
    with pytest.raises(RefusedError):
        said(specifiers)
