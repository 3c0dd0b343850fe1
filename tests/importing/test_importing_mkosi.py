"""A directory of mkosi as a project: what is taken from it, and what is refused."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cloche.errors import ClocheError
from cloche.importing import from_mkosi
from cloche.importing.from_mkosi import Portage, packages_of, profile_of, read_portage

#: Of `mkosi --json summary`, mkosi 25.3: what counts here.
SETTINGS: dict[str, Any] = {
    "Distribution": "custom",
    "Packages": ["app-misc/hello\nsys-libs/musl", "@system", "app-misc/hello"],
    "Environment": {},
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of mkosi with a repository in it."""
    etc = tmp_path / "mkosi.pkgmngr/etc/portage"
    (etc / "package.use").mkdir(parents=True)
    (etc / "make.conf").write_text('CFLAGS="-O2"\nMAKEOPTS="-j9"\n')
    (etc / "package.use/one").write_text("*/* static\n")
    (etc / "repos.conf").write_text(f"[own]\nlocation = {tmp_path}/repo\n")
    (tmp_path / "repo/profiles/musl").mkdir(parents=True)
    (etc / "make.profile").symlink_to(f"{tmp_path}/repo/profiles/musl")
    return tmp_path


def test_packages_are_atoms_and_sets_each_once() -> None:
    assert packages_of(SETTINGS) == ("app-misc/hello", "sys-libs/musl", "@system")


def test_the_script_of_mkosi_hands_packages_over_as_mkosi_takes_it(tmp_path: Path) -> None:
    script = tmp_path / "configure"
    script.write_bytes(from_mkosi.included()["configure"].content)
    done = subprocess.run(
        ["python3", script], input=json.dumps(SETTINGS), capture_output=True, text=True, check=True
    )
    changed = json.loads(done.stdout)
    assert changed["Packages"] == []
    assert packages_of(changed) == packages_of(SETTINGS)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"Distribution": "debian"}, "distribution is debian; write Distribution=custom"),
        ({"Packages": ["hello"]}, "Packages=: “hello” is not an atom"),
        ({"Packages": []}, "the image has no Packages="),
        ({"Packages": None}, "the image has no Packages="),
    ],
)
def test_what_mkosi_would_not_do_is_refused(changed: dict[str, Any], what: str) -> None:
    with pytest.raises(ClocheError) as caught:
        packages_of({**SETTINGS, **changed})
    assert what in str(caught.value)


def test_the_environment_says_whether_the_root_is_minimal() -> None:
    assert from_mkosi.root_of(SETTINGS) == from_mkosi.root_of({"Environment": None}) == "own"
    assert from_mkosi.root_of({"Environment": {"CLOCHE_ROOT": "minimal"}}) == "minimal"
    with pytest.raises(ClocheError) as caught:
        from_mkosi.root_of({"Environment": {"CLOCHE_ROOT": "tiny"}})
    assert "write CLOCHE_ROOT=own or CLOCHE_ROOT=minimal" in str(caught.value)


def test_its_files_are_a_machine_with_a_fragment(directory: Path) -> None:
    portage = read_portage(directory)
    declared = tomllib.loads(from_mkosi.declaration(portage, directory).content.decode())
    assert declared["repos"] == {"own": {"path": "../repo"}}
    profile = profile_of(portage, {"own": directory / "repo"})
    files, omissions = from_mkosi.machine_files(
        packages_of(SETTINGS), "own", portage, profile, ("stage3", "debian")
    )
    assert tomllib.loads(files["machines/image.toml"].content.decode()) == {
        "seed": "stage3",
        "root": "own",
        "profile": "own:musl",
        "portage": ["mkosi"],
        "sets": ["system"],
        "packages": ["app-misc/hello", "sys-libs/musl"],
        "output": {"stage4": True, "portage": False},
    }
    assert files["portage/mkosi/package.use/one"].content == b"*/* static\n"
    assert "MAKEOPTS=" not in files["portage/mkosi/make.conf"].content.decode().replace("# ", "")
    (omission,) = omissions
    assert omission.name == "mkosi.pkgmngr/etc/portage/make.conf:2 (MAKEOPTS)"


def test_without_repositories_it_is_gentoos(directory: Path) -> None:
    (directory / "mkosi.pkgmngr/etc/portage/repos.conf").unlink()
    declared = from_mkosi.declaration(read_portage(directory), directory).content.decode()
    assert list(tomllib.loads(declared)["repos"]) == ["gentoo"]


def test_a_profile_may_be_one_that_comes_later_or_lies_elsewhere(directory: Path) -> None:
    portage = read_portage(directory)
    link = "../../var/db/repos/gentoo/profiles/default/linux/amd64/23.0"
    found = Portage(portage.name, portage.read, link)
    assert profile_of(found, {"gentoo": None}) == "gentoo:default/linux/amd64/23.0"
    renamed = Portage(portage.name, portage.read, "/srv/x/profiles/musl")
    (directory / "x/profiles/musl").mkdir(parents=True)
    assert profile_of(renamed, {"x": directory / "x"}) == "x:musl"
    link = directory / "mkosi.pkgmngr/etc/portage/make.profile"
    link.unlink()
    link.symlink_to("../../../x/profiles/musl")  # relative, in a directory of another name
    assert profile_of(read_portage(directory), {"own": directory / "x"}) == "own:musl"


@pytest.mark.parametrize(
    ("link", "what"),
    [
        (None, "make.profile: there is no such link; link it to the profile"),
        ("/etc/other", "/etc/other is not in a repository of mkosi.cloche/cloche.toml; link it to"),
        ("/x/none/profiles/a", "is not in a repository of mkosi.cloche/cloche.toml; link it to"),
        ("/x/own/profiles/muls", "own has no profile muls; `cloche -C mkosi.cloche profile list"),
    ],
)
def test_a_wrong_profile_is_refused(directory: Path, link: str | None, what: str) -> None:
    portage = read_portage(directory)
    with pytest.raises(ClocheError) as caught:
        profile_of(Portage(portage.name, portage.read, link), {"own": directory / "repo"})
    assert what in str(caught.value)


def test_the_first_tree_counts_and_one_is_needed(directory: Path) -> None:
    (directory / "mkosi.skeleton/etc/portage").mkdir(parents=True)
    assert read_portage(directory).name == "mkosi.pkgmngr/etc/portage"
    (directory / "mkosi.pkgmngr").rename(directory / "elsewhere")
    assert read_portage(directory).name == "mkosi.skeleton/etc/portage"
    (directory / "mkosi.skeleton").rename(directory / "there")
    with pytest.raises(ClocheError, match=r"it has no etc/portage in any of mkosi\.pkgmngr"):
        read_portage(directory)
