"""Which steps of Portage's are left out, and when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.guest import shortcuts


class Settings(dict[str, str]):
    """What a configuration of Portage's says here."""

    features = frozenset(("binpkg-docompress", "binpkg-dostrip", "strict"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("build/image", "temp", "env"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "temp/environment").write_text('declare -x PN="any"\n')
    return Settings(
        CATEGORY="tiny",
        PM_EBUILD_HOOK_DIR=f"{tmp_path}/env",
        PORTAGE_BASHRC=f"{tmp_path}/bashrc",
        PORTAGE_BUILDDIR=f"{tmp_path}/build",
        T=f"{tmp_path}/temp",
    )


def test_clean_removes_the_build_directory(settings: Settings, tmp_path: Path) -> None:
    assert shortcuts.done_phase("clean", settings)
    assert not (tmp_path / "build").exists()


def test_instprep_leaves_its_mark(settings: Settings, tmp_path: Path) -> None:
    assert shortcuts.done_phase("instprep", settings)
    assert (tmp_path / "build/.instprepped").exists()


def test_instprep_is_portages_where_it_strips(settings: Settings, tmp_path: Path) -> None:
    settings.features = frozenset(("binpkg-docompress", "strict"))
    assert not shortcuts.done_phase("instprep", settings)
    assert not (tmp_path / "build/.instprepped").exists()


@pytest.mark.parametrize("phase", ["setup", "install", "preinst", "postinst"])
def test_phases_of_the_ebuild_are_portages(settings: Settings, phase: str) -> None:
    assert not shortcuts.done_phase(phase, settings)


def test_functions_that_would_do_nothing(settings: Settings, tmp_path: Path) -> None:
    assert shortcuts.idle_functions(["preinst_mask"], settings)
    assert shortcuts.idle_functions(["success_hooks"], settings)
    assert not shortcuts.idle_functions(["preinst_sfperms", "preinst_qa_check"], settings)
    settings["INSTALL_MASK"] = "/usr/share/doc"
    assert not shortcuts.idle_functions(["preinst_mask"], settings)
    (tmp_path / "temp/environment").write_text('declare -x EBUILD_SUCCESS_HOOKS="any"\n')
    assert not shortcuts.idle_functions(["success_hooks"], settings)


@pytest.mark.parametrize("hook", ["bashrc", "env/tiny/any"])
def test_nothing_is_left_out_where_a_file_runs_in_every_shell(
    settings: Settings, tmp_path: Path, hook: str
) -> None:
    (tmp_path / hook).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / hook).touch()
    assert not shortcuts.done_phase("clean", settings)
    assert not shortcuts.idle_functions(["success_hooks"], settings)
    assert (tmp_path / "build").exists()


def test_a_profiles_bashrc_counts(settings: Settings) -> None:
    settings["PORTAGE_BASHRC_FILES"] = "/var/db/repos/any/profiles/base/profile.bashrc"
    assert not shortcuts.done_phase("clean", settings)
