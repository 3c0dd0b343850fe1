"""The lock pins a seed to the byte, reads well in a diff, and names what differs."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.config import lock, lock_entries, toml
from cloche.config.drift import inputs_drift, live_drift, seed_drift
from cloche.config.errors import ConfigError
from cloche.config.lock import (
    DebianPackage,
    DebianSeed,
    DistfilePin,
    LivePin,
    Lock,
    MachineLock,
    MachineSeed,
    RepoPin,
    Revision,
    SdistPin,
    Stage3Seed,
    TreeSeed,
)

STAGE3 = 'type = "stage3"\narch = "amd64"\nflavour = "openrc"\nsize = 3\ndigests = {}\n'
DEBIAN = 'type = "debian"\nsuite = "bookworm"\npackages = []\n'
GCC = DebianPackage("gcc", "4:12.2.0-3", "amd64", "1" * 64)
SED = DebianPackage("sed", "4.9-1", "amd64", "2" * 64)
SEED = DebianSeed(
    suite="bookworm",
    arch="amd64",
    include=("gcc",),
    portage=SdistPin("3.0.83", "3" * 64),
    packages=(GCC, SED),
    layer="4" * 64,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "cloche.lock"
    digests = {"BLAKE2B": "a" * 128, "SHA512": "b" * 128}
    seeds = {
        "default": SEED,
        "an odd.name": SEED,
        "gentoo": Stage3Seed("amd64", "openrc", "stage3.tar.xz", 3, digests, "F" * 40, "5" * 64),
        "host": TreeSeed("directory", layer="6" * 64),
        "stage1": MachineSeed(("8" * 64, "7" * 64), layer="6" * 64),  # the bottom first
    }
    repos = {"gentoo": RepoPin("git", "7" * 64, commit="8" * 40)}
    machine = MachineLock(
        "gentoo",
        "gentoo:default",
        "9" * 64,
        ("gentoo",),
        ("app-misc/jq-1.7::gentoo",),
        (DistfilePin("jq-1.7.tar.gz", 7, "BLAKE2B:" + "c" * 128),),
    )
    live = {"app-misc/x-9999::local": LivePin("a" * 64, (Revision("some_x.git", "b" * 40),))}
    before = Lock(seeds, repos, {"first": machine}, live=live)
    lock.write(file, before)
    assert lock.read(file) == before
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_the_same_lock_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "cloche.lock"
    lock.write(file, Lock({"default": SEED}))
    inode = file.stat().st_ino
    lock.write(file, Lock({"default": replace(SEED, packages=(SED, GCC))}))
    assert file.stat().st_ino == inode


def test_a_package_is_one_line_of_the_file() -> None:
    one = lock.render(Lock({"default": SEED}))
    newer = replace(SED, version="4.9-2", sha256="5" * 64)
    two = lock.render(Lock({"default": replace(SEED, packages=(GCC, newer))}))
    differing = [
        pair for pair in zip(one.splitlines(), two.splitlines(), strict=True) if pair[0] != pair[1]
    ]
    assert len(differing) == 1
    assert one.startswith("version = 2\n\n[seeds.default]\n")


def test_no_lock_is_an_empty_one(tmp_path: Path) -> None:
    assert lock.read(tmp_path / "none") == Lock()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version = 3\n", "version 3"),
        ("[seeds.default]\n", "version None"),
        ("version = [", "Invalid value"),
        ('version = 1\n[seeds.default]\ntype = "debian"\n', "seeds"),
        ("version = 1\nseeds = 3\n", "seeds"),
        ("version = 2\n[other]\n", "other"),
        ('version = 2\n[seeds.default]\ntype = "floppy"\n', "floppy"),
        ('version = 2\n[repos.r]\ntype = "git"\ntree = 5\n', "repos.r"),
        ('version = 2\n[repos.r]\ntype = "git"\ntree = "00"\nfiles = "x"\n', "'files'"),
        # What becomes part of a path, or a word of a command.
        ('version = 2\n[repos.r]\ntype = "webrsync"\ntree = "00"\nfile = "../x"\n', "file"),
        ('version = 2\n[repos.r]\ntype = "webrsync"\ntree = "00"\nfile = ".."\n', "file"),
        ('version = 2\n[repos.r]\ntype = "git"\ntree = "00"\ncommit = "--all"\n', "commit"),
        ('version = 2\n[live.x]\ntree = "../00"\n', "live.x"),
        (
            'version = 2\n[live.x]\ntree = ""\ncommits = [{repository = "../x", commit = "1"}]',
            "name",
        ),
        (
            'version = 2\n[live.x]\ntree = ""\ncommits = [{repository = "x", commit = "-c"}]',
            "digest",
        ),
        (f'version = 2\n[seeds.s]\n{STAGE3}file = "/etc/passwd"\n', "file"),
        (
            f'version = 2\n[seeds.s]\n{DEBIAN}portage = {{version = "../1", sha256 = "0"}}\n',
            "version",
        ),
    ],
)
def test_a_bad_lock_says_why(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "cloche.lock"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        lock.read(file)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_a_lock_is_a_file_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    file, other = tmp_path / "project/cloche.lock", tmp_path / "other"
    lock.write(other, Lock({"default": SEED}))
    file.symlink_to(other)
    with pytest.raises(ConfigError, match="out of the project"):
        lock.change(file, lambda old: lock_entries.with_seed(old, "more", SEED))
    file.unlink()
    os.mkfifo(file)  # nobody writes to it
    with pytest.raises(ConfigError, match="regular file"):
        lock.read(file)
    file.unlink()
    file.symlink_to("elsewhere")
    (file.parent / "elsewhere").write_text("version = 2\n")
    lock.change(file, lambda old: lock_entries.with_seed(old, "more", SEED))
    assert file.is_symlink()
    assert lock.read(file.parent / "elsewhere").seeds == {"more": SEED}


def test_a_lock_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    check = (
        "import sys; from pathlib import Path; from cloche.config import errors, lock\n"
        "try: lock.check(Path(sys.argv[1], 'cloche.lock'))\n"
        "except errors.ConfigError as error: print(error)"
    )
    inside = ("sh", "-ec", script, "sh", tmp_path, sys.executable, "-c", check, tmp_path)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", *inside],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{tmp_path}/cloche.lock: cannot be written: Read-only file system" in done.stdout
    lock.check(tmp_path / "cloche.lock")


def test_what_is_no_longer_declared_is_named_and_goes() -> None:
    pin, machine = RepoPin("directory", "7" * 64), MachineLock("s", "r:p", "9" * 64)
    whole = Lock({"s": SEED, "old": SEED}, {"r": pin, "was": pin}, {"m": machine, "b4": machine})
    left, gone = lock_entries.undeclared(whole, ["s", "new"], ["r"], [], ["m"])
    assert left == Lock({"s": SEED}, {"r": pin}, {"m": machine})
    assert gone == [
        "the machine b4 is no longer declared",
        "the repository was is no longer declared",
        "the seed old is no longer declared",
    ]


def test_what_the_lock_lacks_of_a_machine_is_drift() -> None:
    pin = RepoPin("directory", "7" * 64)
    machine = MachineLock("default", "r:p", "9" * 64, ("r",))
    assert inputs_drift(machine, machine, {"r": pin}, {"r": pin}) == []
    for locked in ({}, {"r": RepoPin("directory", "")}):
        (line,) = inputs_drift(machine, machine, locked, {"r": pin})
        assert "repository r" in line


def test_equal_locks_do_not_drift() -> None:
    assert seed_drift(SEED, replace(SEED, layer="", include=())) == []


def test_drift_names_what_differs() -> None:
    actual = replace(
        SEED,
        include=("gcc", "jq"),
        portage=SdistPin("3.0.84", "6" * 64),
        packages=(
            replace(GCC, version="4:12.2.0-4"),
            DebianPackage("jq", "1.6-2", "amd64", "7" * 64),
        ),
        layer="8" * 64,
    )
    assert seed_drift(SEED, actual) == [
        "Portage 3.0.83 → 3.0.84",
        "jq is asked for",
        "gcc 4:12.2.0-3 → 4:12.2.0-4",
        "jq 1.6-2 is new",
        "sed 4.9-1 is gone",
        "layer 444444444444 → 888888888888",
    ]


def test_sources_of_live_ebuilds_are_the_same_at_equal_commits() -> None:
    def pinned(tree: str, *commits: str) -> Lock:
        revisions = tuple(Revision("x.git", commit * 40) for commit in commits)
        return Lock(live={"a/x-9999::r": LivePin(tree * 64, revisions)})

    def drift(before: Lock, now: Lock) -> list[str]:
        return live_drift(["a/x-9999::r"], before, now)

    assert drift(pinned("1", "a"), pinned("2", "a")) == []  # the same commits in other packs
    assert drift(pinned("1", "a"), pinned("1", "b")) == [f"a/x-9999::r {'a' * 12} → {'b' * 12}"]
    crates = Lock(live={"a/x-9999::r": LivePin("3" * 64, others=("cargo-registry",))})
    assert drift(pinned("2", "a"), crates) == [f"a/x-9999::r {'a' * 12} → tree {'3' * 12}"]
    assert drift(pinned("1"), pinned("2")) == [f"a/x-9999::r tree {'1' * 12} → tree {'2' * 12}"]
    assert drift(Lock(), pinned("1", "a")) == [f"a/x-9999::r at {'a' * 12} is new"]
    assert drift(pinned("1", "a"), Lock()) == ["the sources of a/x-9999::r are not pinned"]


def test_sources_that_no_machine_has_go_when_all_are_locked() -> None:
    machine = MachineLock("s", "r:p", "9" * 64, packages=("a/x-9999::r",))
    live = {name: LivePin("1" * 64) for name in ("a/x-9999::r", "a/y-9999::r")}
    before = Lock(machines={"one": machine}, live=live)
    assert lock_entries.undeclared(before, (), (), (), ("one", "two")) == (before, [])
    left, gone = lock_entries.undeclared(before, (), (), (), ("one",))
    assert list(left.live) == ["a/x-9999::r"]
    assert gone == ["the live ebuild a/y-9999::r is no longer declared"]


def test_the_same_version_with_other_content_is_drift() -> None:
    changed = replace(SEED, packages=(replace(GCC, sha256="9" * 64), SED))
    assert seed_drift(SEED, changed) == ["gcc 4:12.2.0-3 with other content"]


TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
SCALARS = TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans()
TABLES = st.dictionaries(TEXTS, SCALARS)
VALUES = SCALARS | st.lists(SCALARS) | TABLES | st.lists(TABLES)


@given(st.dictionaries(TEXTS, VALUES | st.dictionaries(TEXTS, VALUES)))
def test_toml_reads_back_what_was_written(data: dict[str, object]) -> None:
    assert tomllib.loads(toml.dumps(data)) == data


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file, names, number = tmp_path / "cloche.lock", "abcd", 20
    script = (
        "import sys; from pathlib import Path; from cloche.config import lock, lock_entries\n"
        f"for n in range({number}):\n"
        " name = sys.argv[2] + str(n)\n"
        " pin = lock.RepoPin('directory', 'ab')\n"
        " lock.change(Path(sys.argv[1]), lambda old: lock_entries.with_repo(old, name, pin))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, file, name]) for name in names]
    assert [writer.wait() for writer in writers] == [0] * len(names)
    assert len(lock.read(file).repos) == number * len(names)
    assert [path.name for path in tmp_path.iterdir()] == ["cloche.lock"]
