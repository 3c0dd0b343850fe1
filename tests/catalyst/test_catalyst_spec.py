"""Spec files, read as catalyst reads them. Its rules are restated here as the oracle."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.catalyst.spec import parse_spec, read_spec
from cloche.config.errors import ConfigError

FILE = Path("a.spec")
RELEASE = Path(__file__).parent / "release"


def values(text):
    return {key: each.value for key, each in parse_spec(text, FILE).settings.items()}


def as_catalyst(lines):
    """Its rules, one after the other. Raises as it does: KeyError, ValueError, TypeError."""
    read, current = {}, []
    for line in lines:
        line = re.sub(r"\s*#.*$", "", line.strip())
        if not line:
            continue
        if ":" in line:
            key, value = line.split(":", 1)
            value = value.strip().strip('"')
            if "%" in re.sub(r"%%|%\(.*?\)s", "", value):
                raise ValueError  # mostly; "% a" gives all values as Python writes a dictionary
            current = [key, *(value % read if value else "").split()]
        else:
            current = current + line.split()
        read[current[0]] = current[1] if len(current) == 2 else current[1:]
    kept = {key: value for key, value in read.items() if value}
    return {
        key: (None if value.lower() == "none" else value)
        if isinstance(value, str)
        else tuple(value)
        for key, value in kept.items()
    }


WORDS = st.sampled_from(
    [
        *("a", "b", "none", "None", "stage4/use", "x:y", "#c", "a#b", '"', '"a b"'),
        *("%%", "%(a)s", "%(b)s", "%", "%(zz)s", "é", "\x0b", "\x1c", "\u2028", "\u00a0"),
    ]
)
LINES = st.builds(
    lambda indent, key, words, end: indent + key + " ".join(words) + end,
    st.sampled_from(["", "\t", " "]),
    st.sampled_from(["", "", "a: ", "b:", "a : ", ": ", "stage4/packages:"]),
    st.lists(WORDS, max_size=4),
    st.sampled_from(["", " ", " # comment", '"']),
)


@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_values_are_catalysts(lines, newline):
    try:
        expected = as_catalyst(lines)
    except (KeyError, TypeError, ValueError):
        with pytest.raises(ConfigError):
            parse_spec(newline.join(lines), FILE)
        return
    found = values(newline.join(lines))
    assert found == expected
    assert list(found) == list(expected)


@given(st.text(max_size=60).filter(lambda text: "%" not in text))
def test_any_text_is_read_as_catalyst_reads_it(text):
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert values(text) == as_catalyst(lines)


def test_each_word_has_its_place():
    spec = parse_spec("stage4/use: a\n\tb c\n\nstage4/rm:\n\t/x\n", FILE)
    use = spec.settings["stage4/use"]
    assert [origin.line for origin in use.origins] == [1, 2, 2]
    assert (str(spec.origin("stage4/rm")), spec.settings["stage4/rm"].origins[0].line) == (
        "a.spec:4",
        5,
    )


@pytest.mark.parametrize(
    ("text", "kind", "place", "key"),
    [
        ("livecd/bootargs: a#b c", "comment", 1, "livecd/bootargs"),
        ('a: "b # c"', "comment", 1, "a"),
        ("a: 1\nb: 2\na: 3", "repeated", 3, "a"),
        ("a: 1\nb:\n", "empty", 2, "b"),
        ("a b\nc: d", "orphan", 1, "a"),
        ("a: b\n\t%(a)s", "percent", 2, "a"),
        ('a: --x="b c"', "quote", 1, "a"),
    ],
)
def test_what_is_dropped_is_kept_for_lint(text, kind, place, key):
    (trap,) = parse_spec(text, FILE).traps
    assert (trap.kind, trap.origin.line, trap.key) == (kind, place, key)


def test_a_comment_after_a_value_is_nothing_to_report():
    assert parse_spec("a: b  # why\n# c\n", FILE).traps == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 5%", "a bare “%”"),
        ("a: %(b)s", "%(b)s has no value"),
        ("a: %(a)s", "%(a)s has no value"),
    ],
)
def test_where_catalyst_ends_with_a_traceback_is_an_error(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_spec("x: y\n" + text, FILE)
    assert words in caught.value.what
    assert caught.value.where == "a.spec:2"


def test_references_cannot_fill_the_memory():
    doubling = "".join(f"k{i + 1}: %(k{i})s%(k{i})s\n" for i in range(60))
    with pytest.raises(ConfigError, match="1 MiB"):
        parse_spec("k0: xx\n" + doubling, FILE)


def test_options_of_the_command_line_take_the_place_of_values():
    spec = parse_spec("subarch: amd64\nrepos: /a\n", FILE)
    spec = spec.overridden(["subarch=x86", 'stage4/use="a b"', "repos="])
    assert {key: spec.value(key) for key in spec.settings} == {
        "subarch": "x86",
        "stage4/use": ("a", "b"),
    }
    assert str(spec.origin("subarch")) == "command line"
    with pytest.raises(ConfigError, match="not KEY=VALUE"):
        spec.overridden(["subarch"])
    with pytest.raises(ConfigError, match=r"command line: .*not UTF-8"):
        spec.overridden(["subarch=\udcff"])


def test_the_specs_of_the_shared_release_are_read_without_a_trap():
    specs = [read_spec(path) for path in sorted(RELEASE.glob("*.spec"))]
    assert len(specs) == 7
    assert [spec.traps for spec in specs] == [()] * 7
    stage4 = read_spec(RELEASE / "stage4.spec")
    assert stage4.value("stage4/rcadd") == ("r1stub|default", "autoconfig|boot")
    assert stage4.text("stage4/packages").split()[1] == "app-misc/r1-greeting"


def test_the_word_none_stands_for_no_words() -> None:
    spec = parse_spec("repos: none\nuse: a\n\tb\n", Path("x.spec"))
    assert spec.words("repos") == spec.words("missing") == ()
    assert [*spec.placed_words("repos")] == []
    assert [(word, origin.line) for word, origin in spec.placed_words("use")] == [
        ("a", 2),
        ("b", 3),
    ]
