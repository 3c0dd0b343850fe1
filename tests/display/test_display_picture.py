"""A graph that stands still: text, DOT, SVG."""

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import WORKBENCH, Store, project

from cloche.display.picture import Picture, as_dot, as_text
from cloche.display.svg import as_svg
from cloche.display.theme import make_theme

NAMES = ("l/base-1::r", "l/left-1::r", "l/right-1::r", "a/top-1::r")
PICTURE = Picture(
    names=NAMES,
    edges={NAMES[1]: (NAMES[0],), NAMES[2]: (NAMES[0],), NAMES[3]: (NAMES[1], NAMES[2], NAMES[0])},
    status={NAMES[0]: "reused"},
    notes={NAMES[0]: "reuse", NAMES[3]: 'build, "quoted" <&>'},
    strong=frozenset({NAMES[3]}),
)
SVG = "{http://www.w3.org/2000/svg}"


def test_as_text():
    assert as_text(PICTURE, make_theme(colour=False), 80) == [
        "◌   l/base-1  reuse",
        "├─○ l/left-1",
        "○ │ l/right-1",
        '○─╯ a/top-1  build, "quoted" <&>',
    ]
    assert as_text(PICTURE, make_theme(unicode=False, colour=False), 12) == [
        "=   l/base-1",
        "+-o l/left-1",
        "o | l/right~",
        "o-' a/top-1~",
    ]


def test_as_dot():
    text = as_dot(PICTURE, "m")
    assert text.startswith('digraph "m" {')
    assert '"a/top-1::r" -> "l/left-1::r";' in text
    assert r'label="a/top-1\nbuild, \"quoted\" <&>"' in text
    assert text.count("->") == 5


def test_as_svg_shows_every_package_once_and_every_edge():
    root = ElementTree.fromstring(as_svg(PICTURE, "m & n"))
    assert root.find(f"{SVG}title").text == "m & n"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert sorted(texts) == ["a/top-1", "l/base-1", "l/left-1", "l/right-1"]
    assert len(list(root.iter(f"{SVG}path"))) == 5
    titles = [g.find(f"{SVG}title").text for g in root.iter(f"{SVG}g")]
    assert 'a/top-1::r\nbuild, "quoted" <&>' in titles


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_no_two_boxes_of_an_svg_overlap_and_all_lie_within(data):
    names = tuple(f"c/p{n}-1" for n in range(data.draw(st.integers(0, 25))))
    edges = {
        name: tuple(data.draw(st.lists(st.sampled_from(names[:n]), max_size=4, unique=True)))
        for n, name in enumerate(names)
        if n
    }
    root = ElementTree.fromstring(as_svg(Picture(names, edges), "m"))
    boxes = [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
    ]
    assert len(boxes) == len(names)
    width, height = float(root.get("width")), float(root.get("height"))
    for number, (x, y, w, h) in enumerate(boxes):
        assert min(x, y) >= 0
        assert x + w <= width
        assert y + h <= height
        for other_x, other_y, other_w, other_h in boxes[:number]:
            beside = x >= other_x + other_w or other_x >= x + w
            assert beside or y >= other_y + other_h or other_y >= y + h


@pytest.fixture(scope="module")
def drawn(root_seeded: Store):
    """`cloche graph` over the workbench, nothing of which is built."""
    place = project(root_seeded, WORKBENCH)
    return lambda *arguments, **more: root_seeded.cloche("graph", *arguments, cwd=place, **more)


@pytest.mark.real
def test_the_command_draws_a_machine_and_parts_of_it(drawn):
    whole = drawn("workbench", env={"LC_ALL": "C"}, check=True).stdout
    assert whole.isascii()
    assert len(whole.splitlines()) == 30
    needs = drawn("workbench", "tmux", check=True).stdout
    assert set(names_in(needs)) == {"dev-libs/libevent", "sys-libs/ncurses", "app-misc/tmux"}
    wanted = drawn("workbench", "oniguruma", "--reverse", "--depth", "1", check=True).stdout
    assert set(names_in(wanted)) == {"dev-libs/oniguruma", "app-misc/jq"}


@pytest.mark.real
def test_the_command_tells_why_one_needs_another(drawn):
    told = drawn("workbench", "--why-needed", "sys-apps/less", "ncurses", check=True).stdout
    picture, _, reasons = told.partition("\n\n")
    assert set(names_in(picture)) >= {"sys-libs/ncurses", "sys-apps/less"}
    assert "sys-apps/less-590 needs sys-libs/ncurses" in reasons
    none = drawn("workbench", "--why-needed", "hello", "ncurses", check=True)
    assert "neither of hello and ncurses needs the other" in none.stderr
    unknown = drawn("workbench", "no-such-thing")
    assert unknown.returncode == 2
    assert "no package matches “no-such-thing”" in unknown.stderr


@pytest.mark.real
def test_the_command_writes_svg_and_dot(drawn):
    root = ElementTree.fromstring(drawn("workbench", "--format", "svg", check=True).stdout)
    assert len(list(root.iter(f"{SVG}rect"))) == 30
    dot = drawn("workbench", "--format", "dot", check=True).stdout
    assert json.dumps("app-misc/jq-1.6::workbench") + " -> " in dot


def names_in(text):
    words = [word for line in text.splitlines() for word in line.split() if "/" in word]
    return [word.rpartition("-")[0] for word in words]
