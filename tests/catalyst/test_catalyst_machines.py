"""Specs as machines: what is declared, in which order, with which finish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.catalyst.made import conf_of, declared, machine, text

from cloche.catalyst.conf import read_conf
from cloche.catalyst.emerge import EmergeCall
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import Copied, Inputs, Link, Project
from cloche.catalyst.paths import EXTENSIONS
from cloche.catalyst.spec import parse_spec
from cloche.catalyst.subarchs import Subarch, subarch_of
from cloche.config.errors import ConfigError

RELEASE = Path(__file__).parent / "release"
INPUTS = Inputs(
    Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"), build_packages=("sys-apps/baselayout",)
)


def project(target: str, inputs: Inputs = INPUTS, more: str = "") -> Project:
    spec = parse_spec((RELEASE / f"{target}.spec").read_text() + more, Path("x.spec"))
    return project_of(spec, read_conf([RELEASE / "catalyst.conf"]), inputs)


def test_stage1_is_a_root_of_its_own_after_the_seed_was_updated() -> None:
    made = project("stage1")
    assert made.machines == ("seed", "stage1")
    seed, stage1 = machine(made, "seed"), machine(made, "stage1")
    assert seed["packages"] == ["app-editors/ed"]
    assert seed["emerge"] == ["--update", "--deep", "--newuse", "--oneshot"]
    assert stage1["seed"] == "seed"
    assert stage1["root"] == "own"
    assert stage1["packages"] == ["sys-apps/baselayout"]
    assert 'USE="-* build bindist ${BOOTSTRAP_USE}"' in conf_of(made, "stage1")
    final = text(made, "finish/etc/portage/make.conf")
    assert 'USE="bindist"' in final  # catalyst leaves it there
    assert "CHOST=" in final
    assert not any(name.startswith("finish/etc/portage/binrepos") for name in made.files)
    place = made.files["finish/etc/portage/make.profile"]
    assert place == Link("../../var/db/repos/gentoo/profiles/default/linux/amd64/r1")


def test_a_profile_may_be_of_another_repository() -> None:
    made = project("stage1", more="\nprofile: over:default\n")
    assert machine(made, "stage1")["profile"] == "over:default"
    place = made.files["finish/etc/portage/make.profile"]
    assert place == Link("../../var/db/repos/over/profiles/default")


def test_a_repository_that_is_kept_names_no_other_file() -> None:
    made = project("stage3", more="\nkeep_repos: over\n")
    text = made.files["finish/etc/portage/repos.conf/over.conf"]
    assert text == "[over]\nlocation = /var/db/repos/over\n"
    with pytest.raises(ConfigError, match="is not the name of a repository") as raised:
        project("stage3", more="\nkeep_repos: over ../../x\n")
    assert str(raised.value).startswith("x.spec:")


def test_a_seed_that_is_not_updated_is_used_as_it_is() -> None:
    made = project("stage1", more="\nupdate_seed: no\n")
    assert made.machines == ("stage1",)
    assert machine(made, "stage1")["seed"] == "source"
    with pytest.raises(ConfigError, match="neither yes nor no"):
        project("stage1", more="\nupdate_seed: perhaps\n")


def test_stage2_is_a_machine_for_each_call_of_bootstrap_sh() -> None:
    calls = (
        EmergeCall(("--oneshot",), ("sys-libs/glibc",), "-* bootstrap"),
        EmergeCall((), ("app-editors/ed",)),
    )
    made = project("stage2", Inputs(Subarch(), Path("/s"), Path("/g"), calls=calls))
    assert made.machines == ("stage2-1", "stage2")
    first, last = machine(made, "stage2-1"), machine(made, "stage2")
    assert (first["seed"], last["seed"]) == ("source", "stage2-1")
    assert "use" not in first["portage"]  # it is a part of the environment's
    assert "use" in last["portage"]
    conf = conf_of(made, "stage2-1")
    assert 'USE="bindist -* bootstrap"\nUSE_ORDER="conf:pkg:' in conf  # as the environment does
    assert "USE_ORDER" not in conf_of(made, "stage2")
    # What its packages see is the same for specs with other configurations.
    (step,) = first["finish"]
    assert "/etc/portage/make.profile" in step["remove"]
    assert declared(made)["seeds"]["stage2-1"] == {"type": "machine", "machine": "stage2-1"}


def test_stage3_is_the_system_with_its_build_dependencies() -> None:
    stage3 = machine(project("stage3"), "stage3")
    assert stage3["sets"] == ["system"]
    assert stage3["with_build_deps"]
    assert stage3["output"] == {
        "stage4": True, "compression": "bzip2", "portage": False, "needs": "warn",
    }  # fmt: skip


def test_stage4_finishes_in_catalysts_order() -> None:
    made = project("stage4")
    assert made.machines == ("system", "stage4")
    stage4 = machine(made, "stage4")
    assert stage4["packages"][0] == "app-misc/hello"
    assert stage4["with_build_deps"]  # as emerge leaves them in catalyst's chroot
    kinds = [next(kind for kind in step if kind != "environment") for step in stage4["finish"]]
    assert kinds == [
        "remove", "files", "files", "hook", "services_on", "services_off", "unmerge", "remove",
        "groups", "users", "empty", "remove", "files",
    ]  # fmt: skip
    hook = next(step for step in stage4["finish"] if "hook" in step)
    assert hook["environment"]["clst_stage4_packages"].startswith("app-misc/hello app-misc/r1")
    assert hook["environment"]["clst_use"] == "extra"
    assert not [text for text in hook["environment"].values() if "@INPUTS@" in text]
    assert 'USE="bindist extra"' in conf_of(made, "use")


def test_what_runs_the_source_runs_the_machines_over_it() -> None:
    qemu = Path("/usr/bin/qemu-arm")
    made = project("stage4", replace(INPUTS, interpreters=(qemu,)))
    seeds = declared(made)["seeds"]
    assert {name: each["interpreter"] for name, each in seeds.items()} == {
        "source": [str(qemu)],
        "system": [str(qemu)],
    }
    plain = declared(project("stage4"))["seeds"]
    assert "interpreter" not in plain["source"]


def test_packages_may_come_from_a_pkgcache_if_one_is_given() -> None:
    made = project("stage4", replace(INPUTS, pkgcache=Path("/packages")))
    assert declared(made)["binrepos"]["pkgcache"]["sync_uri"] == "file:///packages"
    assert machine(made, "stage4")["binrepos"] == ["pkgcache"]
    assert "binrepos" not in machine(project("stage4"), "stage4")


def test_a_confdir_leaves_out_what_has_the_prefix() -> None:
    made = project("stage4")
    left = made.files["finish/etc/portage"]
    assert isinstance(left, Copied)
    assert {"make.conf", "patches", "package.use/r1"} <= set(left.without)
    building = made.files["portage/confdir"]
    assert isinstance(building, Copied)
    assert "package.use/r1" not in building.without


def test_options_among_packages_count() -> None:
    made = project("livecd-stage1", more="\nlivecd/packages: --usepkg n a/b --nodeps\n")
    found = machine(made, "livecd-stage1")
    assert found["packages"] == ["a/b"]
    assert found["emerge"] == ["--update", "--deep", "--newuse", "--nodeps"]
    assert 'USE="bindist extra livecd"' in conf_of(made, "use")


@pytest.mark.parametrize("mode", [*EXTENSIONS, "xz_x"])
def test_every_way_to_pack_that_has_an_extension_is_there(mode: str) -> None:
    made = project("stage3", more=f"\ncompression_mode: {mode}\n")
    output = machine(made, "stage3")["output"]
    seeds = declared(made)["seeds"]
    assert output["stage4"]
    by_tools = mode in ("lzip", "lzop") or mode.startswith("squashfs")
    assert ("tools" in seeds) is by_tools
    assert ("images" in output) is mode.startswith("squashfs")


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(ConfigError, match="“snapshot” cannot be built yet"):
        project("stage3", more="\ntarget: snapshot\n")
    with pytest.raises(ConfigError, match="cannot pack with “rsync”"):
        project("stage3", more="\ncompression_mode: rsync\n")


def test_subarchs_come_from_catalysts_tables_first(tmp_path: Path) -> None:
    spec = parse_spec("subarch: power9\n", Path("x.spec"))
    conf_file = tmp_path / "catalyst.conf"
    conf_file.write_text(f'sharedir = "{tmp_path}"\n')
    with pytest.raises(ConfigError, match="unknown subarchitecture “power9”"):
        subarch_of(spec, read_conf([conf_file]))
    (tmp_path / "arch").mkdir()
    (tmp_path / "arch/ppc.toml").write_text(
        '[setarch.ppc]\narch = "linux32"\n[ppc64.power9]\nCOMMON_FLAGS = "-O9"\nCHOST = "p-x"\n'
    )
    assert subarch_of(spec, read_conf([conf_file])) == Subarch("-O9", "p-x", "ppc64")
    (tmp_path / "arch/ppc.toml").write_text("[ppc64.power9]\nCOMMON_FLAGS = '-O9\" x'\n")
    with pytest.raises(ConfigError, match=r"cannot be a value in make\.conf"):
        subarch_of(spec, read_conf([conf_file]))


def test_what_envscript_exports_goes_before_make_conf() -> None:
    exported = {"R1": "seen", "CFLAGS": "-O3", "USE": "-bindist more"}
    made = project("stage4", replace(INPUTS, exported=exported))
    lines = conf_of(made, "catalyst").splitlines()
    assert 'R1="seen"' in lines
    assert [line for line in lines if line.startswith("CFLAGS=")] == ['CFLAGS="-O3"']
    assert conf_of(made, "use").startswith('USE="bindist ')
    assert conf_of(made, "use").endswith('-bindist more"\n')
    final = text(made, "finish/etc/portage/make.conf")
    assert "R1" not in final


def test_a_script_finds_make_conf_as_a_file() -> None:
    made = project("stage4")
    steps = machine(made, "stage4")["finish"]
    assert steps[:2] == [
        {"remove": ["/etc/portage/make.conf"]},
        {"files": "root_overlay/building"},
    ]
    assert "bindist" in text(made, "root_overlay/building/etc/portage/make.conf")


def test_a_script_runs_in_tmp_beside_envscript() -> None:
    made = project("stage4")
    step = next(each for each in machine(made, "stage4")["finish"] if "hook" in each)
    assert step["inputs"] == "hooks/tmp"
    assert str(made.files["hooks/fsscript"]).endswith("\nexec /tmp/fsscript.sh\n")
    script = made.files["hooks/tmp/fsscript.sh"]
    assert isinstance(script, Copied)
    assert script.mode == 0o755
    assert "hooks/tmp/envscript" in made.files
    made = project("stage4", more="\nstage4/fsscript: /x/$(reboot)\n")
    assert "exec /tmp/fsscript\n" in str(made.files["hooks/fsscript"])


def test_a_single_word_of_groups_is_a_list_with_commas() -> None:
    for words in ("a,b", "a b"):
        made = project("stage4", more=f"\nstage4/groups: {words}\n")
        assert {"groups": ["a", "b"]} in machine(made, "stage4")["finish"]


def test_public_keys_are_put_into_the_homes_of_their_users() -> None:
    keys = "larry=/keys/l.pub root.x=/keys/r.pub"
    made = project("stage4", more=f"\nstage4/ssh_public_keys: {keys}\n")
    steps = machine(made, "stage4")["finish"]
    users = next(number for number, step in enumerate(steps) if "users" in step)
    assert steps[users + 1] == {"files": "root_overlay/ssh_public_keys"}
    place = "root_overlay/ssh_public_keys/home/larry/.ssh/authorized_keys"
    assert made.files[place] == Copied(Path("/keys/l.pub"), mode=0o644)
    for wrong in ("larry", "=/x", "../x=/keys/l.pub"):
        with pytest.raises(ConfigError, match="is not USER=FILE") as raised:
            project("stage4", more=f"\nstage4/ssh_public_keys: {wrong}\n")
        assert str(raised.value).startswith("x.spec:")
