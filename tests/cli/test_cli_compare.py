"""`cloche catalyst compare`: what it prints, its JSON, its page and its statuses."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.comparison.outputs_made import directory, elf, file, link, package, tarball

from cloche.cli.compare import complete_output

Run = Callable[..., tuple[int, str, str]]
EVIL = "usr/<script>alert(1)</script>\n\x1b[31m"


@pytest.fixture
def compare(run_cloche: Run) -> Run:
    """Run `cloche catalyst compare`."""
    return partial(run_cloche, "catalyst", "compare")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two stages that differ in something of each judgement."""
    old = {
        "etc": directory(),
        "etc/hosts": file("127.0.0.1 localhost\nold\n"),
        "usr/bin/su": file("x", 0o4755),
        "usr/lib/a.so": file(elf(build_id=b"1")),
        "usr/l": link("b"),
        EVIL: file("1"),
        **package("a/b-1", "usr/bin/su", USE="x", IUSE="x y"),
    }
    new = {
        **old,
        "etc/hosts": file("127.0.0.1 localhost\nnew\n"),
        "usr/bin/su": file("x", 0o755),
        "usr/lib/a.so": file(elf(build_id=b"2")),
        EVIL: file("2"),
        **package("a/b-1", "usr/bin/su", USE="x y", IUSE="x y", BUILD_TIME="9"),
    }
    return tarball(tmp_path / "old.tar", old), tarball(tmp_path / "new.tar", new)


def test_the_summary_comes_first_then_the_rules_that_do_not_pass(
    compare: Run, pair: tuple[Path, Path]
) -> None:
    status, out, err = compare(*pair)
    assert (status, err) == (1, "")
    summary, *rules = out.split("\n\n")
    assert len(summary.splitlines()) == 9
    assert "wrong       2: use 1, setuid 1" in summary
    assert "harmless    1: build-id 1" in summary
    assert "left out    1: build-time 1" in summary
    assert "the new output is wrong according to the rules below" in summary
    assert [each.splitlines()[0] for each in rules] == [
        "wrong: setuid (1): a program runs with different privileges: setuid or setgid",
        "wrong: use (1): the same version with different USE flags",
        "to look at: etc (1): a text file below /etc differs",
        "to look at: content (1): the same file with different content",
    ]
    assert "  /usr/bin/su (a/b:0): setuid 4755 -> 0755" in out
    assert "  a/b:0 USE: use + y" in out
    assert "\x1b" not in out
    assert "  /usr/<script>alert(1)</script>\\n\\x1b[31m: 1 bytes -> 1 bytes" in out


def test_one_rule_is_shown_whole_with_the_lines_of_a_text(
    compare: Run, pair: tuple[Path, Path]
) -> None:
    out = compare(*pair, "--rule", "etc")[1]
    assert out.split("\n\n")[1].splitlines()[1:] == [
        "  /etc/hosts: 24 bytes -> 24 bytes",
        "    --- old/etc/hosts",
        "    +++ new/etc/hosts",
        "    @@ -1,2 +1,2 @@",
        "     127.0.0.1 localhost",
        "    -old",
        "    +new",
    ]
    everything = compare(*pair, "--all")[1]
    assert "harmless: build-id (1)" in everything
    assert "left out: build-time (1)" in everything


def test_many_differences_of_one_rule_are_counted(compare: Run, tmp_path: Path) -> None:
    old = tarball(tmp_path / "old.tar", {f"usr/{n}": file("a") for n in range(9)})
    new = tarball(tmp_path / "new.tar", {})
    out = compare(old, new)[1]
    assert "  and 6 more: --rule lost" in out
    assert compare(old, new, "--rule", "lost")[1].count("  /usr/") == 9


def test_harmless_differences_are_status_0(compare: Run, tmp_path: Path) -> None:
    old = tarball(tmp_path / "old.tar", {"usr/l": link("../a"), **package("a/b-1")})
    new = tarball(tmp_path / "new.tar", {"usr/l": link("/a"), **package("a/b-1", COUNTER="7")})
    status, out, _ = compare(old, new)
    assert (status, out.splitlines()[-1]) == (0, "result      only harmless differences")
    status, out, _ = compare(old, old)
    assert (status, out.splitlines()[-1]) == (0, "result      no differences")


def test_json_has_all_but_what_is_left_out(compare: Run, pair: tuple[Path, Path]) -> None:
    status, out, _ = compare(*pair, "--json")
    found = json.loads(out)
    assert status == 1
    assert not found["passed"]
    assert found["counts"] == {"wrong": 2, "to look at": 2, "harmless": 1, "left out": 1}
    assert found["trees"][0]["old"]["kind"] == "tarball"
    assert {each["rule"] for each in found["differences"]} == {
        "setuid", "use", "etc", "content", "build-id",
    }  # fmt: skip
    (evil,) = (each for each in found["differences"] if each["rule"] == "content")
    assert evil["subject"] == f"/{EVIL}"
    whole = json.loads(compare(*pair, "--json", "--all")[1])
    assert "build-time" in {each["rule"] for each in whole["differences"]}


def test_the_page_is_one_file_without_script(
    compare: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    assert compare(*pair, "--html", target)[0] == 1
    page = target.read_text()
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert html.escape("/usr/<script>alert(1)</script>\\n\\x1b[31m") in page
    assert "-old\n+new" in page
    assert "@@ -1,2" in page
    assert compare(*pair, "--html", tmp_path / "absent/report.html")[0] == 3


@pytest.mark.parametrize("where", ["old", "new"])
def test_an_unreadable_output_is_status_2(
    where: str, compare: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.tar"
    for content in (pair[0].read_bytes()[:700], b"", b"not a tarball" * 100):
        bad.write_bytes(content)
        words = (bad, pair[1]) if where == "old" else (pair[0], bad)
        status, out, err = compare(*words)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "bad.tar" in err


def test_wrong_words_are_status_2(compare: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert compare(tmp_path / "absent", pair[0])[0] == 2
    assert compare(*pair, "--rule", "lots")[0] == 2
    status, _, err = compare(*pair, "--max-size", "0")
    assert (status, "--max-size" in err) == (2, True)
    status, _, err = compare("machine:router", pair[0], "--store", tmp_path / "no-store")
    assert (status, "store not found" in err) == (2, True)


def test_files_and_machines_are_completed() -> None:
    import click

    context = click.Context(click.Command("compare"))
    parameter = click.Argument(["old"])
    assert [each.type for each in complete_output(context, parameter, "./a")] == ["file"]
    assert [each.value for each in complete_output(context, parameter, "mach")] == [
        "machine:", "mach",
    ]  # fmt: skip
    assert complete_output(context, parameter, "machine:none") == []
