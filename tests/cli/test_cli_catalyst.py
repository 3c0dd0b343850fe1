"""`cloche catalyst`: what it prints, its JSON and its statuses."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from cloche.cli.catalyst_specs import complete_token

SPEC = """\
target: stage3
subarch: amd64
version_stamp: @TIMESTAMP@
rel_type: default
profile: default/linux/amd64
snapshot_treeish: @TREEISH@
source_subpath: default/stage3-amd64-latest
portage_confdir: @REPO_DIR@/releases/portage
"""


@pytest.fixture
def releng(tmp_path, monkeypatch):
    """A checkout as that of releng, with one spec; its specs are the current directory."""
    specs = tmp_path / "releases/specs"
    for place in (specs, tmp_path / "releases/portage", tmp_path / "tools"):
        place.mkdir(parents=True)
    (tmp_path / "tools/catalyst-auto").touch()
    (specs / "stage3.spec").write_text(SPEC)
    monkeypatch.chdir(specs)
    return tmp_path


@pytest.fixture
def cloche(run_cloche):
    """Run `cloche catalyst`."""
    return partial(run_cloche, "catalyst")


def test_warnings_alone_are_status_0(releng, cloche):
    status, out, _ = cloche("lint", ".")
    assert status == 0
    line, total = out.splitlines()
    assert line.startswith("stage3.spec:7: warning: default/stage3-amd64-latest is a link")
    assert line.endswith(" [latest]")
    assert total == "1 spec: 0 errors, 1 warning"
    assert cloche("lint", "stage3.spec", "--errors")[1] == "1 spec: 0 errors\n"


def test_an_error_is_status_1_and_has_its_line(releng, cloche):
    Path("b.spec").write_text(SPEC.replace("portage_confdir", "portage_confdri"))
    status, out, _ = cloche("lint", ".", "--errors", "--json")
    assert status == 1
    data = json.loads(out)
    assert data["specs"] == 2
    (finding,) = data["findings"]
    place = (finding["file"], finding["line"], finding["rule"])
    assert place == ("b.spec", 8, "unknown")
    assert finding["todo"] == "did you mean “portage_confdir”?"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("lint", "none.spec"), "does not exist"),
        (("lint", "empty"), "no spec files found"),
        (("lint", "stage3.spec", "--set", "X"), "“X” is not TOKEN=VALUE"),
        (("plan", "stage3.spec", "-C", "X"), "“X” is not KEY=VALUE"),
        (("plan", "stage3.spec", "-C", "stage9=1"), "stage3 does not know “stage9”"),
    ],
)
def test_bad_input_is_one_line_and_status_2(releng, cloche, words, line):
    Path("empty").mkdir()
    status, out, err = cloche(*words)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert line in err


def test_a_plan_shows_steps_paths_and_sources(releng, cloche):
    Path("x.conf").write_text('storedir = "/srv"\n')
    stamp = "TIMESTAMP=20260426T191549Z"
    status, out, _ = cloche("plan", "stage3.spec", "-c", "x.conf", "--set", stamp)
    assert status == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "stage3:"
    assert "tarball /srv/builds/default/stage3-amd64-20260426T191549Z.tar.bz2" in lines
    assert f"confdir {releng}/releases/portage (stage3.spec:8)" in lines
    assert any(line.endswith("x.conf:1)") and line.startswith("storedir /srv") for line in lines)
    assert lines[-1].startswith("open tokens: TREEISH")


def test_a_plan_as_json(releng, cloche):
    _, out, _ = cloche("plan", "stage3.spec", "-C", "compression_mode=zstd", "--json")
    data = json.loads(out)
    assert data["outputs"][0]["path"].endswith("builds/default/stage3-amd64-@TIMESTAMP@.tar.zstd")
    assert data["steps"][0]["name"] == "unpack"
    assert data["tokens"] == ["TIMESTAMP", "TREEISH"]


def test_set_neither_waits_for_a_fifo_nor_takes_other_text_than_utf_8(releng, cloche):
    os.mkfifo("fifo.spec")
    status, _, err = cloche("plan", "fifo.spec", "--set", "OTHER=1")
    assert (status, err) == (2, "cloche: fifo.spec: not a regular file\n")
    status, _, err = cloche("plan", "stage3.spec", "--set", "TREEISH=\udcff")
    assert (status, err) == (
        2,
        "cloche: --set: “TREEISH=\\udcff” is not UTF-8; write it in UTF-8\n",
    )


def test_tokens_are_completed():
    assert complete_token(None, None, "T") == ["TIMESTAMP=", "TREEISH="]


@pytest.mark.parametrize("jobs", ["many", "0", "-1"])
def test_jobs_of_catalyst_conf_are_a_number(releng, cloche, jobs):
    Path("catalyst.conf").write_text(f'jobs = "{jobs}"\n')
    status, _, err = cloche("-c", "catalyst.conf", "-f", "stage3.spec")
    assert status == 2
    said = f"catalyst.conf:1: “jobs” is “{jobs}”; write a number from 1"
    assert said in err
    assert len(err.splitlines()) == 1


def test_the_help_and_version_have_what_catalyst_auto_greps_for(cloche):
    status, out, _ = cloche("--help")
    assert status == 0
    assert "git-treeish" in out
    assert cloche("--version")[1].startswith("cloche catalyst, version ")
    assert cloche("-V")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("-a",),
        ("-p", "-v", "-d", "--log-level", "info"),
        ("--clear-autoresume", "--purge", "--versioned-cachedir", "--nocolor"),
        ("--unversioned-cachedir", "--color", "--trace", "--profile", "--enter-chroot", "-F"),
    ],
)
def test_the_options_of_catalyst_are_accepted(releng, cloche, words, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("catalyst.conf").write_text(f'storedir = "{releng}/store"\n')
    status, _, err = cloche(*words, "-c", "catalyst.conf", "-f", "stage3.spec")
    assert status == 2
    assert "stage3.spec:3: @TIMESTAMP@ is not filled in; add --set TIMESTAMP=VALUE" in err
    assert not (releng / "store").exists()


def test_purging_removes_what_cloche_made_and_nothing_else(releng, cloche):
    Path("catalyst.conf").write_text(f'storedir = "{releng}/store"\n')
    tokens = ("--set", "TIMESTAMP=1", "--set", "TREEISH=abc")
    call = ("--purgetmponly", "-c", "catalyst.conf", "-f", "stage3.spec", *tokens)
    project = releng / "store/cloche/default/stage3-amd64-1"
    (project / "machines").mkdir(parents=True)
    assert cloche(*call) == (0, "", "stage3.spec: nothing to remove\n")
    assert project.is_dir()
    (project / ".cloche").touch()
    assert cloche(*call, "--dry-run") == (0, "", f"would be removed: {project}\n")
    assert cloche(*call) == (0, "", f"removed: {project}\n")
    assert not list(project.parent.iterdir())


def test_an_unknown_token_is_an_error(releng, cloche):
    status, _, err = cloche("-f", "stage3.spec", "--set", "TMIESTAMP=1")
    assert status == 2
    assert err == "cloche: --set: no spec contains @TMIESTAMP@; did you mean TIMESTAMP?\n"


def test_a_wrong_target_is_the_first_error_and_leaves_no_directory(releng, cloche):
    Path("catalyst.conf").write_text(f'storedir = "{releng}/store"\n')
    call = ("-c", "catalyst.conf", "-f", "x.spec")
    for text, said in (
        ("", "x.spec: “target” is missing"),
        ("target: stage5\n", "x.spec:1: unknown target “stage5”; did you mean"),
    ):
        Path("x.spec").write_text(text)
        status, _, err = cloche(*call)
        assert (status, len(err.splitlines())) == (2, 1)
        assert said in err
    assert not (releng / "store").exists()


def test_a_missing_repository_is_an_error_with_the_line_of_the_spec(releng, cloche):
    Path("catalyst.conf").write_text(f'storedir = "{releng}/store"\n')
    status, _, err = cloche("-c", "catalyst.conf", "-s", "abc")
    assert status == 2
    assert f"git repository not found: {releng}/store/repos/gentoo.git" in err
    assert "git clone --bare" in err
    err = cloche("-c", "catalyst.conf", "-s", "stable", "--dry-run")[2]
    assert "`cloche catalyst -s stable` clones it" in err
    Path("x.spec").write_text("target: snapshot\nsnapshot_treeish: abc\n")
    assert "x.spec:2: git repository not found" in cloche("-c", "catalyst.conf", "-f", "x.spec")[2]
    assert not (releng / "store").exists()


@pytest.fixture
def ready(releng):
    """`stage3.spec` can be built, as far as is seen before its source is unpacked."""
    builds = releng / "store/builds/default"
    snapshots = releng / "store/snapshots"
    for place in (builds, snapshots):
        place.mkdir(parents=True)
    (builds / "stage3-amd64-latest.tar").touch()
    (snapshots / "gentoo-abc.sqfs").touch()
    Path("catalyst.conf").write_text(f'storedir = "{releng}/store"\n')
    tokens = ("--set", "TIMESTAMP=1", "--set", "TREEISH=abc")
    return ("-c", "catalyst.conf", *tokens, "-f", "stage3.spec")


STAGE4 = f"{SPEC}stage4/packages: a/b\n".replace("stage3\n", "stage4\n").replace(
    "amd64-latest", "amd64-@TIMESTAMP@"
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a/b\n", "a/b\nstage4/fsscript: /x\n", ":10: stage4/fsscript: no such file: /x"),
        ("@REPO_DIR@/releases", "/none", ":8: portage_confdir: no such directory: /none/portage"),
        ("a/b\n", "a/b\nrepos: /none\n", ":10: “/none” is not a directory"),
        ("default/stage3-", "default/x-", ":7: no such file: "),
    ],
)
def test_a_later_spec_is_checked_before_the_first_is_built(releng, cloche, ready, old, new, said):
    Path("stage4.spec").write_text(STAGE4.replace(old, new))
    status, out, err = cloche(*ready, "-f", "stage4.spec")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"cloche: stage4.spec{said}")
    assert not (releng / "store/cloche").exists()


def test_a_squashfs_is_not_a_source(releng, cloche, ready):
    Path("stage4.spec").write_text(STAGE4)
    squashed = Path("stage3.spec").read_text() + "compression_mode: squashfs\n"
    Path("stage3.spec").write_text(squashed)
    status, _, err = cloche(*ready, "-f", "stage4.spec")
    assert status == 2
    assert "stage4.spec:7: the output of stage3.spec: a source that is a squashfs" in err
    source = releng / "store/builds/default/stage3-amd64-latest.tar"
    source.rename(source.with_suffix(".squashfs"))
    status, _, err = cloche(*ready)
    assert status == 2
    assert f"stage3.spec:7: {source.with_suffix('.squashfs')}: a source that is a squashfs" in err
    assert not (releng / "store/cloche").exists()


def test_only_an_earlier_spec_makes_a_source(releng, cloche, ready):
    Path("stage4.spec").write_text(STAGE4)
    *words, option, last = ready
    status, _, err = cloche(*words, "-f", "stage4.spec", option, last)
    assert status == 2
    assert err.startswith("cloche: stage4.spec:7: no such file: ")
