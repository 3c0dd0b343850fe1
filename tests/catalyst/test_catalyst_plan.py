"""What catalyst would do, compared with what it did: the steps and paths of the shared release."""

from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.paths import EXTENSIONS
from cloche.catalyst.plan import plan_spec
from cloche.catalyst.spec import parse_spec, read_spec
from cloche.catalyst.tokens import fill
from cloche.config.errors import ConfigError

RELEASE = Path(__file__).parent / "release"
TOKENS = {"TIMESTAMP": "20261127T000000Z", "R": "/r", "INPUTS": "/inputs", "TREEISH": "2a19c966"}
BEGIN = [
    "unpack",
    "config_profile_link",
    "setup_confdir",
    "process_repos",
    "bind",
    "chroot_setup",
    "setup_environment",
]

#: The action sequences that catalyst df01e21b logged, after BEGIN.
LOGGED = {
    "stage1": "run_local preclean clean capture remove_autoresume clean_stage1",
    "stage2": "run_local preclean clean capture remove_autoresume",
    "stage3": "run_local preclean clean capture remove_autoresume",
    "stage4": "build_packages build_kernel bootloader root_overlay fsscript preclean rcupdate "
    "unmerge remove groups users ssh_public_keys empty clean capture remove_autoresume",
    "livecd-stage1": "build_packages clean capture remove_autoresume",
    "livecd-stage2": "run_local build_kernel bootloader preclean livecd_update root_overlay "
    "fsscript rcupdate unmerge remove empty clean target_setup setup_overlay create_iso capture "
    "remove_autoresume",
    "embedded": "build_kernel build_packages root_overlay fsscript unmerge remove empty clean "
    "capture capture remove_autoresume",
}


def spec_of(name):
    return read_spec(RELEASE / f"{name}.spec", lambda text: fill(text, TOKENS))


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    file = tmp_path_factory.mktemp("conf") / "catalyst.conf"
    file.write_text(fill((RELEASE / "catalyst.conf").read_text(), TOKENS))
    return read_conf([file])


@pytest.mark.parametrize("name", LOGGED)
def test_the_steps_are_those_that_catalyst_logged(conf, name):
    steps = plan_spec(spec_of(name), conf).steps
    assert [step.name for step in steps] == [*BEGIN, *LOGGED[name].split()]


def test_a_step_without_its_key_is_idle(conf):
    idle = {step.name for step in plan_spec(spec_of("stage4"), conf).steps if step.idle}
    assert idle == {"build_kernel", "ssh_public_keys"}


def paths(plan, *kinds):
    return [each.path for each in plan.outputs if each.kind in kinds]


def test_outputs_have_catalysts_names(conf):
    stage3 = plan_spec(spec_of("stage3"), conf)
    name = "/r/store/builds/r1-default/stage3-amd64-openrc-20261127T000000Z.tar.bz2"
    assert [each.path for each in stage3.outputs] == [
        name,
        f"{name}.CONTENTS.gz",
        f"{name}.DIGESTS",
        f"{name}.sha256",
    ]
    livecd = plan_spec(spec_of("livecd-stage2"), conf)
    base = "/r/store/builds/r1-default"
    assert paths(livecd, "directory", "iso", "tarball") == [
        f"{base}/livecd-stage2-amd64-20261127T000000Z",
        f"{base}/r1-amd64-minimal-20261127T000000Z.iso",
        f"{base}/livecd-stage2-amd64-20261127T000000Z.tar.zstd",
    ]


def test_inputs_have_catalysts_paths_and_the_spec_that_makes_the_source(conf):
    others = [spec_of("stage2"), spec_of("stage1")]
    plan = plan_spec(spec_of("stage3"), conf, others)
    by_kind = {each.kind: each for each in plan.inputs}
    source = by_kind["source"]  # with seedcache, the root that stage2 left
    assert source.path == "/r/store/tmp/r1-default/stage2-amd64-openrc-20261127T000000Z"
    assert source.made_by == str(RELEASE / "stage2.spec")
    assert source.source == f"{RELEASE}/stage3.spec:10"
    assert by_kind["snapshot"].path == "/r/store/snapshots/gentoo-2a19c966.sqfs"
    assert by_kind["pkgcache"].path == "/r/store/packages/r1-default/stage3-amd64"
    assert by_kind["kerncache"].path == "/r/store/kerncache/r1-default/stage3-amd64"
    assert by_kind["confdir"].path == "/inputs/confdir"


def test_every_value_has_its_source(conf):
    spec = spec_of("stage3").overridden(["compression_mode=xz"])
    plan = plan_spec(spec, conf)
    source = {value.key: value.source for value in plan.values}
    assert source["compression_mode"] == "command line"
    assert source["profile"] == f"{RELEASE}/stage3.spec:5"
    assert source["storedir"].endswith("catalyst.conf:4")
    assert source["target_pkgdir"] == "default"
    assert paths(plan, "tarball")[0].endswith(".tar.xz")
    assert plan.tokens == ()


def test_outputs_are_renamed_as_sed_does(conf):
    spec = spec_of("stage3").overridden(["rename_regexp=s_.tar.bz2$_.wsl_"])
    assert paths(plan_spec(spec, conf), "tarball")[0].endswith("-20261127T000000Z.wsl")
    for wrong in ("s/a", "s/r/touch x/e", "w /dev/stdout"):
        with pytest.raises(ConfigError, match="rename_regexp"):
            plan_spec(spec.overridden([f"rename_regexp={wrong}"]), conf)


def test_without_seedcache_and_digests(tmp_path):
    file = tmp_path / "catalyst.conf"
    file.write_text('options = []\nstoredir = "/s"\n')
    plan = plan_spec(spec_of("stage3"), read_conf([file]), [spec_of("stage2")])
    assert [step.name for step in plan.steps][-2:] == ["remove_autoresume", "remove_chroot"]
    assert [each.kind for each in plan.outputs] == ["tarball", "contents"]
    assert plan.inputs[0].path.endswith("/stage2-amd64-openrc-20261127T000000Z.tar.zstd")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target: stage9", "unknown target"),
        ("target: stage3\nrm: x", "does not know “rm”"),
        ("target: stage3", "“profile” is missing"),
    ],
)
def test_what_catalyst_would_not_begin_with_is_an_error(conf, text, words):
    with pytest.raises(ConfigError, match=words):
        plan_spec(parse_spec(text, Path("a.spec")), conf)


def test_a_snapshot_is_one_step(conf):
    spec = parse_spec("target: snapshot\nsnapshot_treeish: abc\n", Path("a.spec"))
    plan = plan_spec(spec, conf)
    assert paths(plan, "snapshot") == ["/r/store/snapshots/gentoo-abc.sqfs"]
    assert plan.inputs[0].path == "/r/store/repos/gentoo.git"


def test_every_target_and_mode_of_the_facts_is_known():
    assert len(TARGETS) == 11
    assert {"lbzip2", "bzip2", "lzip", "lzma", "lzop", "tar", "xz", "pixz", "zstd", "gzip"} <= set(
        EXTENSIONS
    )


def test_every_key_of_the_tables_has_a_meaning():
    for target in TARGETS.values():
        known = {**target.common, **target.own}
        assert set(target.required) <= known.keys()
        assert target.unread <= known.keys()
        assert all(known.values())
