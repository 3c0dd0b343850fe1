"""What goes wrong when a package is merged, or when merged packages come together."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.faults.looking import machine, said
from tests.support import Store

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]


def test_two_packages_that_own_one_file_are_refused(faulty: Faulty) -> None:
    store, project = faulty
    name = machine(project, "collide", "bad/owns-one", "bad/owns-two")
    line = said(store.cloche("build", name, cwd=project), 1)
    assert "file collision of bad/owns-one-1::faults and bad/owns-two-1::faults" in line
    assert "/usr/bin/owned-twice" in line
    said(store.cloche("build", name, cwd=project), 1)  # no result of that is remembered


def test_a_failed_merge_keeps_the_root_it_failed_in(faulty: Faulty) -> None:
    store, project = faulty
    line = said(store.cloche("build", "hook", cwd=project), 1)
    assert "or `cloche shell hook --package =bad/hook-1`" in line
    shell = ("shell", "hook", "--package", "=bad/hook-1", "--")
    command = "ls /run/cloche/out /usr/bin/plain; . /var/tmp/portage/bad/hook-1/temp/environment"
    opened = store.cloche(*shell, "bash", "-c", f"{command}; type -t pkg_postinst", cwd=project)
    assert "the merge of bad/hook-1 failed here; its environment:" in opened.stderr
    assert "hook-1.gpkg.tar" in opened.stdout
    assert opened.stdout.endswith("\nfunction\n"), opened
    ebuild = project / "repo/bad/hook/hook-1.ebuild"
    broken = ebuild.read_text()
    try:
        ebuild.write_text(broken.replace("die ", "einfo "))
        store.cloche("build", "hook", cwd=project, check=True)
        opened = store.cloche(*shell, "true", cwd=project, check=True)
        assert "bad/hook-1 is built here" in opened.stderr
    finally:
        ebuild.write_text(broken)


def test_what_failed_in_one_machine_did_not_fail_in_another(faulty: Faulty) -> None:
    store, project = faulty
    said(store.cloche("build", "fails", cwd=project), 1)
    other = machine(project, "not-fails", "bad/fails")
    for name, words in (("fails", "failed here"), (other, "is built here")):
        opened = store.cloche("shell", name, "--package", "bad/fails", "--", "true", cwd=project)
        assert words in opened.stderr
        assert opened.returncode == 0


def test_one_shell_at_a_time_is_in_a_kept_root(faulty: Faulty) -> None:
    store, project = faulty
    said(store.cloche("build", "fails", cwd=project), 1)
    shell = ("shell", "fails", "--package", "bad/fails", "--")
    words = "echo ready; read x; cat /var/tmp/portage/bad/fails-1/work/progress.txt; echo > /x"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    first = store.user.start("--store", store.path, *shell, "sh", "-c", words, cwd=project, **pipes)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    line = said(store.cloche(*shell, "true", cwd=project), 3)
    assert "another shell is open in its failed root" in line
    # It fails again meanwhile: the root in use stays whole for whoever is in it.
    said(store.cloche("build", "fails", cwd=project), 1)
    store.cloche(*shell, "true", cwd=project, check=True)
    told, errors = first.communicate("\n", timeout=60)
    assert told == "so far so good\n", errors
    assert first.returncode == 0, errors
    store.cloche("build", "fine", cwd=project, check=True)
    assert not list((store.path / "tmp").glob("gone-*"))


def test_a_refused_merge_is_told_in_portages_words(faulty: Faulty) -> None:
    store, project = faulty
    name = machine(project, "refused", "bad/refused")
    done = store.cloche("build", name, cwd=project)
    said(done, 1)
    words = "phase merge: Package 'bad/refused-1' NOT merged due to file collisions."
    assert f"bad/refused-1::faults: merge failed: {words}" in done.stderr
