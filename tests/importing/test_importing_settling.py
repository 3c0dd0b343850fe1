"""Of two fragments that contradict each other the later one holds, and cloche accepts the rest."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cloche.config.contradictions import clashes
from cloche.config.fragments import SourceFile, merge
from cloche.importing.outcome import Conflict
from cloche.importing.portage_files import clean, texts_of
from cloche.importing.settling import Part, settle


def settled(*texts: dict[str, str]) -> tuple[list[dict[str, str]], tuple[Conflict, ...]]:
    """Fragments a, b, … of a machine m after settling, and their conflicts."""
    parts = [
        Part("abc"[number], "abc"[number], {name: text.encode() for name, text in each.items()})
        for number, each in enumerate(texts)
    ]
    found, conflicts = settle(parts, "m", lambda clash: f"before {clash.here.origin.line}")
    merge(  # refuses contradictions
        (part.name, tuple(SourceFile(n, Path(part.place, n), c) for n, c in part.files.items()))
        for part in found
    )
    return [{n: c.decode() for n, c in part.files.items()} for part in found], conflicts


def test_each_conflict_has_both_places_and_their_values() -> None:
    _, conflicts = settled({"make.conf": 'L10N="de"\n'}, {"make.conf": '\nL10N="en"\n'})
    assert conflicts == (
        Conflict("L10N", "a/make.conf:1", "“de”", "b/make.conf:2", "“en”", ("m",), "before 2"),
    )
    assert str(conflicts[0]) == (
        "L10N: “de” in a/make.conf:1, “en” in b/make.conf:2: the second holds; before 2 (machine m)"
    )


def test_a_word_goes_and_its_neighbours_stay() -> None:
    (first, _), conflicts = settled(
        {"package.use": "a/b x y -z  # why\na/c x\n", "make.conf": 'USE="one\n two"\n'},
        {"package.use": "a/b -x\n", "make.conf": 'USE="-two three"\n'},
    )
    assert first == {"package.use": "a/b y -z  # why\na/c x\n", "make.conf": 'USE="one"\n'}
    assert [each.second for each in conflicts] == ["b/package.use:1", "b/make.conf:1"]


def test_a_star_of_a_later_fragment_clears_earlier_ones() -> None:
    (first, second), conflicts = settled(
        {"package.use": "*/* VIDEO_CARDS: intel nouveau\n"},
        {"package.use": "*/* VIDEO_CARDS: -* amdgpu\n"},
    )
    assert first == {"package.use": "# */*: later fragments hold; see IMPORT.md.\n"}
    assert second == {"package.use": "*/* VIDEO_CARDS: -* amdgpu\n"}
    assert {each.second_value for each in conflicts} == {"taken away by “-video_cards_*”"}


def test_masks_and_files_that_there_is_one_of() -> None:
    (first, second), conflicts = settled(
        {"package.mask": "a/b\n", "bashrc": "one\n", "env/x": "same\n"},
        {"package.unmask": "a/b\n", "bashrc": "two\n", "env/x": "same\n"},
    )
    assert first == {
        "package.mask": "# a later fragment holds; see IMPORT.md: a/b\n",
        "env/x": "same\n",
    }
    assert second["bashrc"] == "two\n"
    assert [each.subject for each in conflicts] == ["a/b", "the file bashrc"]


def test_what_extends_a_value_contradicts_nothing() -> None:
    texts = ({"make.conf": "CFLAGS=-O2\n"}, {"make.conf": 'CFLAGS="${CFLAGS} -g"\n'})
    assert settled(*texts) == (list(texts), ())


LINES = st.lists(
    st.tuples(
        st.sampled_from(["a/b", "*/*"]),
        st.lists(st.sampled_from(["x", "-x", "y", "-y", "-*", "L:", "L10N:"]), max_size=4),
    ),
    max_size=3,
)
VALUES = st.lists(st.sampled_from(["x", "-x", "y", "-*", "\n", "$USE"]), max_size=4).map(" ".join)


@given(st.lists(st.tuples(LINES, VALUES), min_size=2, max_size=3))
def test_what_is_settled_is_never_contradictory(
    fragments: list[tuple[list[tuple[str, list[str]]], str]],
) -> None:
    texts = [
        {
            "package.use": "".join(f"{atom} {' '.join(words)}\n" for atom, words in lines),
            "make.conf": f'USE="{value}"\nCC={len(value)}\n',
        }
        for lines, value in fragments
    ]
    found, _ = settled(*texts)
    assert found[-1] == texts[-1]  # the last fragment always holds
    parts = [
        (str(n), tuple(texts_of({k: v.encode() for k, v in f.items()}, str(n))))
        for n, f in enumerate(found)
    ]
    assert not list(clashes(parts))


def test_cleaning_keeps_what_cloche_accepts_and_tells_the_rest() -> None:
    files = {
        "make.conf": 'USE="a"\nMAKEOPTS="-j9"\nMY_TOKEN=abc\nGENTOO_MIRRORS="https://u:pw@m/ x"\n',
        "package.use/x": "a/b c\n",
        "package.mask": "a/b c\na/d\n",
        "package.license": "\udcff",
        "repos.conf/gentoo.conf": "[gentoo]\n",
        "postsync.d/run": "x",
        "color.mapp": "x",
        "sets/mine": "a/b\nnano\n",
        "sets/deep/er": "a/b\n",
        "patches/a/b/x.patch": "p",
        "patches/a/b/x.orig": "p",
        "env/wild": "\udcff",
        ".hidden": "x",
        "package.use/old~": "x",
    }
    found = clean({n: t.encode("utf-8", "surrogateescape") for n, t in files.items()}, "etc")
    assert {name: text.decode(errors="replace") for name, text in found.fragment.items()} == {
        "make.conf": 'USE="a"\n'
        "# MAKEOPTS is not carried over: the number of jobs is not a property of a machine; use "
        "[build] cores and jobs.\n"
        "# MY_TOKEN is not carried over: it looks like a secret, which a project does not have.\n"
        'GENTOO_MIRRORS="https://m/ x"\n',
        "package.use/x": "a/b c\n",
        "package.mask": "# a/b c\na/d\n",
        "env/wild": "�",
    }
    assert found.sets == {
        "mine": b"a/b\n# nano  # not carried over: the category is missing, as in app-misc/hello\n"
    }
    assert found.patches == {"a/b/x.patch": b"p"}
    assert [each.name for each in found.omissions] == [
        "etc/color.mapp",
        "etc/make.conf",
        "etc/make.conf:2 (MAKEOPTS)",
        "etc/make.conf:3 (MY_TOKEN)",
        "etc/package.license",
        "etc/package.mask:1",
        "etc/patches/a/b/x.orig",
        "etc/postsync.d",
        "etc/sets/deep/er",
        "etc/sets/mine:2 (nano)",
    ]
