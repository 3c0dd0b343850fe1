"""Specs built by ``cloche catalyst -f``: stage1, stage2 and stage4 of a few packages.

`small` has their inputs. `make proof-catalyst` builds a whole release.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.releng.small import (
    FSSCRIPT,
    NOTE,
    SPECS,
    STAMP,
    OtherHost,
    Release,
    differing,
    pack_tree,
    released,
)
from tests.support import Store, User

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def release(root_tools: Store, ground: Path) -> Iterator[Release]:
    """All three specs, built."""
    with released(root_tools, ground, "releng") as made:
        for spec in SPECS:
            told = made.run(spec)
            assert told.returncode == 0, told.stderr
        yield made


def test_stage1_is_a_root_of_its_own(release: Release) -> None:
    members = release.members("stage1")
    assert members["bin"].linkname == "usr/bin"
    assert "usr/bin/python3" not in members  # of the seed
    assert release.text("stage1", "usr/share/note/use").split() == [
        "bindist",
        "bootstrap",
        "releng",
    ]
    assert "LANG" in release.text("stage1", "etc/env.d/02locale")
    assert release.text("stage1", "etc/TZ") == "UTC\n"
    conf = release.text("stage1", "etc/portage/make.conf")
    assert 'USE="bindist"' in conf
    profile = members["etc/portage/make.profile"].linkname
    assert profile == "../../var/db/repos/own/profiles/default"
    assert "etc/portage/package.use" not in members
    assert release.text("stage1", "var/lib/portage/world") == ""


def test_stage2_is_what_bootstrap_sh_asks_of_emerge(release: Release) -> None:
    members = release.members("stage2")
    assert "usr/bin/python3" in members  # of the source
    # As in catalyst's: USE="-* …" is in the environment of emerge, and disables package.use.
    assert release.text("stage2", "usr/share/note/use").split() == ["bootstrap"]
    assert release.text("stage2", "usr/share/gone/use").split() == ["bindist"]
    assert "etc/portage/package.use/kept" in members
    assert "etc/portage/package.use/releng" not in members
    assert 'USE="' not in release.text("stage2", "etc/portage/make.conf")


def test_the_copies_of_files_in_a_project_are_closed_to_others(release: Release) -> None:
    for spec in SPECS:
        project = release.place / f"store/cloche/small/{spec}-amd64-{STAMP}"
        assert project.stat().st_mode & 0o777 == 0o700


def test_stage4_is_finished_as_the_spec_says(release: Release) -> None:
    members = release.members("stage4")
    said = release.text("stage4", "etc/said")
    assert said == "stage4 extra app-misc/note app-misc/gone\n"
    assert release.text("stage4", "etc/motd") == "hello\n"
    assert release.text("stage4", "usr/share/note/use").split() == ["bindist", "extra", "releng"]
    assert "usr/share/note/removed" not in members
    assert not [name for name in members if "app-misc/gone" in name or "share/gone" in name]
    assert "larry:x:1000:1001" in release.text("stage4", "etc/passwd")
    assert "people:x:1000:larry" in release.text("stage4", "etc/group")
    assert members["home/larry"].uid == 1000
    assert members["home/larry/.ssh/authorized_keys"].mode == 0o644
    assert release.text("stage4", "home/larry/.ssh/authorized_keys").endswith(" larry\n")
    assert release.text("stage4", "usr/share/note/exported") == "from envscript\n"
    assert release.text("stage4", "usr/share/base/use").split() == ["bindist", "extra"]
    assert "srv/full" in members
    assert "srv/full/file" not in members
    assert release.text("stage4", "var/lib/portage/world") == "app-misc/note\n"
    assert release.text("stage4", "etc/portage/make.conf").count("USE=") == 1
    assert not [name for name in members if name.startswith("etc/portage/make.conf/")]
    assert "# more" not in release.text("stage4", "etc/portage/make.conf")


def test_scripts_have_what_catalysts_have(release: Release) -> None:
    lines = release.text("stage4", "etc/environment-of-hook").rstrip("\0").split("\0")
    found = dict(line.split("=", 1) for line in lines)
    assert found["clst_CFLAGS"] == "-O2 -pipe"
    assert found["clst_hostarch"] == "amd64"
    assert found["clst_make_conf"] == "/etc/portage/make.conf"
    assert found["MAKEOPTS"].startswith("-j")
    assert not [text for text in found.values() if str(release.place) in text]


def test_stage1_has_its_compiler_chosen(release: Release) -> None:
    assert release.text("stage1", "etc/env.d/04gcc-config") == "x86_64-pc-linux-gnu-12\n"


def test_packages_are_kept_for_others_and_read_only_if_asked_for(release: Release) -> None:
    cache = release.place / "store/packages/small/stage1-amd64"
    text = (cache / "Packages").read_text()
    assert "CPV: app-misc/note-1\n" in text
    paths = [line.split()[1] for line in text.splitlines() if line.startswith("PATH: ")]
    assert paths
    assert all((cache / path).is_file() for path in paths)
    # Other flags give other keys, but with --read-pkgcache flags do not count.
    before = len(paths)
    told = release.run(
        "stage1", "-C", "common_flags=-O1", "-C", "version_stamp=x", "--read-pkgcache"
    )
    assert told.returncode == 0, told.stderr
    assert "0 packages built, " in told.stdout
    assert (cache / "Packages").read_text().count("\nPATH: ") == before


def test_an_output_is_signed_and_says_what_it_is_made_from(
    release: Release, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    env = {"GNUPGHOME": str(home)}
    make = ("--batch", "--passphrase", "", "--quick-generate-key", "key@example.org", "ed25519")
    subprocess.run(["gpg", *make], check=True, capture_output=True, env=os.environ | env)
    told = release.run("stage4", "--sign", "key@example.org", "--provenance", env=env)
    assert told.returncode == 0, told.stderr
    tarball = release.tarball("stage4")
    statement = Path(f"{tarball}.intoto.json")
    for file in (tarball, statement):
        verify = ["gpg", "--batch", "--verify", f"{file}.asc", file]
        subprocess.run(verify, check=True, capture_output=True, env=os.environ | env)
    subprocess.run(["gpgconf", "--kill", "all"], check=True, env=os.environ | env)
    assert str(release.place) not in statement.read_text()
    found = json.loads(statement.read_text())["predicate"]
    inputs = {each["name"] for each in found["buildDefinition"]["resolvedDependencies"]}
    assert {"source", "snapshot", "portage_confdir", "stage4/fsscript"} <= inputs
    packages = {each["name"]: each for each in found["runDetails"]["byproducts"]}
    assert len(packages["app-misc/note-1"]["annotations"]["key"]) == 64
    told = release.run("stage4", "--sign", "nobody@example.org")
    assert told.returncode == 2
    assert "nobody@example.org" in told.stderr


def test_an_ordinary_user_of_another_host_gets_the_same_bytes(
    release: Release, ordinary: User
) -> None:
    """Store, user, umask, locale, host name, /etc/hosts and directories differ.

    The programs in its PATH must not be run.
    """
    other = OtherHost(release, ordinary)
    for spec in ("stage1", "stage4"):
        told = other.run(spec)
        assert told.returncode == 0, told.stderr
        theirs = release.tarball(spec)
        ours = other.place / theirs.relative_to(release.place)
        assert differing(ours, theirs) == []
        for suffix in ("", ".CONTENTS.gz", ".DIGESTS", ".sha256"):
            one, another = (Path(f"{each}{suffix}") for each in (ours, theirs))
            assert one.read_bytes() == another.read_bytes(), f"{one.name} differs"
    assert other.poisoned == ""


def test_each_tarball_is_described_as_catalyst_does(release: Release) -> None:
    tarball = release.tarball("stage4")
    value = hashlib.sha256(tarball.read_bytes()).hexdigest()
    described = Path(f"{tarball}.sha256").read_text()
    assert described == f"# SHA256 HASH\n{value}  {tarball.name}\n"
    digests = Path(f"{tarball}.DIGESTS").read_text().splitlines()
    assert digests[::2] == ["# BLAKE2B HASH", "# SHA512 HASH"] * 2
    assert digests[1].split("  ")[1] == tarball.name
    assert digests[5].split("  ")[1] == f"{tarball.name}.CONTENTS.gz"
    lines = gzip.decompress(Path(f"{tarball}.CONTENTS.gz").read_bytes()).decode().splitlines()
    assert lines[-1] == ""
    assert len(lines) == len(release.members("stage4")) + 1
    assert any(line.endswith(" ./bin -> usr/bin") for line in lines)


def test_nothing_is_done_twice_and_the_bytes_stay(release: Release) -> None:
    before = release.tarball("stage4").read_bytes()
    told = release.run("stage4")
    assert "0 packages built, " in told.stdout
    assert release.tarball("stage4").read_bytes() == before


def test_a_source_that_has_changed_is_refused_until_update(release: Release) -> None:
    source = release.place / "store/builds/small/seed.tar.zst"
    before = source.read_bytes()
    source.write_bytes(before + b"\n")
    try:
        told = release.run("stage2")
        assert told.returncode == 2, told.stderr
        assert "stage2.lock" in told.stderr
        assert "--update" in told.stderr
    finally:
        source.write_bytes(before)


def test_the_next_stamp_is_built_with_the_same_lock(release: Release) -> None:
    told = release.run("stage1", "--set", "TIMESTAMP=20261129T000000Z")
    assert told.returncode == 0, told.stderr
    assert "0 packages built, " in told.stdout
    assert release.tarball("stage1").with_name("stage1-amd64-20261129T000000Z.tar.zstd").exists()


def test_a_failing_fsscript_is_named_with_its_words(release: Release) -> None:
    script = release.place / "fsscript.sh"
    script.write_text("echo these are its words in $0\nexit 7\n")  # by /bin/sh, as in a chroot
    told = release.run("stage4")
    script.write_text("#!/bin/bash\nset -e\n[[ ! -v BASH_ENV ]]\nls /none\n")
    by_bash = release.run("stage4")
    script.write_text(FSSCRIPT)
    assert told.returncode == by_bash.returncode == 2
    assert "these are its words in /" in told.stderr
    assert "stage4.spec:14: stage4/fsscript: fsscript: status 7" in told.stderr
    assert "fsscript.sh: failed last: line 4: ls /none" in by_bash.stderr


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("profile", "missing", "repository “own” has no profile “missing”"),
        ("snapshot_treeish", "def", "own-def.sqfs"),
        ("source_subpath", "small/none", "small/none, with or without an extension"),
        ("subarch", "z80", "unknown subarchitecture “z80”"),
        ("target", "stage5", "stage5"),
        ("portage_confdir", "/none", "/none"),
        ("version_stamp", "@TREEISH@", "@TREEISH@ is not filled in; add --set TREEISH=VALUE"),
        ("interpreter", "/bin/sh", "“/bin/sh” is not called qemu-CPU"),
        ("interpreter", "/none/qemu-arm", "no such file: /none/qemu-arm"),
        ("cflag", "-O3", "did you mean “cflags”"),
    ],
)
def test_a_wrong_spec_is_refused_before_anything_begins(
    release: Release, key: str, value: str, what: str
) -> None:
    told = release.run("stage1", "-C", f"{key}={value}")
    assert told.returncode == 2, told.stderr
    assert told.stderr.startswith("cloche: ")
    assert what in told.stderr
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        (
            "packages",
            "app-misc/note app-misc/not",
            "no repository has “app-misc/not”; did you mean",
        ),
        ("packages", "app-misc/note dev-lang/python-3", "“dev-lang/python-3” is not an atom"),
        ("packages", "@nosuch", "no set is called “nosuch”"),
        ("users", "larry c;d", "“c;d” is not valid in “users”"),
        ("rm", "/x ../x", "“../x” is not valid in “remove”"),
        ("use", "ext\\ra", "“ext\\ra” is not a USE flag"),
        ("ssh_public_keys", "larry", "“larry” is not USER=FILE"),
        ("root_overlay", "/none", "no such directory: /none"),
        ("fsscript", "/usr", "/usr is not a file"),
    ],
)
def test_an_error_names_the_line_of_the_spec(
    release: Release, key: str, value: str, what: str
) -> None:
    """Before anything is built, and never a line of a generated file."""
    lines = (release.place / "stage4.spec").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"stage4/{key}:")]
    (release.place / "wrong.spec").write_text("\n".join([*kept, f"stage4/{key}: {value}", ""]))
    told = release.run("wrong", "--progress", "json")
    assert told.returncode == 2, told.stderr
    assert told.stderr.startswith(f"cloche: wrong.spec:{len(kept) + 1}: ")
    assert f"stage4/{key}" in told.stderr
    assert what in told.stderr
    assert "planned" not in told.stdout


def test_a_dry_run_says_what_would_be_built_and_builds_nothing(release: Release) -> None:
    before = release.tarball("stage4").stat().st_mtime_ns
    told = release.run("stage4", "--dry-run")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines == [
        "system: 0 packages to build, 1 reused",
        "stage4: 0 packages to build, 2 reused",
    ]
    told = release.run("stage4", "--dry-run", "-C", "stage4/use=other")
    assert told.stdout.splitlines()[0].startswith("system: 1 package to build")
    assert "  build    app-misc/base-1" in told.stdout
    assert told.stdout.splitlines()[-1] == "stage4: known when system is built"
    told = release.run("stage4", "--fetchonly")
    assert told.returncode == 0, told.stderr
    assert "stage4: 0 distfiles, 0 to be fetched" in told.stderr
    assert release.tarball("stage4").stat().st_mtime_ns == before


def test_a_dry_run_of_a_chain_ends_where_a_source_is_not_built_yet(release: Release) -> None:
    text = (release.place / "stage4.spec").read_text()
    text = text.replace("small/seed", "small/stage1-amd64-@TIMESTAMP@")
    (release.place / "chain.spec").write_text(text)
    later = "its packages are known when its source is built"
    told = release.run("stage1", "-f", "chain.spec", "--dry-run", "-C", "version_stamp=another")
    assert told.returncode == 2  # the stamp of its source is not another
    words = ("-f", "chain.spec", "--set", "TIMESTAMP=another")
    for option in ("--dry-run", "--fetchonly"):
        told = release.run("stage1", *words, option)
        assert told.returncode == 0, told.stderr
        assert told.stderr.splitlines()[-1] == f"chain.spec: {later}"
    assert not (release.place / "store/builds/small/stage1-amd64-another.tar.zstd").exists()


def test_the_end_of_the_events_is_a_summary(release: Release) -> None:
    told = release.run("stage4", "--progress", "json")
    *_, last = [json.loads(line) for line in told.stdout.splitlines()]
    assert (last["event"], last["spec"], last["built"]) == ("summary", "stage4.spec", 0)
    assert ["tarball", str(release.tarball("stage4"))] in last["outputs"]


def test_catalyst_auto_can_call_it(release: Release) -> None:
    """Its calls, in its order: a snapshot, whose line it reads, a spec, and the purge."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@test.invalid", "-C", release.place]
    for words in (["init", "-q", "-b", "stable", "tree"], ["-C", "tree", "add", "-A"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "-C", "tree", "commit", "-q", "-m", "first"], check=True)
    gitdir = release.place / "store/repos/own.git"
    source = f"file://{release.place}/tree"
    subprocess.run([*git, "clone", "-q", "--bare", "--depth=1", source, gitdir], check=True)
    conf = ("-c", "catalyst.conf")
    told = release.store.cloche("catalyst", *conf, "-s", "stable", cwd=release.place)
    assert told.returncode == 0, told.stderr
    found = re.search(r"Creating .* tree snapshot ([0-9a-f]{40}) from (.*)", told.stdout)
    assert found is not None
    commit = subprocess.run(
        ["git", "-C", found[2], "rev-parse", "stable"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert found[1] == commit
    image = release.place / f"store/snapshots/own-{commit}.sqfs"
    before = image.read_bytes()
    told = release.store.cloche("catalyst", *conf, "-s", commit, cwd=release.place)
    assert image.read_bytes() == before
    words = ("--set", f"TIMESTAMP={STAMP}", "-C", f"snapshot_treeish={commit}", "--update")
    spec = ("-f", "stage4.spec", *words)
    told = release.store.cloche("catalyst", "-a", *conf, *spec, cwd=release.place)
    assert told.returncode == 0, told.stderr
    assert "0 packages built, 3 reused" in told.stdout
    told = release.store.cloche("catalyst", "--purgetmponly", *conf, *spec, cwd=release.place)
    assert told.returncode == 0, told.stderr
    assert not (release.place / f"store/cloche/small/stage4-amd64-{STAMP}").exists()
    assert release.tarball("stage4").exists()


def test_import_writes_a_project_that_plans_the_same(release: Release) -> None:
    told = release.store.cloche(
        "catalyst", "import", "-c", "catalyst.conf", "--set", f"TIMESTAMP={STAMP}", "stage1.spec",
        "imported", cwd=release.place, check=True,
    )  # fmt: skip
    assert told.stdout.splitlines()[0] == "imported: stage1"
    place = release.place / "imported"
    release.store.cloche("seed", "bootstrap", "source", cwd=place, check=True)
    plan = release.store.cloche("plan", "stage1", "--json", cwd=place, check=True)
    assert {each["fate"] for each in json.loads(plan.stdout)["packages"]} == {"reuse"}


def test_a_stage_with_one_changed_package_is_compared(release: Release) -> None:
    """The package's version is reported, differences in its files follow from it, and nothing else
    differs.

    A stage does not differ from the machine that it was packed from.
    """
    old, later = release.tarball("stage1"), "20261130T000000Z"
    ebuilds = release.place / "tree/app-misc/note"
    (ebuilds / "note-2.ebuild").write_text(NOTE.replace("newins - removed", "newins - added"))
    (ebuilds / "note-1.ebuild").unlink()
    pack_tree(release.place, "next")
    changed = ("-C", "snapshot_treeish=next", "--set", f"TIMESTAMP={later}", "--update")
    told = release.run("stage1", *changed)
    assert told.returncode == 0, told.stderr
    new = Path(str(old).replace(STAMP, later))
    told = release.compare(old, new, "--json")
    assert told.returncode == 1, told.stderr
    found = json.loads(told.stdout)
    rules = {each["subject"]: each["rule"] for each in found["differences"]}
    assert rules.pop("app-misc/note:0") == "version"
    assert {rules[f"/usr/share/note/{name}"] for name in ("removed", "added")} == {"follows"}
    assert set(rules.values()) == {"follows"}
    assert set(found["counts"]) - {each["judgement"] for each in found["differences"]} == {
        "wrong", "left out",
    }  # fmt: skip
    project = release.place / f"store/cloche/small/stage1-amd64-{later}"
    told = release.compare("-C", project, "machine:stage1", new)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "result      no differences")
