"""A gentoomuch configuration becomes a project that cloche plans, and nothing is lost silently."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.importing.samples import write_config
from tests.support import Store, User
from tests.targets.described import PROJECT

from cloche.config.fragments import machine_files
from cloche.config.project import load_project
from cloche.errors import ClocheError
from cloche.importing.from_gentoomuch import Wishes, project_of
from cloche.importing.gentoomuch import read_gentoomuch
from cloche.importing.outcome import Imported
from cloche.importing.stages import stage_for, stage_named
from cloche.importing.writing import check, check_target, write

SECOND = {"stage3": "office", "profile": "musl-hardened", "kconf": "office"}


def imported(top: Path, **more: str) -> Imported:
    config = read_gentoomuch(write_config(top, **more))
    return project_of(config, "SOURCE", Wishes(profiles={"": "local:default"}))


def text(project: Imported, name: str) -> str:
    return project.files[name].content.decode()


def test_each_stage4_and_each_other_stage3_is_a_machine(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert found.machines == ("office", "gentoomuch-builder")
    assert text(found, "machines/office.toml") == (
        "# Was stage4.defines/office, made of stage3.defines/office.\n\n"
        'seed = "stage3-amd64-musl-hardened"\nprofile = "local:default"\n'
        "# cpu.defines, portage.global, then portage.locals in their order.\n"
        'portage = ["cpu-old-xeon", "global-for-office", "server-for-office", "desktop"]\n'
        'sets = ["woods", "system"]\npackages = ["app-misc/stone"]\n'
        "# As gentoomuch: all of the stage3 gets these flags and versions.\n"
        'emerge = ["--update", "--deep", "--newuse"]\n'
        'hooks = ["hooks/setup.sh"]\n'
        '# After the hooks.\nremove = ["/usr/share/doc", "/var/log/portage"]\n\n'
        '[output]\nstage4 = true\ncompression = "gzip"\n'
    )
    assert found.files["hooks/setup.sh"].executable
    assert text(found, "hooks/setup.sh") == "#!/bin/bash\ngcc-config latest"
    assert text(found, "patches/app-misc/tree-1/fix-tree.patch") == "--- a/x\n+++ b/x\n"
    assert text(found, "kernels/office.config") == "CONFIG_64BIT=y\n"


def test_what_gentoomuch_merged_wrongly_is_told_with_both_places(tmp_path: Path) -> None:
    found = imported(tmp_path)
    told = {each.subject: each for each in found.conflicts if each.first.startswith("portage.loc")}
    assert set(told) == {"“X” in USE", "“tall” in package.use of app-misc/tree", "L10N"} | {
        "app-misc/broken"
    }
    tall = told["“tall” in package.use of app-misc/tree"]
    assert (tall.first, tall.first_value) == (
        "portage.locals/server/package.use/editors:1",
        "“tall”",
    )
    assert (tall.second, tall.second_value) == (
        "portage.locals/desktop/package.use/editors:1",
        "“-tall”",
    )
    assert tall.before == "gentoomuch kept the first without a word"
    assert told["“X” in USE"].before == "gentoomuch lost all of USE that came before"
    assert all(each.machines == ("office",) for each in found.conflicts)
    lost = [each for each in found.checks if "lost the former" in each]
    assert len(lost) == 3  # USE of cpu.defines, portage.global and server
    assert any("video:1: “-*” comes before" in each for each in found.checks)


def test_a_fragment_only_changes_for_the_machine_in_which_it_contradicts(tmp_path: Path) -> None:
    write(imported(tmp_path / "config"), tmp_path / "project")
    project = load_project(tmp_path / "project")
    office = machine_files(project.machine("office"))
    builder = machine_files(project.machine("gentoomuch-builder"))
    assert office["package.use/02-server-for-office/editors"].startswith(b"app-misc/tree -old\n")
    assert builder["package.use/02-server/editors"].startswith(b"app-misc/tree tall -old\n")
    assert b"-X" not in b"".join(office.values())


def test_what_is_not_carried_over_is_in_the_project(tmp_path: Path) -> None:
    write(imported(tmp_path / "config"), tmp_path / "project")
    names = [each.name for each in imported(tmp_path / "config").omissions]
    for name in (
        *("env/uid", "profiles", "user.patches/stray.patch", "sets/woods (@lost)"),
        *("package.sets/woods:5 (nano)", "stage3.defines/office/packages (vim)"),
        *("stage3.defines/office/packages (@absent)", "user.removes/logs (../../etc)"),
        *("stage4.defines/office/kconf (office)", "stage4.defines/office/scripts (missing.sh)"),
        "portage.global/make.conf:4 (PORTDIR)",
    ):
        assert name in names
    told = (tmp_path / "project/IMPORT.md").read_text()
    assert "- user.patches/stray.patch: gentoomuch does not read it" in told
    assert told.count("\n- ") == 2 + sum(
        len(part) for part in (names, imported(tmp_path / "config").conflicts)
    ) + len(imported(tmp_path / "config").checks)


def test_directories_have_the_readmes_of_init_with_names_of_the_project(tmp_path: Path) -> None:
    found = imported(tmp_path / "config")
    write(found, tmp_path / "project")
    place = tmp_path / "project"
    there = {str(each.parent.relative_to(place)) for each in place.rglob("README.md")}
    assert there == {"machines", "patches", "portage", "sets"}
    machines = (place / "machines/README.md").read_text()
    assert "`cloche machine new second --like office`" in machines
    example = machines.partition("```toml\n")[2].partition("```")[0]
    file = place / "machines/second.toml"
    file.write_text(example)
    second, office = (load_project(place).machine(name) for name in ("second", "office"))
    assert [each.name for each in second.fragments] == [each.name for each in office.fragments]
    assert ("hostname", ("second",)) in [(step.kind, step.words) for step in second.finish]
    assert '`portage = ["desktop"]`' in (place / "portage/README.md").read_text()
    sets = (place / "sets/README.md").read_text()
    (place / "sets/everyone").write_text(sets.split("```\n")[1])
    file.write_text(example.replace('"woods"', '"everyone"'))
    asked = load_project(place).machine("second").atoms
    assert {"app-misc/wood", "app-misc/stone"} <= {each.atom for each in asked}


def test_machines_of_one_stage3_share_what_changed_in_it(tmp_path: Path) -> None:
    more = {f"stage4.defines/second/{name}": text for name, text in SECOND.items()}
    found = imported(tmp_path, **more)
    assert found.machines == ("office", "second", "gentoomuch-builder")
    assert (
        'portage = ["cpu-old-xeon", "global-for-office", "server-for-office", "desktop"]'
        in text(found, "machines/second.toml")
    )
    assert {each.machines for each in found.conflicts} == {("office", "second")}
    assert len(set(found.omissions)) == len(found.omissions)


def test_a_kernel_needs_the_repository_of_its_sources(tmp_path: Path) -> None:
    table = '[kernel]\nsources = "sys-kernel/gentoo-sources"\nconfig = "kernels/office.config"\n'
    found = project_of(read_gentoomuch(write_config(tmp_path / "a")), "SOURCE", Wishes())
    check(found)
    assert table in text(found, "machines/office.toml")
    found = project_of(
        read_gentoomuch(write_config(tmp_path / "b", **{"kernel.configs/office.kconf": "what\n"})),
        "SOURCE",
        Wishes(),
    )
    check(found)
    assert "[kernel]" not in text(found, "machines/office.toml")
    assert "stage4.defines/office/kconf (office)" in [each.name for each in found.omissions]


def test_what_no_stage_uses_is_kept_or_told(tmp_path: Path) -> None:
    more = {
        "user.scripts/spare.sh": "#!/bin/sh\ntrue\n",
        "user.removes/spare": "/x\n",
        "portage.locals/spare/make.conf": "USE=spare\n",
        "kernel.configs/spare.kconf": "CONFIG_X=y\n",
        "stage3.defines/office/scripts": "setup.sh\n",
        "cpu.defines/stray": "x",
    }
    found = imported(tmp_path, **more)
    for name in ("hooks/spare.sh", "portage/spare/make.conf", "kernels/spare.config"):
        assert name in found.files
    names = [each.name for each in found.omissions]
    for name in ("user.removes/spare", "stage3.defines/office/scripts", "cpu.defines/stray"):
        assert name in names


def test_no_link_leads_out_and_nothing_is_run(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    (tmp_path / "secret").write_text("secret")
    (config / "package.sets/stolen").symlink_to(tmp_path / "secret")
    (config / "portage.locals/away").symlink_to(tmp_path)
    os.mkfifo(config / "user.scripts/pipe")
    found = project_of(read_gentoomuch(config), "SOURCE", Wishes())
    assert {"package.sets/stolen", "portage.locals/away", "user.scripts/pipe"} <= {
        each.name for each in found.omissions
    }
    assert not any(b"secret" in file.content for file in found.files.values())


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("cpu.defines/old-xeon/make.conf", 'USE="', "no closing quotation"),
        ("portage.global/repos.conf/local.conf", "[local\n", "cannot be read"),
    ],
)
def test_broken_files_are_refused_by_name(
    tmp_path: Path, name: str, content: str, wanted: str
) -> None:
    with pytest.raises(ClocheError, match=wanted) as raised:
        imported(tmp_path, **{name: content})
    assert (raised.value.where or "").startswith(name)


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ClocheError, match=r"portage\.global"):
            read_gentoomuch(place)
    (tmp_path / "project").mkdir()
    check_target(tmp_path / "project")
    (tmp_path / "project/x").touch()
    with pytest.raises(ClocheError, match="not an empty directory"):
        check_target(tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "flavour", "profile", "exact"),
    [
        ("hardened", "hardened-openrc", "23.0/hardened", True),
        ("amd64-musl-hardened", "musl-hardened", "23.0/musl/hardened", True),
        ("desktop+systemd", "desktop-systemd", "23.0/desktop/systemd", True),
        ("openrc", "openrc", "23.0", True),
        ("mine", "openrc", "23.0", False),
        ("", "openrc", "23.0", False),
    ],
)
def test_names_of_profiles(name: str, flavour: str, profile: str, exact: bool) -> None:
    found = stage_named(name, "amd64")
    assert (found.flavour, found.profile, found.exact) == (
        flavour,
        f"gentoo:default/linux/amd64/{profile}",
        exact,
    )


def test_stage3s_of_profiles() -> None:
    found = stage_for("gentoo:default/linux/arm64/23.0/desktop/plasma", "amd64", systemd=True)
    assert (found.seed, found.exact) == ("stage3-arm64-desktop-systemd", True)
    assert stage_for("mine:laptop", "amd64", systemd=False).seed == "stage3-amd64-openrc"


@pytest.fixture
def repository(root: User, tmp_path: Path) -> Path:
    """The repository of the tests, under git."""
    place = tmp_path / "local.git"
    shutil.copytree(PROJECT / "repo", place)
    git = ["git", "-C", str(place), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    return place


@pytest.mark.real
def test_the_project_is_planned(
    root_seeded: Store, fresh: object, repository: Path, tmp_path: Path
) -> None:
    store: Store = fresh(root_seeded)  # type: ignore[operator]
    config = write_config(tmp_path / "config", uri=str(repository))
    place = tmp_path / "project"
    words = ("import", "gentoomuch", config, "-o", place, "--seed", "debian", "--profile")
    told = store.cloche(*words, "local:default", "--json", cwd=tmp_path, check=True)
    data = json.loads(told.stdout)
    assert data["machines"] == ["office", "gentoomuch-builder"]
    for step in data["next"]:
        last = store.cloche(*step.split()[1:], cwd=tmp_path, check=True)
        assert "cannot" not in last.stderr
    plan = store.cloche("plan", "office", "--json", cwd=place, check=True)
    packages = {each["cpv"] for each in json.loads(plan.stdout)["packages"]}
    assert {"app-misc/tree-1", "app-misc/stone-1", "app-misc/wood-1"} <= packages


@pytest.mark.real
def test_the_command_line(root: User, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config")
    dry = root.run("import", "gentoomuch", config, "--dry-run", cwd=tmp_path, check=True)
    assert "  gentoomuch-project/portage/server-for-office/package.mask\n" in dry.stdout
    assert "the second holds; gentoomuch kept the first without a word" in dry.stdout
    assert list(tmp_path.iterdir()) == [config]
    root.run("import", "gentoomuch", config, cwd=tmp_path, check=True)
    written = {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("gentoomuch-project/**/*.*")
    }
    listed = {line.strip() for line in dry.stdout.partition("would be written:")[2].split("\n")}
    assert {path for path in written if (tmp_path / path).is_file()} <= listed
    (tmp_path / "here").mkdir()
    root.run("import", "gentoomuch", config, "-o", ".", cwd=tmp_path / "here", check=True)
    here = sorted(str(p.relative_to(tmp_path / "here")) for p in (tmp_path / "here").rglob("*"))
    there = tmp_path / "gentoomuch-project"
    assert here == sorted(str(path.relative_to(there)) for path in there.rglob("*"))
    assert not list(tmp_path.glob(".*"))
    again = root.run("import", "gentoomuch", config, cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == (
        "cloche: gentoomuch-project: not an empty directory; name a new or an empty one with -o\n"
    )
    wrong = root.run("import", "gentoomuch", tmp_path, cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
