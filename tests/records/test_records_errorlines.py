"""What a failure shows of its log. The texts are what the tools really wrote (Debian 12)."""

from pathlib import Path

import pytest

from cloche.records.errorlines import LIMIT, error_lines, why_it_died

LOGS = Path(__file__).with_name("logs")

SAID = {  # what must be among the lines, and what must not
    "gcc": ("b.c:4:17: error: ", "Error 1"),
    "header": ("m.c:2:10: fatal error: nowhere/x.h: No such file or directory", "terminated"),
    "cxx": ("m.cc:3:50: error: no matching function for call to", "Error 1"),
    "ld": ("m.c:(.text+0xf): undefined reference to `foo'", "collect2"),
    "ldlib": ("/usr/bin/ld: cannot find -lnowhere: No such file or directory", "collect2"),
    "meson": ('meson.build:2:0: ERROR: Dependency "nowhere" not found', "full log"),
    "ninja": ("undeclared (first use in this function)", "build stopped"),
    "configure": ("configure: error: libnowhere is needed, see README", "checking"),
    "python": ("json.decoder.JSONDecodeError: Expecting property name enclosed in", "Error 1"),
    "norule": ("make: *** No rule to make target 'nothing.c', needed by 'all'.  Stop.", "xx"),
    "command": ("make: xsltfoo: No such file or directory", "Error 127"),
    "patch": ("Hunk #1 FAILED at 1.", "patching"),
    "check": ("FAIL: two", "PASS"),
    "autoreconf": ("line 183: autoreconf: command not found", "If you need support"),
}


@pytest.mark.parametrize("name", SAID)
def test_the_tools_own_error_is_shown(name: str) -> None:
    said, not_said = SAID[name]
    found = error_lines((LOGS / f"{name}.txt").read_text().splitlines())
    assert any(said in line for line in found), found
    assert not any(not_said in line for line in found), found
    assert len(found) <= LIMIT


def test_every_text_has_its_statement() -> None:
    assert {path.stem for path in LOGS.glob("*.txt")} == set(SAID)


def test_the_place_and_the_caret_come_along() -> None:
    found = error_lines((LOGS / "gcc.txt").read_text().splitlines())
    assert found[0].startswith("b.c: In function")
    assert found[1].startswith("b.c:4:17: error:")
    assert found[2:4] == (
        "    4 |         return p->missing + undeclared;",
        "      |                 ^~",
    )


def test_a_traceback_keeps_its_head_and_its_end() -> None:
    found = error_lines((LOGS / "python.txt").read_text().splitlines())
    assert found[0] == "Traceback (most recent call last):"
    assert found[-1].startswith("json.decoder.JSONDecodeError")


def test_an_error_is_found_far_before_the_end() -> None:
    """With many jobs, others go on long after the one that failed."""
    log = ["x.c:1:1: error: no", "make[1]: *** [Makefile:3: b.o] Error 1"]
    log += [f"gcc -c {n}.c" for n in range(5000)] + ["make: *** [Makefile:2: all] Error 2"]
    assert error_lines(log) == ("x.c:1:1: error: no",)


def test_errors_of_an_earlier_attempt_do_not_count() -> None:
    log = ["a.c:1:1: error: probing", *["gcc -c b.c"] * 1000, "b.c:2:2: error: real"]
    assert error_lines([*log, "make: *** [Makefile:1: b.o] Error 1"]) == ("b.c:2:2: error: real",)


def test_many_errors_are_cut_and_counted() -> None:
    found = error_lines([f"x.c:{n}:1: error: bad" for n in range(100)])
    assert len(found) == LIMIT
    assert found[0] == "x.c:0:1: error: bad"
    assert found[-1] == "… and 86 more lines like these"


def test_without_a_known_error_portages_reason_is_shown() -> None:
    log = [
        "doing something odd",
        " * ERROR: app-misc/foo-1::x failed (compile phase):",
        " *   it did not work",
        " * ",
        " * Call stack:",
    ]
    assert error_lines(log) == tuple(log[:3])


def test_without_anything_the_last_lines_are_shown() -> None:
    log = [str(n) for n in range(50)] + ["make: *** [Makefile:1: b.o] Error 1", ""]
    assert error_lines(log) == tuple(str(n) for n in range(35, 50))
    assert error_lines([]) == ()


def test_colours_and_carriage_returns_are_taken_off() -> None:
    assert error_lines(["10%\r20%\r\x1b[1mx.c:1:1: \x1b[31merror:\x1b[0m bad"]) == (
        "x.c:1:1: error: bad",
    )


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (["a", "b", "c"], ("b", "c")),
        (["cc x.c", "x.c:1: error: no", "note", "make: *** Error 1"], ("x.c:1: error: no",)),
        (
            [">>> Compiling", "died", " * ERROR: c/p failed", " * help"],
            (" * ERROR: c/p failed", " * help"),
        ),
        (["make[2]: *** [Makefile:3: all] Error 1"], ()),
    ],
)
def test_few_lines_are_the_ones_that_tell_most(log: list[str], said: tuple[str, ...]) -> None:
    assert error_lines(log, 2) == said


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
