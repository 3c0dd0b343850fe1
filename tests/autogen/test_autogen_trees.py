"""Dependencies: what configured repositories have is used, the rest is written with --deps."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.autogen.published import Desk, repository

from cloche.autogen.trees import Trees, places_of_portage


def tree(
    desk: Desk, name: str, *packages: str, iuse: str = "", inherit: str = "distutils-r1"
) -> Path:
    place = repository(desk.room / name, name)
    for cpv in packages:
        category, _, pf = cpv.partition("/")
        directory = place / category / pf.rpartition("-")[0]
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{pf}.ebuild").write_text(f'EAPI=8\ninherit {inherit}\nIUSE="{iuse}"\n')
    return place


def ebuilds(desk: Desk) -> list[str]:
    return sorted(path.stem for path in desk.repository.glob("*/*/*.ebuild"))


def test_packages_of_the_trees_are_used_under_their_names(desk: Desk) -> None:
    place = tree(desk, "gentoo", "dev-python/ruamel-yaml-1.5", "sci-libs/tensor-2.0")
    named = '<remote-id type="pypi">Tensor-Flow</remote-id>'
    (place / "sci-libs/tensor/metadata.xml").write_text(named)
    desk.index.release("app", "1", "Requires-Dist: ruamel.yaml>=1", "Requires-Dist: tensor_flow")
    done = desk.run("app", "--deps", "--repo", str(place))
    assert done.exit_code == 0, done.output
    text = desk.text("dev-python/app/app-1.ebuild")
    assert ">=dev-python/ruamel-yaml-1[${PYTHON_USEDEP}]" in text
    assert "sci-libs/tensor[${PYTHON_USEDEP}]" in text
    assert ebuilds(desk) == ["app-1"]


BUILD = '[build-system]\nrequires = ["hatchling", "cmake>=3.18", "ninja", "meson", "scons"]\n'
BUILD += 'build-backend = "hatchling.build"\n'


def test_what_is_not_built_for_python_targets_has_no_usedep(desk: Desk) -> None:
    """`${PYTHON_USEDEP}` on CMake could never be met; Meson is a Python package."""
    desk.index.release("app", "1", files={"pyproject.toml": BUILD})
    assert desk.run("app").exit_code == 0
    wanted = desk.text("dev-python/app/app-1.ebuild").partition('BDEPEND="\n')[2].split()
    assert wanted[:4] == [
        "app-alternatives/ninja",
        ">=dev-build/cmake-3.18",
        "dev-build/meson[${PYTHON_USEDEP}]",
        "dev-build/scons[${PYTHON_USEDEP}]",
    ]


IUSE = {
    "each": "IUSE=test python_targets_python3_13",
    "one": "IUSE=python_single_target_python3_13",
    "none": "IUSE=test",
}


@pytest.mark.parametrize(
    ("inherit", "single", "cached", "expected"),
    [
        ("edo distutils-r1", "", None, "each"),
        ("python-r1", "", None, "each"),
        ("meson \\\n\tpython-r1", "", None, "each"),
        ("python-single-r1", "", None, "one"),
        ("distutils-r1", "DISTUTILS_SINGLE_IMPL=1", None, "one"),
        ("cmake", "", None, "none"),
        ("cmake", "", "each", "each"),
        ("distutils-r1", "", "one", "one"),
        ("distutils-r1", "", "none", "none"),
    ],
)
def test_the_newest_ebuild_says_whether_a_package_has_python_targets(
    desk: Desk, inherit: str, single: str, cached: str | None, expected: str
) -> None:
    place = tree(desk, "gentoo", "sci-libs/lib-2", inherit=f"{inherit}\n{single}")
    (place / "sci-libs/lib/lib-1.ebuild").write_text("EAPI=8\n")
    (place / "sci-libs/lib/lib-9999.ebuild").write_text("EAPI=8\n")
    if cached is not None:
        cache = place / "metadata/md5-cache/sci-libs"
        cache.mkdir(parents=True)
        (cache / "lib-2").write_text(f"EAPI=8\n{IUSE[cached]}\nSLOT=0\n")
    assert Trees((place,)).targets_of("sci-libs/lib") == expected
    named = '<remote-id type="pypi">lib</remote-id>'
    (place / "sci-libs/lib/metadata.xml").write_text(named)
    desk.index.release("app", "1", "Requires-Dist: lib>=1")
    done = desk.run("app", "--repo", str(place))
    if expected == "one":
        assert "python-single-r1" in str(done.exception)
        assert ebuilds(desk) == []
        return
    use = "[${PYTHON_USEDEP}]" if expected == "each" else ""
    assert f"\t>=sci-libs/lib-1{use}\n" in desk.text("dev-python/app/app-1.ebuild")


def test_a_package_of_a_tree_is_written_under_its_name(desk: Desk) -> None:
    place = tree(desk, "gentoo", "dev-build/mason-0.9")
    named = '<remote-id type="pypi">mason-build</remote-id>'
    (place / "dev-build/mason/metadata.xml").write_text(named)
    desk.index.release("mason-build", "1", "Requires-Dist: lib")
    desk.index.release("lib", "1", "Requires-Dist: mason-build")
    assert desk.run("mason-build", "--deps", "--repo", str(place)).exit_code == 0
    assert ebuilds(desk) == ["lib-1", "mason-1"]
    assert 'PYPI_PN="mason-build"' in desk.text("dev-build/mason/mason-1.ebuild")
    assert "dev-build/mason[" in desk.text("dev-python/lib/lib-1.ebuild")


def test_two_versions_of_a_package_in_one_run_share_a_manifest(desk: Desk) -> None:
    """And metadata.xml has the flags of both."""
    desk.index.release("app", "1", "Requires-Dist: old", "Requires-Dist: lib>=2")
    desk.index.release("old", "1", "Requires-Dist: lib<2")
    for version, extra in (("1.0", "slow"), ("2.0", "fast")):
        desk.index.release(
            "lib", version, f'Requires-Dist: app; extra == "{extra}"', f"Provides-Extra: {extra}"
        )
    assert desk.run("app", "--deps").exit_code == 0
    assert ebuilds(desk) == ["app-1", "lib-1.0", "lib-2.0", "old-1"]
    listed = [line.split()[1] for line in desk.text("dev-python/lib/Manifest").splitlines()]
    assert listed == ["lib-1.0.tar.gz", "lib-2.0.tar.gz"]
    described = desk.text("dev-python/lib/metadata.xml")
    assert '<flag name="fast">' in described
    assert '<flag name="slow">' in described
    before = desk.snapshot()
    assert desk.run("app", "--deps").exit_code == 0
    assert desk.snapshot() == before


def test_a_licence_that_is_given_is_not_that_of_dependencies(desk: Desk) -> None:
    desk.index.release("app", "1", "Requires-Dist: lib", "License: as you like")
    desk.index.release("lib", "1", "License: as you like")
    done = desk.run("app", "--deps", "--license", "Mine")
    assert "lib, which dev-python/app-1 needs: no licence is named" in str(done.exception)
    desk.index.release("lib", "2")
    assert desk.run("app", "--deps", "--license", "|| ( Mine MIT )").exit_code == 0
    assert 'LICENSE="|| ( Mine MIT )"' in desk.text("dev-python/app/app-1.ebuild")
    assert 'LICENSE="MIT"' in desk.text("dev-python/lib/lib-2.ebuild")


def test_the_trees_of_portage_are_found(desk: Desk) -> None:
    one = tree(desk, "one", "dev-python/low-1", "dev-python/hatchling-1")
    two = tree(desk, "two", "dev-python/high-2")
    conf = desk.room / "repos.conf"
    conf.unlink()
    conf.mkdir()
    (conf / "a.conf").write_text(f"[DEFAULT]\nmain-repo = one\n[one]\nlocation = {one}\n")
    (conf / "b.conf").write_text(f"[two]\nlocation = {two}\npriority = 5\n[x]\nlocation = /none\n")
    assert places_of_portage(conf) == (two, one)
    desk.index.release("app", "1", "Requires-Dist: low", "Requires-Dist: high")
    assert "no repository has" not in desk.run("app").stderr


def test_what_no_tree_has_is_written_too(desk: Desk) -> None:
    """Recursively, in a version that is accepted, circles included; a second run is quiet."""
    desk.index.release("app", "1", "Requires-Dist: lib[fast]<2,>=1", "Requires-Dist: leaf")
    for version in ("0.9", "1.4", "2.0"):
        desk.index.release(
            "lib", version, "Requires-Dist: leaf!=1.0", "Requires-Dist: app",
            'Requires-Dist: speed; extra == "fast"', "Provides-Extra: fast",
        )  # fmt: skip
    for project in ("leaf", "speed"):
        desk.index.release(project, "1.0")
        desk.index.release(project, "1.1")
    done = desk.run("app", "--deps")
    assert done.exit_code == 0, done.output
    assert ebuilds(desk) == ["app-1", "leaf-1.1", "lib-1.4", "speed-1.1"]
    assert ">=dev-python/lib-1[fast,${PYTHON_USEDEP}]" in desk.text("dev-python/app/app-1.ebuild")
    before = desk.snapshot()
    done = desk.run("app", "--deps")
    assert "nothing has changed" in done.stderr
    assert desk.snapshot() == before


def test_what_the_eclass_brings_is_written_where_no_tree_has_it(desk: Desk) -> None:
    """And what tests need, for the package that is named alone."""
    (desk.room / "repos.conf").unlink()
    more = ('Requires-Dist: pytest-mock; extra == "test"', "Provides-Extra: test")
    tests = {"tests/test_it.py": ""}
    for project in ("pytest", "pytest-mock", "hatchling"):
        desk.index.release(project, "1")
    flags = ('Requires-Dist: nothing; extra == "unused"', "Provides-Extra: unused")
    of_tests = ('Requires-Dist: nowhere; extra == "test"', "Provides-Extra: test")
    desk.index.release("lib", "1", *flags, *of_tests, files=tests)
    desk.index.release("app", "1", "Requires-Dist: lib", *more, files=tests)
    done = desk.run("app", "--deps")
    assert done.exit_code == 0, done.output
    assert ebuilds(desk) == ["app-1", "hatchling-1", "lib-1", "pytest-1", "pytest-mock-1"]


def test_a_dependency_is_the_newest_release_for_the_targets(desk: Desk) -> None:
    """As pip chooses it; of the package that is named the newest is meant, or it is refused."""
    desk.index.release("app", "1", "Requires-Dist: lib")
    desk.index.release("lib", "1.0", **{"requires-python": ">=3.8"})
    desk.index.release("lib", "2.0", "Requires-Python: >=4", **{"requires-python": ">=4"})
    assert desk.run("app", "--deps").exit_code == 0
    assert ebuilds(desk) == ["app-1", "lib-1.0"]
    assert "Requires-Python “>=4”" in str(desk.run("lib").exception)


def test_all_that_the_eclass_needs_for_a_backend_is_told(desk: Desk) -> None:
    text = '[build-system]\nrequires = ["flit_scm"]\nbuild-backend = "flit_scm:buildapi"\n'
    desk.index.release("app", "1", files={"pyproject.toml": text})
    assert "needs what no repository has: flit-core, flit-scm" in desk.run("app").stderr


def test_a_tree_whose_versions_are_too_old_does_not_count(desk: Desk) -> None:
    place = tree(desk, "gentoo", "dev-python/lib-1.0")
    desk.index.release("app", "1", "Requires-Dist: lib>=2")
    desk.index.release("lib", "2.1")
    assert "needs what no repository has: lib" in desk.run("app", "--repo", str(place)).stderr
    assert desk.run("app", "--deps", "--repo", str(place)).exit_code == 0
    assert ebuilds(desk) == ["app-1", "lib-2.1"]


def test_a_dependency_that_is_refused_says_who_needs_it_and_nothing_is_written(desk: Desk) -> None:
    desk.index.release("app", "1", "Requires-Dist: lib")
    desk.index.release("lib", "1", "Requires-Python: <3")
    done = desk.run("app", "--deps")
    assert "lib, which dev-python/app-1 needs: no target" in str(done.exception)
    assert ebuilds(desk) == []


@pytest.mark.parametrize("iuse", ["fast", "+fast doc", ""])
def test_an_extra_is_a_flag_only_where_the_tree_has_it(desk: Desk, iuse: str) -> None:
    """Otherwise what the extra requires is required itself: gs-pypi drops it."""
    place = tree(desk, "gentoo", "dev-python/lib-1.0", "dev-python/speed-1", iuse=iuse)
    desk.index.release("app", "1", "Requires-Dist: lib[fast]")
    desk.index.release("lib", "1.0", 'Requires-Dist: speed>=1; extra == "fast"',
                       "Requires-Dist: other", "Provides-Extra: fast")  # fmt: skip
    desk.run("app", "--repo", str(place))
    text = desk.text("dev-python/app/app-1.ebuild")
    assert ("dev-python/lib[fast,${PYTHON_USEDEP}]" in text) == bool(iuse)
    assert (">=dev-python/speed-1[${PYTHON_USEDEP}]" in text) == (not iuse)
    assert "other" not in text


def test_an_extra_that_a_package_lacks_is_no_flag_of_its_new_ebuild(desk: Desk) -> None:
    desk.index.release("app", "1", "Requires-Dist: lib[fast,slow]")
    desk.index.release("lib", "1", "Provides-Extra: fast")
    assert desk.run("app", "--deps").exit_code == 0
    assert "\tdev-python/lib[fast,${PYTHON_USEDEP}]\n" in desk.text("dev-python/app/app-1.ebuild")


def test_an_extra_of_all_extras_is_whole(desk: Desk) -> None:
    desk.index.release(
        "app", "1",
        'Requires-Dist: one; extra == "a"',
        'Requires-Dist: two; extra == "b" and python_version < "3.12"',
        'Requires-Dist: app[a,b]; extra == "all"',
        "Provides-Extra: a", "Provides-Extra: b", "Provides-Extra: all",
    )  # fmt: skip
    desk.run("app")
    text = desk.text("dev-python/app/app-1.ebuild")
    of_all = text.partition("all? (")[2].partition("\t)")[0]
    assert "dev-python/one[${PYTHON_USEDEP}]" in of_all
    assert "dev-python/two[${PYTHON_USEDEP}]" in of_all
    assert "' 3.11)" in of_all
    assert "dev-python/app" not in text.partition("RDEPEND")[2]


def test_a_tree_names_licences_and_targets(desk: Desk) -> None:
    place = tree(desk, "gentoo")
    (place / "metadata/license-mapping.conf").write_text("[spdx-to-ebuild]\nMIT = Massachusetts\n")
    (place / "profiles/desc").mkdir()
    described = "python3_13 - x\npython3_15 - y\n"
    (place / "profiles/desc/python_targets.desc").write_text(described)
    desk.index.release("app", "1")
    desk.run("app", "--repo", str(place))
    text = desk.text("dev-python/app/app-1.ebuild")
    assert 'LICENSE="Massachusetts"' in text
    assert "PYTHON_COMPAT=( python3_13 python3_15 )" in text


def test_flags_come_from_a_cache_where_the_ebuild_does_not_say_them(desk: Desk) -> None:
    place = tree(desk, "gentoo", "dev-python/lib-1.0")
    cache = place / "metadata/md5-cache/dev-python"
    cache.mkdir(parents=True)
    (cache / "lib-1.0").write_text("EAPI=8\nIUSE=+fast test\nSLOT=0\n")
    assert Trees((place,)).flags("dev-python/lib") == {"fast", "test"}


def test_the_settings_are_in_a_file(desk: Desk) -> None:
    desk.index.release("app", "1", 'Requires-Dist: lib; platform_machine == "aarch64"')
    (desk.room / "autogen.toml").write_text(
        'category = "app-misc"\nkeywords = ["~amd64", "~arm64"]\n'
        'maintainers = ["Larry the Cow <larry@example.org>"]\n'
    )
    assert desk.run("app").exit_code == 0
    text = desk.text("app-misc/app/app-1.ebuild")
    assert 'KEYWORDS="~amd64 ~arm64"' in text
    assert "arm64? (\n\t\tapp-misc/lib[${PYTHON_USEDEP}]\n\t)" in text
    described = desk.text("app-misc/app/metadata.xml")
    assert "<email>larry@example.org</email>\n\t\t<name>Larry the Cow</name>" in described
    (desk.room / "autogen.toml").write_text("categori = 1\n")
    assert "did you mean “category”" in str(desk.run("app").exception)


def test_flags_are_those_of_caches_and_ebuilds_and_of_what_was_just_written(desk: Desk) -> None:
    place = tree(desk, "gentoo", "dev-python/lib-1", iuse="+own")
    cache = place / "metadata/md5-cache/dev-python"
    cache.mkdir(parents=True)
    for name, flags in (("lib-2-r1", "fast"), ("lib-3d-1", "deep"), ("lib-extra-2.0_rc1", "more")):
        (cache / name).write_text(f"EAPI=8\nIUSE={flags}\n")
    trees = Trees((desk.repository, place))
    assert trees.flags("dev-python/lib") == {"fast", "own"}
    assert trees.flags("dev-python/lib-3d") == {"deep"}
    assert trees.flags("dev-python/lib-extra") == {"more"}
    assert trees.package_of("new") is None
    new = desk.repository / "dev-python/new/new-1.ebuild"
    new.parent.mkdir(parents=True)
    new.write_text('EAPI=8\nIUSE="quick"\n')
    trees.wrote("dev-python/new", [("pypi", "New"), ("github", "Larry/New")])
    assert trees.package_of("NEW") == "dev-python/new"
    assert trees.with_remote_id("github", "larry/new") == "dev-python/new"
    assert trees.flags("dev-python/new") == {"quick"}
