"""What a person is shown of a failed log: the line that says why."""

from __future__ import annotations

import pytest

from cloche.building.diagnose import was_killed
from cloche.records.errorlines import why_it_died

DIED = """\
>>> Compiling source in /var/tmp/portage/a/b-1/work ...
gcc -c b.c
b.c:3:16: error: 'x' undeclared
 * ERROR: a/b-1::r failed (compile phase):
 *   {message}
 *{blank}
 * Call stack:
 *     ebuild.sh, line 143:  Called src_compile
 * S: '/var/tmp/portage/a/b-1/work'
"""


@pytest.mark.parametrize("blank", ["", " "], ids=["stripped", "as written"])
def test_the_ebuilds_own_words_come_first(blank: str) -> None:
    log = DIED.format(message="the compiler gave up", blank=blank)
    assert why_it_died(log) == "the compiler gave up"


def test_without_words_the_first_error_speaks() -> None:
    assert why_it_died(DIED.format(message="(no error message)", blank="")) == (
        "b.c:3:16: error: 'x' undeclared"
    )


def test_a_log_that_breaks_off_is_shown_to_its_end() -> None:
    log = "\n".join(f"line {number}" for number in range(40))
    assert why_it_died(log) == "line 39"
    assert why_it_died("") is None


def test_killed_processes_are_seen() -> None:
    assert was_killed("x.ebuild: line 19:    91 Killed                  python3 -c")
    assert was_killed("gcc: fatal error: Killed signal terminated program cc1")
    assert not was_killed("test_kill: Killed it")


REFUSED = """\
>>> Installing (1 of 1) bad/refused-1::faults
 * This package will overwrite one or more files that may belong to other
 * packages (see list below). You can use a command such as `portageq
 * owners / <filename>` to identify the installed package that owns a
 * file.
 *
 * Detected file collision(s):
 *
 *      /usr/bin/owned-twice
 *
 * Package 'bad/refused-1' NOT merged due to file collisions. If
 * necessary, refer to your elog messages for the whole content of the
 * above message.
 *
"""


def test_a_refused_merge_is_told_in_portages_words() -> None:
    told = "Package 'bad/refused-1' NOT merged due to file collisions."
    assert why_it_died(REFUSED) == told
    assert why_it_died(" * One thing\n * is wrong. Another too.\n *\n") == "One thing is wrong."
