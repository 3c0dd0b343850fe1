"""The variables of scripts, compared with those that catalyst's had for the same specs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.environment import environment
from cloche.catalyst.spec import parse_spec
from cloche.catalyst.subarchs import Subarch

RELEASE = Path(__file__).parent / "release"
TREEISH = {
    "stage1": "2a19c966ff652e339c6fdb1c273fbd7b5965bf5e",
    "stage4": "f24c308c83d531fe162db4deeddaf723dabc7dd2",
}
#: Variables that catalyst has and a script here does not have, by reason.
NOT_HERE: Mapping[str, tuple[str, ...]] = {
    "a path on the build host": (
        *("autoresume_path", "chroot_path", "controller_file", "distdir", "envscript", "fsscript"),
        *("kerncache_path", "pkgcache_path", "port_logdir", "portage_confdir", "repos"),
        *("repo_openpgp_key_path", "repos_storedir", "sharedir", "shdir", "source_path"),
        *("source_path_hash", "stage4_root_overlay", "stage_path", "storedir", "target_path"),
        *("icecream",),
    ),
    "how catalyst packs, cleans and unpacks, on the host": (
        *("cleanables", "comp_prog", "compressor_options", "decomp_opt", "list_xattrs_opt"),
        "decompressor_search_order",
    ),
    "options of the command line, not of the spec": ("CLEAR-AUTORESUME", "VERBOSE"),
    "of the host; MAKEOPTS has them, and is part of no key": ("jobs", "load_average"),
}
#: Variables that every program of a sandbox has (MAKEOPTS from the job slots), or of catalyst's own
#: shell.
OF_THE_SANDBOX = {"BASH_ENV", "MAKEOPTS", "NINJAOPTS", "PATH", "TERM"}
#: Where the value differs, with ours.
DIFFERENT = {
    # A script runs in the root itself.
    ("stage1", "clst_root_path"): "",
    # Catalyst does not set them here; these are the values of make.conf.
    **{("stage1", f"clst_{name}FLAGS"): "-O2 -pipe" for name in ("C", "CXX", "FC", "F")},
    # The specs were changed after catalyst built them.
    ("stage4", "clst_groups"): "r1group2",
    ("stage4", "clst_users"): "r1user",
    ("stage4", "clst_rcdel"): "autoconfig|boot",
    ("stage4", "clst_keep_repos"): "r1overlay",
}


@pytest.mark.parametrize("target", TREEISH)
def test_a_script_has_catalysts_variables_but_for_those_of_the_host(target: str) -> None:
    text = (RELEASE / f"{target}.spec").read_text().replace("@TREEISH@", TREEISH[target])
    spec = parse_spec(text.replace("@TIMESTAMP@", "20261127T000000Z"), Path("x.spec"))
    ours = environment(spec, read_conf([RELEASE / "catalyst.conf"]), Subarch())
    lines = (RELEASE / f"{target}.env").read_text().splitlines()
    theirs = dict(line.split("=", 1) for line in lines)
    left_out = {f"clst_{name}" for names in NOT_HERE.values() for name in names}
    wanted = {name: text for name, text in theirs.items() if name not in left_out | OF_THE_SANDBOX}
    wanted |= {name: text for (of, name), text in DIFFERENT.items() if of == target}
    assert ours == wanted


@pytest.mark.parametrize("target", TREEISH)
def test_no_value_is_a_path_of_the_host(target: str) -> None:
    spec = parse_spec((RELEASE / f"{target}.spec").read_text(), Path("x.spec"))
    found = environment(spec, read_conf([RELEASE / "catalyst.conf"]), Subarch())
    assert not [name for name, text in found.items() if "@INPUTS@" in text or "@R@" in text]


def test_the_flags_are_those_of_make_conf_and_the_cpu_that_of_chost() -> None:
    text = "target: stage2\nsubarch: arm64\nchost: a-b-c-d\ncflags: -O3\n"
    subarch = Subarch("-Os", "aarch64-unknown-linux-gnu")
    found = environment(parse_spec(text, Path("x.spec")), read_conf([]), subarch)
    assert found["clst_CHOST"] == "a-b-c-d"
    assert (found["clst_CFLAGS"], found["clst_CXXFLAGS"]) == ("-O3", "-Os")
    assert (found["clst_hostarch"], found["clst_buildarch"]) == ("arm64", "aarch64")


def test_the_keys_of_a_user_do_not_name_their_files() -> None:
    text = "target: stage4\nstage4/ssh_public_keys: larry=/home/larry/.ssh/id.pub\n"
    found = environment(parse_spec(text, Path("x.spec")), read_conf([]), Subarch())
    assert found["clst_ssh_public_keys"] == ""
    assert not [value for value in found.values() if "/home" in value]
