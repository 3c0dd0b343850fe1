"""The example repositories are what an ebuild author would be proud of."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloche.config.project import load_project
from cloche.config.template import init

ROOT = Path(__file__).resolve().parent.parent


def scan(repo, tmp_path, *words):
    """Run Gentoo's own QA over a copy: it writes a cache into the repository."""
    copy = tmp_path / "scanned"
    shutil.copytree(repo, copy)
    pkgcheck = Path(sys.executable).parent / "pkgcheck"
    return subprocess.run(
        [pkgcheck, "scan", "--exit=error", *words, "--repo", copy, copy],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def test_pkgcheck_finds_no_error_in_the_workbench(tmp_path):
    done = scan(ROOT / "examples/workbench/repo", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["native", "cross", "fleet", "minimal"])
def test_pkgcheck_finds_no_error_in_an_example_and_its_master_as_one(name, tmp_path):
    """Pkgcheck only knows masters that the host is configured for."""
    own, both = ROOT / f"examples/{name}/repo", tmp_path / "both"
    shutil.copytree(ROOT / "examples/workbench/repo", both)
    categories = own / "profiles/categories"
    for part in (*categories.read_text().split(), "eclass", "licenses"):
        if (own / part).exists():
            shutil.copytree(own / part, both / part, dirs_exist_ok=True)
    for part in ("arch.list", "arches.desc"):
        shutil.copy(own / "profiles" / part, both / "profiles" / part)
    known = both / "profiles/categories"
    names = {*known.read_text().split(), *categories.read_text().split()}
    known.write_text("\n".join(sorted(names)) + "\n")
    done = scan(both, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pkgcheck_finds_no_error_in_what_init_writes(tmp_path):
    init(tmp_path / "project")
    done = scan(tmp_path / "project/repo", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pkgcheck_would_find_one(tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(ROOT / "examples/workbench/repo", broken)
    ebuild = broken / "app-text/tree/tree-2.1.0.ebuild"
    ebuild.write_text(ebuild.read_text().replace("EAPI=8", "EAPI=8\nDEPEND='no-such/package'"))
    done = scan(broken, tmp_path)
    assert done.returncode != 0
    assert "no-such/package" in done.stdout


@pytest.mark.parametrize("name", ["workbench", "mini"])
def test_machines_of_the_workbench_are_well_formed(name):
    machine = load_project(ROOT / "examples/workbench").machine(name)
    assert machine.targets


@pytest.mark.parametrize("name", ["stage1", "stage2", "stage3", "again", "workbench", "trixie3"])
def test_machines_of_native_are_well_formed(name):
    project = load_project(ROOT / "examples/native")
    machine = project.machine(name)
    assert machine.own_root
    assert project.ground(machine).type == "debian"
