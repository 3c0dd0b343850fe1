"""A list of packages, kept up to date: what each run does, asks for, and says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.autogen.forge import NAME
from tests.autogen.overlay import Overlay

from cloche.autogen.lock import alone
from cloche.cli.main import cli
from cloche.config.errors import ConfigError
from cloche.errors import ClocheError, Exit

LIST = f"""
maintainers = ["Larry <larry@example.org>"]

[pypi.alpha]
[pypi.beta]
keywords = ["~arm64"]
[github."{NAME}"]
category = "app-shells"
"""


def publish(overlay: Overlay) -> None:
    overlay.list(LIST)
    overlay.index.release("alpha", "1.0", "Requires-Python: >=3.12")
    overlay.index.release("beta", "2.0", "Requires-Python: >=3.12", "Requires-Dist: alpha")
    overlay.forge.release("v1.2")


def test_all_packages_are_written_and_a_second_run_costs_one_answer_without_content_for_each(
    overlay: Overlay,
) -> None:
    publish(overlay)
    assert set(overlay.results().values()) == {"new"}
    assert overlay.ebuilds() == {"alpha-1.0", "beta-2.0", "hello-1.2"}
    beta = (overlay.repository / "dev-python/beta/beta-2.0.ebuild").read_text()
    assert 'KEYWORDS="~arm64"' in beta
    assert "dev-python/alpha[${PYTHON_USEDEP}]" in beta
    hello = overlay.repository / "app-shells/hello/metadata.xml"
    assert "<email>larry@example.org</email>" in hello.read_text()
    before = overlay.snapshot()
    overlay.index.answers.clear()
    overlay.forge.asked.clear()
    assert set(overlay.results().values()) == {"unchanged"}
    assert overlay.snapshot() == before
    assert sorted(overlay.index.answers) == [("/simple/alpha/", 304), ("/simple/beta/", 304)]
    assert [(path, status) for path, status, _ in overlay.forge.asked] == [
        (f"/repos/{NAME}/releases?per_page=100", 304)
    ]


def test_a_new_release_is_written_beside_the_old_one_and_nothing_else_is_touched(
    overlay: Overlay,
) -> None:
    publish(overlay)
    overlay.run()
    before = overlay.snapshot()
    overlay.index.release("alpha", "1.1", "Requires-Python: >=3.12")
    overlay.forge.release("v1.3")
    wrong = overlay.run("--dry-run", "--cache", "first")
    assert (wrong.exit_code, overlay.snapshot()) == (2, before)
    dry = overlay.report("--dry-run")
    assert {name: each["new"] for name, each in dry.items()} == {
        "pypi:alpha": ["dev-python/alpha-1.1"],
        "pypi:beta": [],
        f"github:{NAME}": ["app-shells/hello-1.3"],
    }
    assert overlay.snapshot() == before
    done = overlay.run()
    assert done.exit_code == 0
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["new", f"github:{NAME}", "app-shells/hello-1.3"],
        ["new", "pypi:alpha", "dev-python/alpha-1.1"],
        ["dev-python/alpha-1.1:", "its", "source", "archive", "has", "no", "tests"],
        ["2", "new,", "1", "unchanged"],
    ]
    after = overlay.snapshot()
    new = {"dev-python/alpha/alpha-1.1.ebuild", "app-shells/hello/hello-1.3.ebuild"}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {*new, "dev-python/alpha/Manifest", "app-shells/hello/Manifest"}
    manifest = after["dev-python/alpha/Manifest"][0].decode()
    assert {"alpha-1.0.tar.gz", "alpha-1.1.tar.gz"} <= set(manifest.split())


def test_one_that_fails_does_not_stop_the_others_and_is_tried_again(overlay: Overlay) -> None:
    publish(overlay)
    overlay.list(f"{LIST}\n[pypi.torn]\n[pypi.nowhere]\n[pypi.unclear]\n")
    overlay.index.release("torn", "1.0")
    right = overlay.index.files["torn-1.0.tar.gz"]
    overlay.index.files["torn-1.0.tar.gz"] = b"x" * len(right)
    overlay.index.release("unclear", "1.0", "License: as you like")
    assert overlay.results(status=1) == {
        "pypi:alpha": "new",
        "pypi:beta": "new",
        "pypi:torn": "failed",
        "pypi:nowhere": "refused",
        "pypi:unclear": "refused",
        f"github:{NAME}": "new",
    }
    found = overlay.report(status=1)
    assert "does not have the digest" in found["pypi:torn"]["reason"]
    assert "no project nowhere" in found["pypi:nowhere"]["reason"]
    assert overlay.ebuilds() == {"alpha-1.0", "beta-2.0", "hello-1.2"}
    overlay.index.files["torn-1.0.tar.gz"] = right
    overlay.index.release("nowhere", "3")
    overlay.list(f'{LIST}\n[pypi.torn]\n[pypi.nowhere]\n[pypi.unclear]\nlicense = "MIT"\n')
    assert set(overlay.results().values()) == {"new", "unchanged"}


def test_what_was_refused_is_not_read_again_until_something_changed(
    overlay: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay.list("[pypi.unclear]\n")
    overlay.index.release("unclear", "1.0", "License: as you like")
    before = overlay.report(status=1)["pypi:unclear"]
    assert before["result"] == "refused"

    def asked(*words: str, status: int = 1) -> list[str]:
        overlay.index.asked.clear()
        assert overlay.report(*words, status=status)["pypi:unclear"] == before
        return sorted(overlay.index.asked)

    assert asked("--dry-run") == asked() == ["/simple/unclear/"]
    assert len(asked("--again")) > 1
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr("cloche.autogen.run.running.time.time", lambda: now + 8 * 24 * 3600)
        assert len(asked()) > 1
    overlay.index.release("unclear", "1.1", "License: MIT")
    assert overlay.results() == {"pypi:unclear": "new"}
    assert overlay.results() == {"pypi:unclear": "unchanged"}


def test_a_fault_of_ours_in_one_package_does_not_stop_the_others(
    overlay: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(overlay)

    def broken(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("cloche.autogen.run.upstream.pypi.Generator.packages", broken)
    found = overlay.report(status=1)
    assert found["pypi:alpha"]["reason"] == "a fault of cloche: KeyError: 'lost'"
    assert found[f"github:{NAME}"]["result"] == "new"


def test_what_upstream_removed_is_told_and_stays(overlay: Overlay) -> None:
    publish(overlay)
    overlay.run()
    before = overlay.snapshot()
    del overlay.index.pages["alpha"]
    found = overlay.report()
    assert found["pypi:alpha"]["result"] == "removed"
    assert found["pypi:alpha"]["ebuilds"] == ["dev-python/alpha-1.0"]
    assert overlay.snapshot() == before
    for each in overlay.index.pages["beta"]:
        each["yanked"] = "it eats files"
    overlay.index.release("beta", "1.9", "Requires-Python: >=3.12")
    notes = overlay.report()["pypi:beta"]["notes"]
    assert "beta 2.0 was withdrawn (yanked): it eats files" in notes


def test_an_interrupted_run_goes_on_where_it_was(
    overlay: Overlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(overlay)
    with monkeypatch.context() as patch:

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("cloche.autogen.run.upstream.Github.packages", interrupted)
        assert overlay.run().exit_code != 0
    (cache,) = (overlay.room / "cache/cloche/autogen").iterdir()
    cache.write_text(cache.read_text() + '{"package": "pypi:al')  # cut off
    overlay.index.asked.clear()
    assert overlay.results() == {
        "pypi:alpha": "unchanged",
        "pypi:beta": "unchanged",
        f"github:{NAME}": "new",
    }
    assert sorted(overlay.index.asked) == ["/simple/alpha/", "/simple/beta/"]


def test_other_options_and_removed_ebuilds_count_as_changes(overlay: Overlay) -> None:
    publish(overlay)
    overlay.run()
    (overlay.repository / "dev-python/alpha/alpha-1.0.ebuild").unlink()
    overlay.list(LIST.replace("~arm64", "~riscv"))
    assert overlay.results() == {
        "pypi:alpha": "new",
        "pypi:beta": "changed",
        f"github:{NAME}": "unchanged",
    }
    overlay.index.answers.clear()
    assert set(overlay.results("--again").values()) == {"unchanged"}
    assert "/files/beta-2.0-py3-none-any.whl.metadata" in [p for p, _ in overlay.index.answers]


def test_other_names_of_libraries_count_as_changes(overlay: Overlay) -> None:
    publish(overlay)
    overlay.list(f'names = "names.toml"\n{LIST}')
    names = overlay.room / "names.toml"
    names.write_text("[pkg-config]\n")
    overlay.run()
    overlay.forge.asked.clear()
    assert set(overlay.results().values()) == {"unchanged"}
    assert len(overlay.forge.asked) == 1
    names.write_text('[pkg-config]\nhello-3 = "dev-libs/hello:3"\n')
    assert set(overlay.results().values()) == {"unchanged"}
    assert len(overlay.forge.asked) > 2  # its build files were read again


def test_series_and_prereleases_are_chosen(overlay: Overlay) -> None:
    for version in ("1.4", "1.10", "2.0", "2.1", "3.0rc1"):
        overlay.index.release("alpha", version, "Requires-Python: >=3.12")
        overlay.index.release("beta", version, "Requires-Python: >=3.12")
    for tag in ("v1.9", "v1.10", "v11.0", "v2.0"):
        overlay.forge.release(tag)
    overlay.list(
        '[pypi.alpha]\nversions = ["newest", "1"]\n[pypi.beta]\nprereleases = true\n'
        f'[github."{NAME}"]\nversions = ["1"]\n'
    )
    assert set(overlay.results().values()) == {"new"}
    assert overlay.ebuilds() == {"alpha-2.1", "alpha-1.10", "beta-3.0_rc1", "hello-1.10"}
    manifest = (overlay.repository / "dev-python/alpha/Manifest").read_text()
    assert {"alpha-2.1.tar.gz", "alpha-1.10.tar.gz"} <= set(manifest.split())
    overlay.list('[pypi.alpha]\nversions = ["newest", "7"]\n')
    found = overlay.report(status=1)["pypi:alpha"]
    assert (found["result"], found["ebuilds"]) == ("refused", ["dev-python/alpha-2.1"])
    assert "no release of series 7" in found["reason"]


def test_dependencies_that_are_listed_later_are_written_once(overlay: Overlay) -> None:
    overlay.index.release("beta", "2.0", "Requires-Dist: alpha>=1", "Requires-Dist: gamma")
    overlay.index.release("alpha", "1.0")
    overlay.index.release("gamma", "1.0", "Requires-Dist: alpha")
    overlay.list("[pypi.beta]\ndeps = true\n[pypi.gamma]\ndeps = true\n[pypi.alpha]\n")
    found = overlay.report()
    assert sorted(found["pypi:beta"]["new"]) == [
        "dev-python/alpha-1.0",
        "dev-python/beta-2.0",
        "dev-python/gamma-1.0",
    ]
    assert found["pypi:alpha"]["new"] == found["pypi:gamma"]["new"] == []


def test_after_the_rate_limit_github_is_asked_for_nothing_more(overlay: Overlay) -> None:
    overlay.list(f'[github."{NAME}"]\n[github."larry/other"]\n[pypi.alpha]\n')
    overlay.index.release("alpha", "1.0")
    limit = (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1893456000"}, b"{}")
    overlay.forge.faults[f"/repos/{NAME}/releases"] = limit
    found = overlay.report(status=1)
    assert [each["result"] for each in found.values()] == ["new", "failed", "failed"]
    assert "until 2030-01-01" in found["github:larry/other"]["reason"]
    assert len(overlay.forge.asked) == 1


def test_two_runs_on_one_repository_are_refused(overlay: Overlay) -> None:
    publish(overlay)
    with alone(overlay.repository):
        error = overlay.run().exception
    assert isinstance(error, ClocheError)
    assert "another process of autogen" in error.what
    assert error.status is Exit.HOST
    assert not overlay.ebuilds()
    assert overlay.run().exit_code == 0


def test_other_commands_do_not_write_beside_a_run(overlay: Overlay) -> None:
    publish(overlay)
    index = ("--index-url", f"{overlay.index.address}/simple/")
    with alone(overlay.repository):
        for words in (
            ("pypi", "alpha", *index),
            ("github", NAME, "--api-url", overlay.forge.address),
        ):
            given = ("autogen", *words, "--into", str(overlay.repository))
            command = ["-C", str(overlay.room), *given, "--distdir", str(overlay.room / "dist")]
            error = CliRunner().invoke(cli, command).exception
            assert isinstance(error, ClocheError)
            assert "another process of autogen" in error.what
            assert CliRunner().invoke(cli, [*command, "--dry-run"]).exit_code == 0
    assert not overlay.ebuilds()


def test_an_upstream_that_is_down_is_not_asked_for_each_package(overlay: Overlay) -> None:
    names = [f"p{number}" for number in range(20)]
    overlay.list("".join(f"[pypi.{name}]\n" for name in names) + f'[github."{NAME}"]\n')
    overlay.forge.release("v1.2")
    for name in names:
        overlay.index.raw[name] = b"{"
    found = list(overlay.report(status=1).values())
    assert [each["result"] for each in found] == ["failed"] * 20 + ["new"]
    assert "malformed" in found[9]["reason"]
    assert found[10]["reason"] == "not tried, as the last 10 from pypi failed"


def test_a_killed_run_leaves_whole_packages_and_the_next_one_does_the_rest(
    overlay: Overlay,
) -> None:
    names = [f"p{number}" for number in range(40)]
    for name in names:
        overlay.index.release(name, "1.0", "Requires-Python: >=3.12")
    overlay.list("".join(f"[pypi.{name}]\n" for name in names))
    words = [sys.executable, "-m", "cloche", "-C", overlay.room, "autogen", "run",
             "--distdir", overlay.room / "dist",
             "--index-url", f"{overlay.index.address}/simple/"]  # fmt: skip
    pause = overlay.repository / "dev-python/p20/Manifest"
    pause.parent.mkdir(parents=True)
    os.mkfifo(pause)  # to read it waits for a writer, who never comes
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    while (line := process.stderr.readline()) and "p20 1.0" not in line:
        pass
    process.kill()
    process.wait()
    process.stderr.close()
    pause.unlink()
    there = {name: text for name, (text, _) in overlay.snapshot().items()}
    packages = [place for place in there if place.endswith(".ebuild")]
    assert len(packages) == 20
    for place in packages:
        manifest = there[f"{place.rpartition('/')[0]}/Manifest"].decode()
        assert manifest.startswith(f"DIST {Path(place).stem}.tar.gz ")
    found = overlay.results()
    assert list(found.values()) == ["unchanged"] * 20 + ["new"] * 20
    assert overlay.ebuilds() == {f"{name}-1.0" for name in names}
    after = {name: text for name, (text, _) in overlay.snapshot().items()}
    assert {name: after[name] for name in packages} == {name: there[name] for name in packages}


def test_a_page_without_a_validator_is_compared_by_its_content(overlay: Overlay) -> None:
    publish(overlay)
    overlay.run()
    place = overlay.room / "cache/cloche/index"
    for each in place.iterdir():  # as an index leaves it that states none
        head, _, body = each.read_bytes().partition(b"\n")
        headers = {k: v for k, v in json.loads(head).items() if k != "ETag"}
        each.write_bytes(json.dumps(headers).encode() + b"\n" + body)
    overlay.index.answers.clear()
    assert set(overlay.results().values()) == {"unchanged"}
    assert {status for _, status in overlay.index.answers} == {200}


@pytest.mark.parametrize(
    ("text", "line", "what", "todo"),
    [
        ("[pypi.a]\ndep = true\n", 3, "unknown key “pypi.a.dep”", "“deps”"),
        ("[pypy.a]\n", 2, "unknown key “pypy”", "“pypi”"),
        ("[pypi.a]\ntags = true\n", 3, "unknown key “pypi.a.tags”", None),
        ('[pypi.a]\nversions = ["newest", "2.x"]\n', 3, "“2.x”", None),
        ('[pypi.a]\ncategory = "x y"\n', 3, "“x y”", None),
        ('[pypi.a]\nlicense = "$(id)"\n', 3, "$(id)", None),
        ('[pypi."a b"]\n', 2, "not a name of a Python project", None),
        ("[pypi.A_b]\n[pypi.a-b]\n", 3, "same package as “A_b”", None),
        ('[github."a/b@v1"]\n', 2, "names a tag", "matching"),
        ('[github."a"]\n', 2, "not a repository of GitHub", None),
        ('[github."a/b"]\nmatching = "("\n', 3, "not a regular expression", None),
        ('[github."a/b"]\nname = "x-1"\n', 3, "“x-1”", None),
        ('keywords = ["x", "a b"]\n[pypi.a]\n', 2, "“a b”", None),
        ('maintainers = ["Larry"]\n[pypi.a]\n', 2, "not a maintainer", None),
        ('repos = ["lost"]\n[pypi.a]\n', 2, "lost is not there", None),
        ("[pypi]\n", None, "lists no packages", "[pypi.rich]"),
        ("[pypi.a\n", 2, "not TOML", None),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(
    overlay: Overlay, text: str, line: int | None, what: str, todo: str | None
) -> None:
    overlay.list(text)
    error = overlay.run().exception
    assert isinstance(error, ConfigError), error
    assert what in error.what
    assert error.where == str(overlay.room / "autogen.toml") + (f":{line}" if line else "")
    assert todo is None or todo in (error.todo or "")


def test_the_other_commands_read_the_same_file(overlay: Overlay, tmp_path: Path) -> None:
    from cloche.autogen.settings import read_settings

    publish(overlay)
    settings = read_settings(overlay.room / "autogen.toml")
    assert settings.maintainers[0].email == "larry@example.org"
    assert read_settings(tmp_path / "none.toml").keywords == ("~amd64",)


@pytest.mark.parametrize("kind", ["systemd", "cron"])
def test_a_timer_runs_the_same_command_from_anywhere(overlay: Overlay, kind: str) -> None:
    publish(overlay)
    done = overlay.run("--print-timer", kind, "--report", "/var/log/100%.json")
    assert done.exit_code == 0, done.exception
    (line,) = [each for each in done.stdout.splitlines() if "autogen run" in each and "--" in each]
    assert f"autogen run {overlay.room}/autogen.toml" in line
    assert f"--index-url {overlay.index.address}/simple/" in line
    assert ("100%%.json" if kind == "systemd" else "100\\%.json") in line
    assert overlay.repository.owner() in done.stdout
    assert "--print-timer" not in done.stdout
    assert not overlay.ebuilds()
