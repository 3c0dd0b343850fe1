"""Each trap of the format, and specs without one."""

from pathlib import Path

import pytest

from cloche.catalyst.keys import TARGETS
from cloche.catalyst.lint import lint, lint_spec
from cloche.catalyst.spec import parse_spec

RELEASE = Path(__file__).parent / "release"
STAGE3 = {
    "target": "stage3",
    "subarch": "amd64",
    "version_stamp": "openrc-@TIMESTAMP@",
    "rel_type": "default",
    "profile": "default/linux/amd64",
    "snapshot_treeish": "@TREEISH@",
    "source_subpath": "default/stage3-amd64-20260101",
}
STAGE1 = {**STAGE3, "target": "stage1"}
STAGE4 = {**STAGE3, "target": "stage4", "stage4/packages": "app-misc/hello"}
LIVECD = {**STAGE3, "target": "livecd-stage2", "boot/kernel": "gentoo"}


def written(directory, keys, more="", name="a.spec"):
    file = directory / name
    lines = [f"{key}: {value}\n" for key, value in keys.items() if value is not None]
    file.write_text("".join(lines) + more)
    return file


def found(*files, **values):
    return [(each.severity, each.rule, each.origin.line) for each in lint(files, values)]


def test_a_plain_spec_has_nothing_wrong(tmp_path):
    assert found(written(tmp_path, STAGE3)) == []
    assert found(written(tmp_path, LIVECD, "boot/kernel/gentoo/distkernel: yes\n")) == []
    for subarch in ("arm64", "rv64_lp64d", "i486"):
        assert found(written(tmp_path, {**LIVECD, "subarch": subarch}, "livecd/iso: x.iso")) == []
    assert found(written(tmp_path, {**LIVECD, "subarch": "sparc64"})) == []  # without an image


@pytest.mark.parametrize(
    ("keys", "more", "rule", "words"),
    [
        (STAGE3, "portage_confdirr: /x", "unknown", "did you mean “portage_confdir”?"),
        (STAGE3, "keep_repos : a", "unknown", "remove the space before “:”"),
        (STAGE3, "stage4/rm: /x", "unknown", "it is a key of stage4"),
        (STAGE3, "chost: x", "unknown", "it is a key of stage1, stage2"),
        (STAGE4, "stage4/use:\n\ta\n\tdev-lang/python:3.12", "unknown", "also inside of a list"),
        (LIVECD, "boot/kernel/gento/config: /x", "unknown", "name “gento” in boot/kernel"),
        (STAGE4, "stage4/use: a#b", "comment", "“#b” is not read"),
        (STAGE3, "profile: x", "repeated", "the value in line 5 is dropped"),
        (STAGE4, 'stage4/use: a "b"', "quote", "quotation mark"),
        (STAGE4, "stage4/use: a\n\t%(subarch)s", "percent", "only in the line of the key"),
        (STAGE3, "cflags: %(nothing)s", "unreadable", "give “nothing” in a line above"),
        ({**STAGE3, "rel_type": None}, "", "missing", "“rel_type” is missing"),
        ({**STAGE3, "target": "stage33"}, "", "target", "did you mean “stage3”?"),
        ({**STAGE3, "target": None}, "", "target", "“target” is missing"),
        ({**STAGE3, "version_stamp": "a b"}, "", "value", "one word"),
        (STAGE3, "compression_mode: zst", "value", "try zstd"),
        (STAGE1, 'common_flags: -DX="y" -g', "value", "cannot be a value in make.conf"),
        (STAGE1, "cflags: $(id)", "value", "cannot be a value in make.conf"),
        (STAGE1, "chost: a\\b", "value", "cannot be a value in make.conf"),
        (STAGE1, "chost: a b", "value", "one word"),
        (STAGE3, "binrepo_path: a b", "value", "one word"),
        (STAGE3, "portage_prefix: ../x", "value", "not the name of a file"),
        (LIVECD, "livecd/iso: a b.iso", "value", "one word"),
        (STAGE3, "rename_regexp: s_a", "value", "sed -E"),
        (STAGE3, "rename_regexp: s/a/id/e", "value", "sed -E"),
        (LIVECD, f"livecd/volid: {'x' * 20}@TIMESTAMP@", "value", "more than 32 characters"),
        (LIVECD, "livecd/verify: sha512", "value", "write blake2"),
        (STAGE4, "stage4/users: larry=wheel", "users", "USER=GROUPS"),
        ({**LIVECD, "boot/kernel": "my-kernel"}, "", "label", "below another name"),
        (STAGE3, "keep_repos: @TIMESTMP@", "token", "did you mean @TIMESTAMP@?"),
        (STAGE3, "portage_confdir: confdir", "relative", "not an absolute path"),
        (STAGE3, "portage_confdir: @REPO_DIR@/none", "absent", "catalyst fails"),
        (STAGE4, "stage4/root_overlay: @REPO_DIR@/none", "absent", "without a word"),
        (STAGE4, "stage4/fsscript: @REPO_DIR@/none.sh", "absent", "fails at the end"),
        (LIVECD, "boot/kernel/gentoo/config: @REPO_DIR@/none", "absent", "catalyst fails"),
    ],
)
def test_what_catalyst_fails_at_or_drops_is_an_error(tmp_path, keys, more, rule, words):
    findings = lint([written(tmp_path, keys, more)], {"REPO_DIR": str(tmp_path)})
    assert [(each.severity, each.rule) for each in findings] == [("error", rule)]
    assert words in str(findings[0])
    assert str(findings[0]).startswith(f"{tmp_path}/a.spec:")


def test_a_line_before_any_key_is_reported_with_the_key_that_it_makes(tmp_path):
    file = tmp_path / "a.spec"
    file.write_text("hello world\n" + written(tmp_path, STAGE3, name="b.spec").read_text())
    assert found(file) == [("error", "orphan", 1), ("error", "unknown", 1)]


@pytest.mark.parametrize(
    ("keys", "more", "rule"),
    [
        (STAGE3, "cflags: -O2", "unread"),
        (STAGE3, "catalyst_use: x", "unread"),
        (LIVECD, "livecd/users: larry", "unread"),
        (LIVECD, "boot/kernel/gentoo/gk_action: all", "unread"),
        (LIVECD, "boot/kernel/gentoo/dracut_args: --xz", "unread"),
        (
            {**LIVECD, "boot/kernel/gentoo/distkernel": "yes"},
            "boot/kernel/gentoo/extraversion: x",
            "unread",
        ),
        (STAGE3, "keep_repos:", "empty"),
        ({**STAGE3, "source_subpath": "default/stage3-amd64-openrc-latest"}, "", "latest"),
        (STAGE3, "portage_confdir: /no/such/directory", "absent"),
        (LIVECD, "boot/kernel/gentoo/config: ../x.config", "relative"),
        ({**LIVECD, "subarch": "sparc64"}, "livecd/iso: x.iso", "cpu"),
        ({**LIVECD, "subarch": "hppa1.1"}, "livecd/iso: x.iso", "cpu"),
    ],
)
def test_what_works_and_hardly_anybody_means_is_a_warning(tmp_path, keys, more, rule):
    file = written(tmp_path, keys, more)
    assert [(severity, name) for severity, name, _ in found(file)] == [("warning", rule)]


def test_flags_count_where_a_target_reads_them(tmp_path):
    flags = "common_flags: -O2\ncflags: ${COMMON_FLAGS} -g\nchost: x\nportage_prefix: none\n"
    assert found(written(tmp_path, STAGE1, flags)) == []
    assert "cxxflags" not in TARGETS["stage2"].unread
    assert "fflags" in TARGETS["stage2"].unread


def test_a_kernel_configuration_is_found_by_its_name_as_catalyst_auto_does(tmp_path):
    there = tmp_path / "releases/kconfig/amd64/x.config"
    there.parent.mkdir(parents=True)
    there.touch()
    file = written(tmp_path, LIVECD, "boot/kernel/gentoo/config: /root/releng/x.config\n")
    assert found(file, REPO_DIR=str(tmp_path)) == []
    for name in ("*.config", "x**", "", ".."):  # these are names, not patterns
        file = written(tmp_path, LIVECD, f"boot/kernel/gentoo/config: /root/none/{name}\n")
        assert found(file, REPO_DIR=str(tmp_path)) == [("warning", "absent", 9)]


def test_paths_that_are_there_are_not_reported(tmp_path):
    file = written(tmp_path, STAGE3, "portage_confdir: @REPO_DIR@\nrepos: @ELSEWHERE@/x\n")
    assert found(file, REPO_DIR=str(tmp_path), ELSEWHERE=str(tmp_path)) == [("error", "absent", 9)]


def test_a_source_that_no_spec_makes_is_dangling(tmp_path):
    own = {**STAGE3, "source_subpath": "default/stage1-amd64-openrc-@TIMESTAMP@"}
    stage3 = written(tmp_path, own)
    stage1 = written(tmp_path, {**STAGE3, "target": "stage1"}, name="b.spec")
    other = written(tmp_path, {**STAGE3, "target": "stage2"}, name="c.spec")
    assert found(stage3, stage1) == []
    assert found(stage3, other) == [("error", "source", 7)]
    assert found(stage3) == []  # alone, its maker may be anywhere
    renamed = written(tmp_path, {**own, "source_subpath": own["source_subpath"] + ".tar.xz"})
    assert found(renamed, stage1) == []


def test_two_specs_that_write_the_same_are_reported_once(tmp_path):
    first = written(tmp_path, STAGE3)
    second = written(tmp_path, STAGE3, "compression_mode: lbzip2\n", name="b.spec")
    third = written(tmp_path, STAGE3, "compression_mode: xz\n", name="c.spec")
    assert found(first, third) == []
    (finding,) = lint([first, second], {})
    assert (finding.origin.file, finding.rule) == (second, "same-output")
    assert "builds/default/stage3-amd64-openrc-@TIMESTAMP@.tar.bz2" in finding.what


def test_the_shared_releases_specs_have_only_a_seed_that_moves(tmp_path):
    inputs = ("confdir", "overlay", "root_overlay", "fsscript.sh")
    for name in inputs:
        (tmp_path / name).touch()
    files = sorted(RELEASE.glob("*.spec"))
    assert found(*files, INPUTS=str(tmp_path)) == [("warning", "latest", 10)]


def test_a_confdir_that_contradicts_itself_is_found(tmp_path):
    uses = tmp_path / "confdir/package.use"
    uses.mkdir(parents=True)
    (uses / "a").write_text("app-misc/x nls\napp-misc/x -nls\n")  # the last line counts
    spec = f"target: stage3\nportage_confdir: {tmp_path}/confdir\n"
    found = [each.rule for each in lint_spec(parse_spec(spec, Path("x.spec")), {})]
    assert "contradiction" not in found
    other = tmp_path / "other/package.use"
    other.mkdir(parents=True)
    (other / "a").write_text("app-misc/x nls\n")
    (other / "b").write_text("\napp-misc/x -nls\n")
    spec = f"target: stage3\nportage_confdir: {tmp_path}/other\n"
    (found,) = [
        each
        for each in lint_spec(parse_spec(spec, Path("x.spec")), {})
        if each.rule == "contradiction"
    ]
    assert str(found).startswith(
        f"x.spec:2: error: {other}/b:2: “nls” in package.use of app-misc/x"
    )


def test_treeishes_are_looked_for_where_they_may_be(tmp_path):
    file = tmp_path / "x.spec"
    for treeish, rule in (("a", None), ("b", "warning"), ("c", "error"), ("@TREEISH@", None)):
        file.write_text(f"target: stage3\nsnapshot_treeish: {treeish}\n")
        found = lint([file], {}, {"a": "snapshot", "b": "commit"}.get)
        assert [each.severity for each in found if each.rule == "treeish"] == [rule] * bool(rule)
