"""The order of a run's specs: by what makes whose source, and by who writes the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.catalyst.conf import Conf, read_conf
from cloche.config.errors import ConfigError
from cloche.errors import ClocheError
from cloche.releng.auto_conf import AutoConf
from cloche.releng.auto_specs import Item, check_sources, chosen, copied, depths, items_of

SPEC = """\
target: {target}
subarch: amd64
rel_type: r
snapshot_treeish: @TREEISH@
profile: default
version_stamp: {stamp}-@TIMESTAMP@
source_subpath: {source}
"""
TOKENS = {"TIMESTAMP": "2026", "TREEISH": "abc"}


def run(place: Path, specs: dict[str, str], conf: Conf | None = None) -> tuple[Item, ...]:
    """The items of specs by name, as TARGET STAMP SOURCE; optional if the name begins with o."""
    (place / "specs").mkdir(exist_ok=True)
    (place / "a.conf").touch()
    for name, words in specs.items():
        target, stamp, source, *more = words.split(" ", 3)
        text = SPEC.format(target=target, stamp=stamp, source=source)
        text += "stage4/packages: a/b\n" * (target == "stage4") + "\n".join(more)
        (place / "specs" / f"{name}.spec").write_text(text)
    values = {
        "SPECS_DIR": str(place / "specs"),
        "SPECS": " ".join(f"{name}.spec" for name in specs if name[0] != "o"),
        "OPTIONAL_SPECS": " ".join(f"{name}.spec" for name in specs if name[0] == "o"),
    }
    auto = AutoConf((place / "a.conf",), place, values)
    room = place / "room"
    copied(auto, auto.wanted(), room, TOKENS)
    return items_of(conf or Conf(), auto, auto.wanted(), room, place)


def test_each_comes_behind_the_maker_of_its_source(tmp_path: Path) -> None:
    items = run(
        tmp_path,
        {
            "three": "stage3 x r/stage1-amd64-x-@TIMESTAMP@",
            "four": "stage4 x r/stage3-amd64-x-@TIMESTAMP@.tar.bz2",
            "one": "stage1 x r/seed-latest",
            "other": "stage1 y r/seed-latest",
        },
    )
    assert [(item.name, item.needs) for item in items] == [
        ("one.spec", None),
        ("three.spec", "one.spec"),
        ("four.spec", "three.spec"),
        ("other.spec", None),
    ]
    assert depths(items) == {"one.spec": 3, "three.spec": 2, "four.spec": 1, "other.spec": 1}


def test_two_that_write_the_same_file_do_not_run_at_a_time(tmp_path: Path) -> None:
    items = run(tmp_path, {"a": "stage1 x r/s", "b": "stage1 x r/s"})
    assert [item.after for item in items] == [(), ("a.spec",)]


def test_a_source_made_of_itself_is_refused(tmp_path: Path) -> None:
    specs = {
        "a": "stage3 x r/stage4-amd64-x-@TIMESTAMP@",
        "b": "stage4 x r/stage3-amd64-x-@TIMESTAMP@",
    }
    with pytest.raises(ConfigError, match="made from itself") as raised:
        run(tmp_path, specs)
    assert (raised.value.where or "").startswith(str(tmp_path / "specs"))


def test_wrong_specs_are_refused_at_their_own_lines_all_of_them(tmp_path: Path) -> None:
    wrong = {"a": "stage1 x r/s nokey: x", "b": "stage1 y r/s chots: y", "c": "stage1 z r/s"}
    with pytest.raises(ConfigError) as raised:
        run(tmp_path, wrong)
    assert raised.value.where == f"{tmp_path}/specs/a.spec:8"
    assert f"{tmp_path}/specs/b.spec:8" in (raised.value.detail or "")


def test_a_wrong_one_that_is_optional_is_refused_alone(tmp_path: Path) -> None:
    items = run(tmp_path, {"a": "stage1 x r/s", "o": "stage1 y r/s nokey: x"})
    assert [item.refused is None for item in items] == [True, False]


def test_sources_that_nothing_makes_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "catalyst.conf").write_text(f'storedir = "{tmp_path}"\n')
    conf = read_conf([tmp_path / "catalyst.conf"])
    specs = {"a": "stage1 x r/s", "b": "stage3 x r/stage1-amd64-x-@TIMESTAMP@"}
    items = run(tmp_path, specs, conf)
    with pytest.raises(ConfigError, match=r"no such file: .*/builds/r/s, with or without"):
        check_sources(items, conf)
    (tmp_path / "builds/r").mkdir(parents=True)
    (tmp_path / "builds/r/s.tar.xz").touch()
    assert check_sources(items, conf) == items


def test_a_spec_is_another_one_after_a_change_of_what_it_names(tmp_path: Path) -> None:
    conf, confdir = tmp_path / "catalyst.conf", tmp_path / "confdir"
    confdir.mkdir()

    def digests() -> list[str]:
        specs = {"a": f"stage1 x r/s portage_confdir: {confdir}", "b": "stage1 y r/s"}
        return [item.digest for item in run(tmp_path, specs, read_conf([conf]))]

    conf.write_text(f'storedir = "{tmp_path}"\n')
    a, b = digests()
    assert digests() == [a, b]
    (confdir / "package.use").write_text("a/b x\n")
    a_then, b_then = digests()
    assert (a_then != a, b_then == b) == (True, True)
    conf.write_text(f'storedir = "{tmp_path}"\noptions = ["bindist"]\n')
    assert not {*digests()} & {a, b, a_then}


def test_files_that_specs_name_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "catalyst.conf").write_text(f'storedir = "{tmp_path}"\n')
    conf = read_conf([tmp_path / "catalyst.conf"])
    (tmp_path / "builds/r").mkdir(parents=True)
    (tmp_path / "builds/r/s.tar.xz").touch()
    made = "r/stage1-amd64-x-@TIMESTAMP@"
    specs = {
        "a": "stage1 x r/s",
        "b": f"stage4 y {made} stage4/fsscript: /none.sh",
        "o": f"stage4 z {made} stage4/fsscript: /nor.sh",
    }
    items = run(tmp_path, specs, conf)
    with pytest.raises(ConfigError, match="fsscript: no such file: /none") as raised:
        check_sources(items, conf)
    assert raised.value.where == f"{tmp_path}/specs/b.spec:9"
    assert check_sources(items[:1] + items[2:], conf)[1].refused is not None


def test_kernel_configurations_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "kconfig/amd64").mkdir(parents=True)
    (tmp_path / "kconfig/amd64/c.config").write_text("CONFIG_X=y\n")
    (tmp_path / "specs").mkdir()
    text = "boot/kernel/a/config: /old/c.config\nboot/kernel/b/config: /old/none.config\n"
    (tmp_path / "specs/a.spec").write_text(text)
    values = {
        "SPECS_DIR": str(tmp_path / "specs"),
        "SPECS": "a.spec",
        "KCONFIG_DIR": str(tmp_path / "kconfig"),
    }
    auto = AutoConf((tmp_path / "a.conf",), tmp_path, values)
    copied(auto, auto.wanted(), tmp_path / "room", {})
    assert (tmp_path / "room/specs/a.spec").read_text() == (
        f"boot/kernel/a/config: {tmp_path}/room/kconfig/c.config\n"
        "boot/kernel/b/config: /old/none.config\n"
    )
    assert (tmp_path / "room/kconfig/c.config").read_text() == "CONFIG_X=y\n"
    (tmp_path / "kconfig/x86").mkdir()
    other = tmp_path / "kconfig/x86/c.config"
    other.write_text("CONFIG_X=y\n")  # the same
    copied(auto, auto.wanted(), tmp_path / "room", {})
    other.write_text("CONFIG_X=n\n")
    with pytest.raises(
        ConfigError, match=r"a\.spec:1: several files .*amd64/c.config, .*x86/c.conf"
    ):
        copied(auto, auto.wanted(), tmp_path / "room", {})
    values["KCONFIG_DIR"] += "/x86"
    copied(auto, auto.wanted(), tmp_path / "room", {})
    assert (tmp_path / "room/kconfig/c.config").read_text() == "CONFIG_X=n\n"


def test_only_names_specs_and_sets(tmp_path: Path) -> None:
    run(tmp_path, {"a": "stage1 x r/s", "b": "stage1 y r/s"})
    values = {
        "SPECS_DIR": str(tmp_path / "specs"),
        "SETS": "x",
        "SET_x_SPECS": "a.spec",
        "SPECS": "b.spec",
    }
    auto = AutoConf((tmp_path / "a.conf",), tmp_path, values)
    assert [each.name for each in chosen(auto, ["x"])] == ["a.spec"]
    assert [each.name for each in chosen(auto, ["b.spec"])] == ["b.spec"]
    assert len(chosen(auto, [])) == 2
    with pytest.raises(ClocheError, match=r"did you mean “a.spec”"):
        chosen(auto, ["a.spek"])
