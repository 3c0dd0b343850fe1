"""Where a spec that is built may write, and whether its inputs are those of its lock."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.spec import Spec, parse_spec
from cloche.config import lock
from cloche.config.errors import ConfigError
from cloche.config.lock import Lock, RepoPin, TreeSeed
from cloche.releng.build import check_pinned, check_places, lock_of
from cloche.releng.inputs import overlays_of, source_of

SPEC = """\
target: stage3
subarch: amd64
version_stamp: x
rel_type: small
"""


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("rel_type: ../..\n", "x.spec: "),
        ("version_stamp: /../../../../x\n", "x.spec: "),
        ("rename_regexp: s,.*,/etc/x,\n", "x.spec:5: "),
        ("rename_regexp: s,builds,../../x,\n", "x.spec:5: "),
        ("rename_regexp: s,builds,snapshots,\n", "x.spec:5: "),
    ],
)
def test_it_writes_nothing_outside_of_storedir(tmp_path: Path, more: str, where: str) -> None:
    file = tmp_path / "catalyst.conf"
    file.write_text(f'storedir = "{tmp_path}/store"\n')
    conf = read_conf([file])
    check_places(parse_spec(SPEC, Path("x.spec")), conf)
    check_places(parse_spec(f"{SPEC}rename_regexp: s/-x/-y/\n", Path("x.spec")), conf)
    with pytest.raises(ConfigError, match="which is not below") as raised:
        check_places(parse_spec(SPEC + more, Path("x.spec")), conf)
    assert str(raised.value).startswith(f"{where}writes ")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (f"version_stamp: {'x' * 230}\n", "has a name of more than 234 bytes"),
        ("rel_type: " + "ü" * 120 + "\n", "has a name of more than 234 bytes"),
        (r"rename_regexp: s/-x/-x\n/" + "\n", "has characters that cannot be printed"),
        ("version_stamp: \x1b[31m\n", "has characters that cannot be printed"),
    ],
)
def test_names_that_cannot_be_written_are_refused_before_the_build(more: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        check_places(parse_spec(SPEC + more, Path("x.spec")), Conf())


def test_each_spec_has_a_lock_of_its_own() -> None:
    names = ("stage3.spec", "stage3-23.0", "stage3-23.1", "stage3.lock")
    locks = [lock_of(Spec(Path("specs", name))) for name in names]
    assert [lock.name for lock in locks] == [
        "stage3.lock", "stage3-23.0.lock", "stage3-23.1.lock", "stage3.lock.lock",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gentoo", r"x.spec:6: .*two is called “gentoo”, and the snapshot has it, too"),
        ("one", r"x.spec:6: .*two is called “one”, and .*one has it, too"),
        ("../x", r"x.spec:6: .*two/profiles/repo_name: “../x” is not the name of a repository"),
    ],
)
def test_each_repository_has_a_name_of_its_own(tmp_path: Path, name: str, what: str) -> None:
    for place, repo_name in (("one", "one"), ("two", "two")):
        (tmp_path / place / "profiles").mkdir(parents=True)
        (tmp_path / place / "profiles/repo_name").write_text(f"{repo_name}\n")
    spec = parse_spec(f"{SPEC}repos:\t{tmp_path}/one\n\t{tmp_path}/two\n", Path("x.spec"))
    assert [*overlays_of(spec, Conf())] == ["one", "two"]
    (tmp_path / "two/profiles/repo_name").write_text(f"{name}\n")
    with pytest.raises(ConfigError, match=what):
        overlays_of(spec, Conf())


@pytest.mark.parametrize("named", ["see*", "se**", "[s]eed", "?eed"])
def test_the_name_of_a_source_is_not_a_pattern(tmp_path: Path, named: str) -> None:
    (tmp_path / "builds").mkdir()
    (tmp_path / "builds/seed.tar").touch()
    file = tmp_path / "catalyst.conf"
    file.write_text(f'storedir = "{tmp_path}"\n')
    with pytest.raises(ConfigError, match=r"x.spec:5: no such file"):
        source_of(parse_spec(f"{SPEC}source_subpath: {named}\n", Path("x.spec")), read_conf([file]))


def test_inputs_are_those_of_the_lock(tmp_path: Path) -> None:
    (tmp_path / "builds").mkdir()
    (tmp_path / "snapshots").mkdir()
    source = tmp_path / "builds/seed.tar"
    source.write_text("seed")
    for treeish in ("a", "b"):
        (tmp_path / f"snapshots/gentoo-{treeish}.sqfs").touch()
    file, pins = tmp_path / "catalyst.conf", tmp_path / "x.lock"
    file.write_text(f'storedir = "{tmp_path}"\n')
    conf = read_conf([file])
    spec = f"{SPEC}source_subpath: seed\nsnapshot_treeish: "
    seed = TreeSeed("tarball", hashlib.sha256(b"seed").hexdigest(), "1" * 64)
    tree = RepoPin(
        "squashfs", "2" * 64, file="gentoo-a.sqfs", digest=hashlib.sha256(b"").hexdigest()
    )
    lock.write(pins, Lock(seeds={"source": seed}, repos={"gentoo": tree}))
    check_pinned(pins, parse_spec(f"{spec}a\n", Path("x.spec")), conf)
    with pytest.raises(
        ConfigError, match=r"x.spec:6: .*gentoo-b.sqfs is not .* x.lock pins; use it with --update"
    ):
        check_pinned(pins, parse_spec(f"{spec}b\n", Path("x.spec")), conf)
    (tmp_path / "snapshots/gentoo-a.sqfs").write_text("made again")
    with pytest.raises(
        ConfigError, match=r"x.spec:6: .*gentoo-a.sqfs is not .* x.lock pins; use it with --update"
    ):
        check_pinned(pins, parse_spec(f"{spec}a\n", Path("x.spec")), conf)
    (tmp_path / "snapshots/gentoo-a.sqfs").write_text("")
    source.write_text("another")
    with pytest.raises(ConfigError, match=r"x.spec:5: .*seed.tar is not the one that x.lock pins"):
        check_pinned(pins, parse_spec(f"{spec}a\n", Path("x.spec")), conf)
