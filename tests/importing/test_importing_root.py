"""A running system becomes a project that cloche plans, read here or over ssh, without secrets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.importing.samples import write_root
from tests.support import Store, User
from tests.targets.described import PROJECT
from tests.targets.sshd import SshTarget, ssh_target

from cloche.errors import ClocheError
from cloche.importing.from_system import Wish, profile_in, project_of
from cloche.importing.outcome import Imported
from cloche.importing.system import decode_system, read_directory
from cloche.importing.writing import check

SECRETS = ("MOO-HASH", "MOO-KEY", "larry:moo")


def imported(top: Path, **more: str) -> Imported:
    system = read_directory(write_root(top, **more))
    found = project_of(system, "SOURCE", Wish(directory="/there"))
    check(found)
    return found


def text(project: Imported, name: str) -> str:
    return project.files[name].content.decode()


def names(project: Imported) -> list[str]:
    return [each.name for each in project.omissions]


def test_a_system_is_a_machine(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert text(found, "machines/moo.toml") == (
        "# The system SOURCE, as `cloche import root` found it; see IMPORT.md.\n\n"
        'seed = "stage3-amd64-openrc"\nprofile = "local:default"\n'
        '# Its /etc/portage.\nportage = ["moo"]\n'
        '# moo-world is its world file.\nsets = ["moo-world", "mine", "system"]\n'
        "# All of the stage3 gets these flags and versions.\n"
        'emerge = ["--update", "--deep", "--newuse"]\n'
        'hostname = "moo"\ntimezone = "Europe/Berlin"\n'
        'locales = ["de_DE.UTF-8 UTF-8", "en_US.UTF-8 UTF-8"]\nfiles = ["files/moo"]\n\n'
        '[services]\non = ["net.lo|boot", "sshd|default"]\n\n[groups.herd]\ngid = 1100\n\n'
        '[users.larry]\nuid = 1000\ngroups = ["audio", "herd"]\ncomment = "the cow"\n'
        'home = "/srv/larry"\nshell = "/bin/sh"\n\n[output]\nstage4 = true\n'
    )
    assert text(found, "sets/moo-world").splitlines()[1:] == [
        "# nano  # not carried over: the category is missing, as in app-misc/hello",
        "app-misc/tree",
        "app-misc/wood",
    ]
    assert text(found, "portage/moo/package.mask") == "app-misc/broken\n"
    assert text(found, "patches/app-misc/tree/x.patch") == "--- a/x\n+++ b/x\n"
    assert text(found, "kernels/moo.config") == "CONFIG_MOO=y\n"
    assert text(found, "files/moo/etc/conf.d/keymaps") == 'keymap="de"\n'


def test_what_is_not_carried_over_is_told(tmp_path: Path) -> None:
    found = imported(tmp_path)
    for name in (
        *("etc/portage/make.conf:4 (MAKEOPTS)", "etc/portage/postsync.d", "sets/mine (@lost)"),
        *("var/lib/portage/world:3 (nano)", "var/lib/portage/world_sets (@gone)"),
        *("etc/runlevels/default/mine", "the password of larry", "etc/portage/gnupg"),
        *("usr/src/linux/.config (the kernel)", "etc/env.d/02locale (LC_TIME)"),
    ):
        assert name in names(found)
    assert any("-march=native" in each for each in found.checks)


def test_secrets_are_not_even_read(tmp_path: Path) -> None:
    system = read_directory(write_root(tmp_path))
    contents = b"".join(system.content(name) for name in system.files)
    assert not any(secret.encode() in contents for secret in SECRETS)
    told = names(project_of(system, "SOURCE", Wish()))
    for name in ("binrepos.conf", "make.conf", "package.license"):  # the last leads to shadow(5)
        assert f"etc/portage/{name}" in told


def test_a_file_that_cannot_be_read_is_told(ordinary: User, tmp_path_factory: object) -> None:
    top = write_root(ordinary.home / "closed")
    (top / "etc/portage/package.use/editors").chmod(0)
    done = ordinary.run("import", "root", top, "--dry-run", "--json", check=True)
    left = {each["name"]: each for each in json.loads(done.stdout)["not_carried_over"]}
    assert left["etc/portage/package.use/editors"] == {
        "name": "etc/portage/package.use/editors",
        "why": "cannot be read: Permission denied",
        "todo": "run it again as root",
    }


@pytest.mark.parametrize(
    ("package", "table"),
    [
        (
            "gentoo-sources-6.12.1-r1",
            'sources = "sys-kernel/gentoo-sources"\nconfig = "kernels/moo.config"',
        ),
        ("gentoo-kernel-bin-6.12.1", 'dist = "sys-kernel/gentoo-kernel-bin"'),
    ],
)
def test_the_kernel_is_of_the_package_that_is_installed(
    tmp_path: Path, package: str, table: str
) -> None:
    found = imported(tmp_path, **{f"var/db/pkg/sys-kernel/{package}/PF": package})
    assert f"\n[kernel]\n{table}\n\n[services]" in text(found, "machines/moo.toml")


def test_units_of_systemd(tmp_path: Path) -> None:
    units = "obj /usr/lib/systemd/system/{} 0 0\n"
    write_root(
        tmp_path,
        without=("var/db/pkg/sys-apps/openrc-1/PF",),
        **{
            "var/db/pkg/sys-apps/systemd-1/PF": "systemd-1\n",
            "var/db/pkg/sys-apps/systemd-1/CONTENTS": units.format("sshd.service")
            + units.format("getty@.service"),
            "etc/hostname": "# it\nbox\n",
        },
    )
    system = tmp_path / "etc/systemd/system"
    for name, target in {
        "multi-user.target.wants/sshd.service": "/usr/lib/systemd/system/sshd.service",
        "getty.target.wants/getty@tty1.service": "/usr/lib/systemd/system/getty@.service",
        "multi-user.target.wants/mine.service": "/etc/systemd/system/mine.service",
        "systemd-homed.service": "/dev/null",
        "default.target": "/usr/lib/systemd/system/graphical.target",
    }.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).symlink_to(target)
    (system / "mine.service").write_text("[Service]\n")
    found = project_of(read_directory(tmp_path), "SOURCE", Wish())
    assert found.machines == ("box",)
    machine = text(found, "machines/box.toml")
    assert '[services]\non = ["getty@tty1.service", "sshd.service"]\n' in machine
    assert 'mask = ["systemd-homed.service"]\n' in machine
    assert 'seed = "stage3-amd64-systemd"' in machine
    assert 'hostname = "box"\n' in machine
    for name in ("mine.service", "multi-user.target.wants/mine.service", "default.target"):
        assert f"etc/systemd/system/{name}" in names(found)


def test_a_profile_of_its_own_goes_into_the_fragment(tmp_path: Path) -> None:
    own = "etc/portage/make.profile"
    files = {f"{own}/parent": "../../../var/db/repos/local/profiles/default\n"}
    more = {f"{own}/package.use": "app-misc/tree old\n"}
    system = read_directory(write_root(tmp_path, without=(own,), **files, **more))
    found = project_of(system, "SOURCE", Wish())
    assert 'profile = "local:default"' in text(found, "machines/moo.toml")
    assert text(found, "portage/moo/profile/package.use") == "app-misc/tree old\n"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("var/db/repos/gentoo/profiles/default/linux", "gentoo:default/linux"),
        ("mnt/trees/gentoo/profiles/default", "gentoo:default"),  # reached through a link
        ("var/db/repos/other/profiles/x", None),
        ("etc/portage/make.profile", None),
    ],
)
def test_where_a_profile_is(path: str, found: str | None) -> None:
    assert profile_in(path, {"gentoo": "/var/db/repos/gentoo"}) == found


@pytest.mark.parametrize(
    ("without", "more", "wanted"),
    [
        (("etc/portage/make.profile",), {}, "no profile is set"),
        (("var/db/pkg/sys-apps/openrc-1/PF",), {}, "no installed packages in /var/db/pkg"),
        ((), {"etc/portage/make.conf": 'USE="\n'}, "no closing quotation"),
        ((), {"etc/portage/repos.conf/local.conf": "[x]\nlocation = /x\n"}, "in no repository"),
        ((), {"etc/portage/repos.conf/local.conf": "location\n"}, "cannot be read"),
    ],
)
def test_what_cannot_be_a_project_is_refused(
    tmp_path: Path, without: tuple[str, ...], more: dict[str, str], wanted: str
) -> None:
    with pytest.raises(ClocheError, match=wanted) as raised:
        project_of(read_directory(write_root(tmp_path, without=without, **more)), "S", Wish())
    assert raised.value.todo


def test_other_directories_are_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ClocheError, match="name the root of a Gentoo system"):
            read_directory(place)


@pytest.mark.parametrize("packed", [b"", b"x", b"x\x9c"])
def test_an_answer_that_is_cut_off_is_refused(packed: bytes) -> None:
    with pytest.raises(ClocheError, match="malformed"):
        decode_system(packed, "HOST")


@pytest.fixture(scope="module")
def target(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshTarget]:
    """The system over the seed, which has Python."""
    top = write_root(tmp_path_factory.mktemp("system"))
    with ssh_target(tmp_path_factory.mktemp("target"), [root_seeded.seed_layer, top]) as found:
        yield found


@pytest.mark.real
def test_a_system_over_ssh_is_planned(
    target: SshTarget, root_seeded: Store, fresh: Callable[[Store], Store], tmp_path: Path
) -> None:
    store, project = fresh(root_seeded), tmp_path / "project"
    words = ("import", "root", target.address, "-o", project, "--seed", "debian", "--json")
    path = {"PATH": target.path_for()}
    done = store.cloche(*words, cwd=tmp_path, env=path, check=True)
    data = json.loads(done.stdout)
    assert (data["machines"], data["source"]) == (["moo"], target.address)
    (told,) = [each for each in data["not_carried_over"] if "[local]" in each["name"]]
    assert told["todo"] == "copy that directory to repos/local of the project"
    early = store.cloche("plan", "moo", cwd=project)
    assert (early.returncode, early.stderr.count("\n")) == (2, 1)
    shutil.copytree(PROJECT / "repo", project / "repos/local")
    plan = store.cloche("plan", "moo", "--json", cwd=project, check=True)
    packages = {each["cpv"] for each in json.loads(plan.stdout)["packages"]}
    assert {"app-misc/tree-1", "app-misc/stone-1", "app-misc/wood-1"} <= packages
    grep = ["grep", "-rE", "|".join(SECRETS), project]
    assert subprocess.run(grep, capture_output=True).returncode == 1


@pytest.mark.real
def test_a_directory_is_planned(
    root_seeded: Store, fresh: Callable[[Store], Store], tmp_path: Path
) -> None:
    store, top = fresh(root_seeded), write_root(tmp_path / "root")
    shutil.copytree(PROJECT / "repo", top / "var/db/repos/local", dirs_exist_ok=True)
    words = ("import", "root", top, "--seed", "debian", "--name", "office")
    done = store.cloche(*words, cwd=tmp_path, check=True)
    assert done.stdout.endswith(
        "office: 1 machine: office\nNext:\n  cloche -C office seed bootstrap debian\n"
        "  cloche -C office plan office\n"
    )
    plan = store.cloche("plan", "office", "--json", cwd=tmp_path / "office", check=True)
    packages = {each["cpv"] for each in json.loads(plan.stdout)["packages"]}
    assert {"app-misc/tree-1", "app-misc/stone-1"} <= packages


@pytest.mark.real
def test_bad_input_is_one_line(root: User, tmp_path: Path) -> None:
    write_root(tmp_path / "root")
    os.mkdir(tmp_path / "full")  # noqa: PTH102
    (tmp_path / "full/x").touch()
    for words, status, wanted in (
        (("ssh://127.0.0.1:1",), 1, "ssh cannot connect"),
        (("ssh://a b",), 2, "is not the address of a target"),
        (("http://x",), 2, "is not the address of a target"),
        (("ssh://x", "--seed", "directory"), 2, "needs a directory of this host"),
        (("absent",), 2, "no such directory"),
        (("root", "--name", "a/b"), 2, "is not a machine's name"),
        (("root", "-o", "full"), 2, "not an empty directory"),
    ):
        done = root.run("import", "root", *words, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
        assert wanted in done.stderr
