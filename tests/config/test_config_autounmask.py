"""What Portage proposes becomes lines of a fragment: sorted, once, with the reason."""

from __future__ import annotations

from pathlib import Path

from cloche.config.autounmask import Change, proposed, write
from cloche.config.errors import Origin
from cloche.config.machine import Fragment

TEXT = """
The following keyword changes are necessary to proceed:
 (see "package.accept_keywords" in the portage(5) man page for more details)
# required by cat/asks-1::toy
# required by cat/asks (argument)
=cat/new-1 ~amd64
# required by cat/other-1::toy
=cat/new-1 ~amd64

The following USE changes are necessary to proceed:
 (see "package.use" in the portage(5) man page for more details)
# required by cat/asks-1::toy
>=cat/b-1 loud
# required by cat/asks-1::toy
>=cat/a-1 loud

!!! Something else.
"""
KEYWORD = Change(
    "package.accept_keywords",
    "=cat/new-1 ~amd64",
    ("# required by cat/asks-1::toy", "# required by cat/asks (argument)",
     "# required by cat/other-1::toy"),
)  # fmt: skip
USES = tuple(
    Change("package.use", f">=cat/{name}-1 loud", ("# required by cat/asks-1::toy",))
    for name in "ab"
)


def test_changes_are_sorted_and_stand_once() -> None:
    assert proposed(TEXT) == (KEYWORD, *USES)
    assert proposed("all is well") == ()


def test_what_a_fragment_has_is_kept_and_not_written_again(tmp_path: Path) -> None:
    fragment = Fragment("base", tmp_path, Origin(tmp_path))
    (tmp_path / "package.use").write_text(">=cat/a-1 loud")
    (tmp_path / "package.accept_keywords").mkdir()
    made = write(proposed(TEXT), fragment)
    keywords = tmp_path / "package.accept_keywords/zz-autounmask"
    assert made == (keywords, tmp_path / "package.use")
    text = ">=cat/a-1 loud\n# required by cat/asks-1::toy\n>=cat/b-1 loud\n"
    assert (tmp_path / "package.use").read_text() == text
    assert keywords.read_text().splitlines() == [*KEYWORD.reasons, KEYWORD.line]
    assert write(proposed(TEXT), fragment) == ()
