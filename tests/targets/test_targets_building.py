"""Packages for targets, built and accepted by real Portage, at each level."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import Store, project
from tests.targets.described import PROJECT, described, entry, offers

from cloche.building.unresolved import ResolutionError
from cloche.errors import ClocheError
from cloche.session.inputs import SyncOptions
from cloche.session.session import Session, open_session
from cloche.targets.acceptance import accept
from cloche.targets.costing import costs
from cloche.targets.description import Description, RepositoryState
from cloche.targets.levels import Level
from cloche.targets.making import build
from cloche.targets.repositories import digest_of_files
from cloche.targets.results import Asker, Built, Want

pytestmark = pytest.mark.real

OLD = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins")}
NEW = {"dev-libs/leaf-2.0": entry("0/2", iuse="veins")}
TOOL = {"dev-util/axe-1": entry()}


@pytest.fixture(scope="module")
def session(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session for the project, with a store for these tests."""
    store = root_seeded.copy(tmp_path_factory.mktemp("targets") / "store")
    with open_session(project(store, PROJECT), store=store.path) as opened:
        yield opened


def made(
    session: Session,
    room: Path,
    target: Description,
    *atoms: str,
    level: Level = Level.ABI,
    options: tuple[str, ...] = (),
    inject: bool = False,
) -> Built:
    """What comes of a want."""
    return build(session, "target", target, Want(atoms, level, options, inject), room)


def seen(built: Built, cpv: str) -> set[str]:
    """The versions that the build of a package saw."""
    (found,) = (each for each in built.packages if each.cpv == cpv)
    return {f"{each.cp}-{each.version}" for each in found.environment.build}


@pytest.mark.parametrize(
    ("level", "library", "flags"),
    [
        (Level.USE, "dev-libs/leaf-2.0", None),
        (Level.FLAGS, "dev-libs/leaf-2.0", "-O1"),
        (Level.ABI, "dev-libs/leaf-1.1", "-O1"),
        (Level.CLOSURE, "dev-libs/leaf-1.0", "-O1"),
    ],
)
def test_a_level_decides_what_a_build_sees(
    session: Session, tmp_path: Path, level: Level, library: str, flags: str | None
) -> None:
    target = described(OLD, {"USE": "fruit", "CFLAGS": "-O1"})
    built = made(session, tmp_path, target, "app-misc/tree", level=level)
    assert not built.refused
    tree = built.packages[0]
    assert (tree.cpv, tree.use) == ("app-misc/tree-1", ("fruit",))
    assert seen(built, tree.cpv) == {library}
    assert tree.environment.flags.get("CFLAGS") == flags
    assert ("GLIBC", "2.34") in tree.symbols
    assert tree.file.stat().st_size == tree.size
    verdicts = accept(session, "target", target, offers(built.packages), level)
    assert [each.words for each in verdicts if not each.accepted] == []


def test_a_clone_sees_all_that_is_installed(session: Session, tmp_path: Path) -> None:
    target = described({**OLD, **TOOL})
    built = made(session, tmp_path, target, "app-misc/stone", level=Level.CLONE)
    assert seen(built, "app-misc/stone-1") == {"dev-libs/leaf-1.0", "dev-util/axe-1"}
    (verdict,) = accept(session, "target", target, offers(built.packages), Level.CLONE)
    assert verdict.accepted
    (verdict,) = accept(session, "target", described(OLD), offers(built.packages), Level.CLONE)
    assert verdict.words == "it was not built in a clone of this machine"


@pytest.mark.parametrize("level", [Level.CLOSURE, Level.CLONE])
def test_what_no_repository_has_any_more_is_named(
    session: Session, tmp_path: Path, level: Level
) -> None:
    gone = described({"dev-libs/leaf-0.9": entry("0/1", iuse="veins")})
    with pytest.raises(ClocheError, match="leaf"):
        made(session, tmp_path, gone, "app-misc/tree", level=level)
    built = made(session, tmp_path, gone, "app-misc/tree", level=Level.ABI)
    assert seen(built, "app-misc/tree-1") == {"dev-libs/leaf-1.1"}


def test_a_package_goes_to_another_target_exactly_when_the_level_allows(
    session: Session, tmp_path: Path
) -> None:
    first = described({**OLD, **TOOL}, {"CFLAGS": "-O1"})
    others = {
        "same": described({**OLD, **TOOL}, {"CFLAGS": "-O1"}),
        "flags": described({**OLD, **TOOL}, {"CFLAGS": "-O3"}),
        "abi": described({**NEW, **TOOL}, {"CFLAGS": "-O1"}),
        "library": described({"dev-libs/leaf-1.1": OLD["dev-libs/leaf-1.0"]}, {"CFLAGS": "-O1"}),
        "use": described({**OLD, **TOOL}, {"CFLAGS": "-O1", "USE": "fruit"}),
    }
    built = made(session, tmp_path, first, "app-misc/tree", level=Level.CLOSURE)
    offered = offers(built.packages)
    taken = {
        (name, level): accept(session, "other", target, offered, level)[0].accepted
        for name, target in others.items()
        for level in (Level.USE, Level.FLAGS, Level.ABI, Level.CLOSURE)
    }
    allowed = {
        "same": (True, True, True, True),
        "flags": (True, False, False, False),
        "abi": (False, False, False, False),  # built against another sub-slot: Portage refuses
        "library": (True, True, True, False),
        "use": (False, False, False, False),
    }
    assert taken == {
        (name, level): fits
        for name, row in allowed.items()
        for level, fits in zip((Level.USE, Level.FLAGS, Level.ABI, Level.CLOSURE), row, strict=True)
    }


def test_a_tool_that_a_target_would_not_choose_is_another_closure(
    session: Session, tmp_path: Path
) -> None:
    built = made(session, tmp_path, described(), "app-misc/wood", level=Level.CLOSURE)
    assert seen(built, "app-misc/wood-1") == {"dev-util/axe-2"}
    masks = described(files={"package.mask": ">=dev-util/axe-2\n"})
    (verdict,) = accept(session, "target", masks, offers(built.packages), Level.CLOSURE)
    assert verdict.words == "dev-util/axe:0: built with “2”, here it is “1”"
    (verdict,) = accept(session, "target", masks, offers(built.packages), Level.ABI)
    assert verdict.accepted


def test_a_tool_of_another_slot_is_another_closure(session: Session, tmp_path: Path) -> None:
    built = made(session, tmp_path, described(), "app-misc/plank", level=Level.CLOSURE)
    assert seen(built, "app-misc/plank-1") == {"dev-util/saw-2"}
    old = described({"dev-util/saw-1": entry("1")})
    for target, fits in ((described(), True), (old, False)):
        (verdict,) = accept(session, "target", target, offers(built.packages), Level.CLOSURE)
        assert verdict.accepted == fits, verdict.words
    assert verdict.words == "dev-util/saw:2: built with “2”, here it is none"
    own = made(session, tmp_path, old, "app-misc/plank", level=Level.CLOSURE)
    assert seen(own, "app-misc/plank-1") == {"dev-util/saw-1"}
    (verdict,) = accept(session, "target", old, offers(own.packages), Level.CLOSURE)
    assert verdict.accepted, verdict.words


def test_symbols_newer_than_the_targets_libraries_are_refused(
    session: Session, tmp_path: Path
) -> None:
    target, reason = (
        described(symbols={"GLIBC": "2.31"}),
        "it needs GLIBC_2.34, the target has GLIBC_2.31",
    )
    (refused,) = made(session, tmp_path, target, "app-misc/stone").refused
    assert refused.reasons == (reason,)
    built = made(session, tmp_path, described(), "app-misc/stone")
    (verdict,) = accept(session, "target", target, offers(built.packages), Level.ABI)
    assert verdict.words == reason


def test_portages_words_are_the_answer(session: Session, tmp_path: Path) -> None:
    target = described(files={"package.mask": "app-misc/stone\n"})
    built = made(session, tmp_path, described(), "app-misc/stone")
    (verdict,) = accept(session, "target", target, offers(built.packages), Level.USE)
    assert not verdict.accepted
    assert "masked" in verdict.words
    with pytest.raises(ResolutionError, match="mask"):
        made(session, tmp_path, target, "app-misc/stone")


def test_a_failure_is_an_answer_and_the_others_are_built(session: Session, tmp_path: Path) -> None:
    built = made(session, tmp_path, described(), "app-misc/broken", "app-misc/stone")
    assert [each.cpv for each in built.packages] == ["app-misc/stone-1"]
    (failed,) = built.refused
    assert failed.cpv == "app-misc/broken-1"
    assert "no way" in failed.reasons[0]
    assert failed.log is not None


def test_what_is_installed_needs_nothing(session: Session, tmp_path: Path) -> None:
    target = described({"app-misc/stone-1": entry(iuse="moss")})
    built = made(session, tmp_path, target, "app-misc/stone", options=("--noreplace",))
    assert built.packages == ()
    assert "nothing has to be built" in built.notes[-1]


def test_code_of_the_target_takes_part_when_it_may(session: Session, tmp_path: Path) -> None:
    code = {"package.env": "app-misc/stone fast\n", "env/fast": 'CFLAGS="-O3"\n'}
    target = described(files=code)
    plain, injected = (
        made(session, tmp_path, target, "app-misc/stone", inject=inject) for inject in (False, True)
    )
    assert plain.packages == ()
    assert "CFLAGS: built with none, here it is “-O3”" in plain.refused[0].reasons
    assert injected.packages[0].environment.flags["CFLAGS"] == "-O3"


def test_variables_that_may_be_code_do_not_run(session: Session, tmp_path: Path) -> None:
    target = described(
        make_conf={"EXTRA_ECONF": "$(touch x)", "PORTAGE_BASHRC": "/x", "USE": "moss"}
    )
    built = made(session, tmp_path, target, "app-misc/stone", level=Level.USE)
    assert [each.use for each in built.packages] == [("moss",)]
    assert "EXTRA_ECONF in make.conf, PORTAGE_BASHRC in make.conf" in built.notes[0]
    target = described(make_conf={"COLLISION_IGNORE": "/usr/share/doc", "EXTRA_ECONF": "--with-x"})
    built = made(session, tmp_path, target, "app-misc/stone")
    (refused,) = built.refused
    assert refused.reasons == (
        "EXTRA_ECONF: built with none, here it is “--with-x”; "
        "what make.conf says of it needs the permission `inject`",
    )
    built = made(session, tmp_path, target, "app-misc/stone", inject=True)
    assert built.packages[0].environment.flags["EXTRA_ECONF"] == "--with-x"


HOOK = 'post_src_install() { echo "#!/bin/sh" > "${ED}/usr/bin/axe"; }\n'


def test_code_of_a_target_is_neither_taken_from_it_nor_missed(
    session: Session, tmp_path: Path
) -> None:
    plain, coded = described(), described(files={"env/dev-util/axe": HOOK})
    (refused,) = made(session, tmp_path, coded, "dev-util/axe", level=Level.FLAGS).refused
    assert "made without env/dev-util/axe of this machine" in refused.reasons[0]
    axe = offers(made(session, tmp_path, coded, "dev-util/axe", inject=True).packages)
    wood = offers(made(session, tmp_path, coded, "app-misc/wood", inject=True).packages)
    for level in (Level.USE, Level.ABI, Level.CLOSURE):
        words = [accept(session, "plain", plain, each, level)[0].words for each in (axe, wood)]
        assert words[0].startswith("env/dev-util/axe of another machine")
        assert "tools or libraries" in words[1]
        for each in (axe, wood):
            assert accept(session, "coded", coded, each, level)[0].accepted


def test_other_files_in_a_small_repository_are_told(session: Session, tmp_path: Path) -> None:
    digest = digest_of_files(session.project.root / "repo")
    same, other = (
        described(repositories={"local": RepositoryState(digest=each)}) for each in (digest, "1")
    )
    assert made(session, tmp_path, same, "app-misc/stone").notes == ()
    (note,) = made(session, tmp_path, other, "app-misc/stone").notes
    assert note == "local: the files on the target are not those of this host, which are used"


def test_flags_that_read_files_take_no_part(session: Session, tmp_path: Path) -> None:
    """What a target names below /etc/portage is code, and another target's files are others."""
    first, second = (
        described(
            make_conf={"CFLAGS": "-O1 -include/etc/portage/sets/x.h"},
            files={"sets/x.h": f'#include <stdio.h>\n#define puts(text) (puts)("{word}")\n'},
        )
        for word in ("first", "second")
    )
    (refused,) = made(session, tmp_path, first, "app-misc/stone").refused
    assert any(reason.startswith("CFLAGS: built with none") for reason in refused.reasons)
    (one,), (other,) = (
        made(session, tmp_path, each, "app-misc/stone", inject=True).packages
        for each in (first, second)
    )
    assert one.gpkg != other.gpkg
    for level in (Level.USE, Level.ABI):
        for target, each in ((second, one), (described(), one)):
            assert not accept(session, "other", target, offers([each]), level)[0].accepted
        assert accept(session, "own", first, offers([one]), level)[0].accepted


def test_costs_of_the_levels(session: Session) -> None:
    targets = ((OLD, "-O1"), (OLD, "-O2"), (NEW, "-O2"), (OLD, "-O1"))
    askers = [
        Asker(flags, described(packages, {"CFLAGS": flags}), Want(("app-misc/tree", "a/nothing")))
        for packages, flags in targets
    ]
    found = {each.level: each.environments for each in costs(session, askers, ())}
    assert found == {
        Level.USE: 1,
        Level.FLAGS: 2,
        Level.ABI: 3,
        Level.CLOSURE: 3,
        Level.CLONE: 3,
    }


def test_a_target_without_a_seed_is_refused(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ClocheError, match="no seed for ARCH=riscv"):
        made(session, tmp_path, described(arch="riscv"), "app-misc/stone")


def test_repositories_are_in_the_state_that_the_target_has(
    root_seeded: Store, tmp_path: Path, fresh: Callable[[Store], Store]
) -> None:
    place = project(root_seeded, PROJECT)
    upstream = (place / "repo").rename(tmp_path / "upstream")
    file = place / "cloche.toml"
    synced = f'sync_type = "git"\nsync_uri = "{upstream.as_uri()}"\n'
    file.write_text(file.read_text().replace('path = "repo"\n', synced))
    stones = upstream / "app-misc/stone"
    with open_session(place, store=fresh(root_seeded).path) as session:
        first = committed(upstream)
        session.sync("local", SyncOptions(update=True))
        (stones / "stone-1.ebuild").rename(stones / "stone-2.ebuild")
        second = committed(upstream)
        session.sync("local", SyncOptions(update=True))
        found = {}
        for commit in (first, second, "0" * 40):
            target = described(repositories={"local": RepositoryState(commit=commit)})
            built = made(session, tmp_path, target, "app-misc/stone")
            found[commit] = [each.cpv for each in built.packages], built.notes
    assert found[first] == (["app-misc/stone-1"], ())
    assert found[second] == (["app-misc/stone-2"], ())
    packages, (note,) = found["0" * 40]
    assert packages == ["app-misc/stone-2"]
    assert f"the target has {'0' * 40}, this host has {second}" in note


def committed(repository: Path) -> str:
    """Commit all that is there; the commit."""
    git = ("git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=work"], check=True)
    told = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return told.stdout.strip()


@pytest.fixture(scope="module")
def over_machine(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session for a project whose seed has a library and a tool already."""
    store = root_seeded.copy(tmp_path_factory.mktemp("ground") / "store")
    place = project(store, PROJECT)
    (place / "machines").mkdir()
    packages = '["=dev-libs/leaf-2.0", "=dev-util/axe-1"]'
    (place / "machines/ground.toml").write_text(
        f'seed = "debian"\nprofile = "local:default"\npackages = {packages}\n'
    )
    file = place / "cloche.toml"
    seeds = '[seeds.ground]\ntype = "machine"\nmachine = "ground"\n\n[seeds.debian]'
    file.write_text(file.read_text().replace("[seeds.debian]", seeds))
    with open_session(place, store=store.path) as opened:
        opened.build("ground")
        opened.seed("ground")
        yield opened


@pytest.mark.parametrize(
    ("level", "library", "tool"),
    [
        (Level.FLAGS, "dev-libs/leaf-2.0", "dev-util/axe-1"),
        (Level.ABI, "dev-libs/leaf-1.1", "dev-util/axe-1"),
        (Level.CLOSURE, "dev-libs/leaf-1.0", "dev-util/axe-2"),
    ],
)
def test_what_the_seed_has_is_replaced_as_far_as_the_level_demands(
    over_machine: Session, tmp_path: Path, level: Level, library: str, tool: str
) -> None:
    target = described({**OLD, "dev-util/axe-2": entry()})
    built = made(over_machine, tmp_path, target, "app-misc/tree", "app-misc/wood", level=level)
    assert not built.refused
    assert seen(built, "app-misc/tree-1") == {library}
    assert seen(built, "app-misc/wood-1") == {tool}
