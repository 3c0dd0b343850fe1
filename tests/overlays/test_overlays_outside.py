"""Whatever an overlay, a list or Portage's answer holds is read or refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cloche.config.errors import Origin
from cloche.errors import ClocheError
from cloche.overlays import profiles, wishes
from cloche.overlays.closure import circle_of
from cloche.overlays.content import File, check_links, check_names, plain
from cloche.overlays.known import parse
from cloche.overlays.manifests import check
from cloche.overlays.source import LINK, REGULAR, Entry

PATHS = (
    "package.mask", "use.mask", "use.desc", "use.local.desc", "desc/x.desc", "thirdpartymirrors",
    "license_groups", "updates/1Q-2026", "categories", "eapi",
)  # fmt: skip
USED = profiles.Used({"a/b"}, {"x_a"}, {"l"}, {"m"})
WORDS = st.lists(
    st.sampled_from(
        ["a/b", "#", "\n", " ", "move", "slotmove", "@l", "l", "-", "m", "x", "::", "=", "\0"]
    )
).map("".join)


@given(st.sampled_from(PATHS), st.one_of(st.text(), WORDS))
def test_data_of_profiles(path: str, text: str) -> None:
    kept = profiles.concerning(path, text, USED)
    assert kept is None or kept == text or kept.endswith("\n")
    profiles.layout(text, "main")


@given(st.one_of(st.text(min_size=1), WORDS.filter(bool)))
def test_lines_of_what_is_wanted(text: str) -> None:
    if text.split():
        with contextlib.suppress(ClocheError):
            wish = wishes.parse(text, Origin(Path("x")))
            assert wishes.parse(wish.line, wish.origin) == wish


@given(st.text())
def test_lists_of_overlays(text: str) -> None:
    with contextlib.suppress(ClocheError):
        parse(f"<repositories>{text}</repositories>", "x")


@given(st.one_of(st.text(), WORDS))
def test_manifests_and_eclasses(text: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):
        check("a/b", {"a/b/Manifest": plain(text)}, {"x": "a/b-1"})
    circle_of({"eclass/x.eclass": f"inherit {text}"})


@given(st.text(min_size=1), st.binary())
def test_names_and_links(name: str, target: bytes) -> None:
    with contextlib.suppress(ClocheError):
        check_names("x", {name: Entry(REGULAR, "0" * 40)})
        assert ".." not in name.split("/")
        check_links("x", {name: File(LINK, target), "a/b": plain("")})
