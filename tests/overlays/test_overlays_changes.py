"""What an update shows: nothing that a shell would see differently is hidden, and nothing hangs."""

from __future__ import annotations

import time

import pytest

from cloche.overlays.changes import Change, changes
from cloche.overlays.content import Files, plain


def of(text: str) -> Files:
    return {"a/b/b-1.ebuild": plain(text)}


def only(old: str, new: str) -> Change:
    (found,) = changes(of(old), of(new))
    return found


def test_a_new_file_is_shown_whole() -> None:
    (found,) = changes({}, of("EAPI=8\n"))
    assert found.how == "new"
    assert found.diff == ("--- /dev/null", "+++ b/a/b/b-1.ebuild", "@@ -0,0 +1 @@", "+EAPI=8")


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_what_ends_no_line_for_bash_is_no_end_of_a_line(end: str) -> None:
    diff = only(f"# a comment{end}rm -r x\n", "# a comment\nrm -r x\n").diff
    assert diff[-3:] == (f"-# a comment{end}rm -r x", "+# a comment", "+rm -r x")


def test_a_last_line_without_an_end_is_shown() -> None:
    assert only("x\n", "x").diff[-1] == "+\\ No newline at end of file"


def test_a_line_that_is_cut_says_so() -> None:
    assert only("x\n", f"{'x' * 5000}\n").diff[-1].endswith("x … 1001 more characters")


def test_a_diff_that_would_take_hours_is_not_made() -> None:
    numbers = [str(number) for number in range(50_000)]
    begun = time.process_time()
    found = only("\n".join(numbers), "\n".join(f"{each}\nx{each}" for each in numbers))
    assert time.process_time() - begun < 60
    told = "a/b/b-1.ebuild: 50001 lines, then 100001: too different for a diff"
    assert found.diff == (told,)


def test_a_small_change_of_a_long_file_is_shown() -> None:
    numbers = [f"{number}\n" for number in range(50_000)]
    changed = [*numbers[:30_000], "new\n", *numbers[30_001:]]
    assert {"-30000", "+new"} < {*only("".join(numbers), "".join(changed)).diff}
