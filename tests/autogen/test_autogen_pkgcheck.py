"""What autogen writes is checked by Gentoo's pkgcheck, in the root of a machine that has it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.autogen.pkgcheck_package import write_pkgcheck
from tests.autogen.published import files_of_own_backend, served
from tests.support import Store, project

from cloche.autogen.findings import Finding, findings
from cloche.autogen.run.report import Outcome, data, lines, with_findings

PROJECT = Path(__file__).parent / "project"
PYTHON = """\
EAPI=8

DESCRIPTION="Stands for those of the seed"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="MIT"
SLOT="${PV}"
KEYWORDS="amd64"
"""


def test_findings_of_ebuilds_packages_and_a_repository_are_read() -> None:
    of_ebuild = (
        '{"dev-a": {"b": {"1.0-r1": {"_style": {"X": "too \\n long"}, "_error": {"Y": ["z"]}}}}}'
    )
    assert [*findings(of_ebuild)] == [
        Finding("dev-a/b-1.0-r1", "style", "X", "too long"),
        Finding("dev-a/b-1.0-r1", "error", "Y", "z"),
    ]
    (package,) = findings('{"dev-a": {"b": {"_warning": {"Z": "w"}}}}')
    assert package == Finding("dev-a/b", "warning", "Z", "w")
    assert str(package) == "pkgcheck: warning: dev-a/b: Z: w"
    (whole,) = findings('{"_error": {"Z": "w"}}')
    assert str(whole) == "pkgcheck: error: Z: w"
    assert [*findings("pkgcheck: a line of a log"), *findings("[1]")] == []


def test_findings_stand_with_their_packages_in_a_report() -> None:
    error, other = Finding("c/a-1", "error", "X", "x"), Finding("c/b", "style", "Y", "y")
    a, b = Outcome("a", "new", ("c/a-1",)), Outcome("b", "unchanged", ("c/b-2",))
    a, b = with_findings((a, b), (error, other, Finding("c/ab-1", "error", "Z", "z")))
    assert (a.findings, b.findings) == ((error,), (other,))
    assert (a.is_failure, b.is_failure) == (True, False)
    assert [line.strip() for line in lines((a, b))][1::2] == [str(error), str(other)]
    told = data(Path("/repo"), (a, b), dry_run=False)["packages"]
    assert [each["pkgcheck"][0]["level"] for each in told] == ["error", "style"]


@pytest.mark.real
def test_pkgcheck_of_a_machine_checks_what_is_written(
    root_seeded: Store, fresh: Callable[[Store], Store], tmp_path: Path
) -> None:
    store = fresh(root_seeded)
    place = project(store, PROJECT)
    write_pkgcheck(place, tmp_path)
    python = place / "repo/dev-lang/python"
    python.mkdir(parents=True)
    for version in ("3.11", "3.13"):
        (python / f"python-{version}.ebuild").write_text(PYTHON)
    (place / "autogen.toml").write_text('keywords = ["amd64"]\n[pypi.greet]\n')
    store.user.own(place)
    with served() as index:
        files = {"greet.py": "", **files_of_own_backend("greet", "1.0")}
        index.release("greet", "1.0", files=files, tag="py3-none-any")
        address = ("--index-url", f"{index.address}/simple/", "--distdir", place / "dist")

        def autogen(*words: str | Path) -> tuple[int, str, str]:
            done = store.cloche("autogen", *words, *address, cwd=place)
            return done.returncode, done.stdout, done.stderr

        for machine, said in (
            ("checks", "machine checks: not built yet; run `cloche build checks`"),
            ("check", "did you mean “checks”?"),
        ):
            status, _, error = autogen("pypi", "greet", "--pkgcheck", machine)
            assert status == 2, error
            assert said in error
        assert not [*(place / "own").glob("dev-python/*")]  # said before anything is written
        built = store.cloche("build", "checks", cwd=place)
        assert built.returncode == 0, built.stderr
        status, _, error = autogen("pypi", "greet", "--pkgcheck", "checks")
        assert status == 1, error
        assert (
            "pkgcheck: error: dev-python/greet-1.0: UnknownLicense: unknown license: MIT" in error
        )
        assert "repository own: pkgcheck found errors; fix them" in error
        (place / "repo/licenses").mkdir()
        (place / "repo/licenses/MIT").write_text("Do what you like.\n")
        status, _, error = autogen("pypi", "greet", "--build", "py", "--pkgcheck", "checks")
        assert status == 0, error
        assert "pkgcheck: 0 errors," in error
        shutil.rmtree(place / "own/dev-python/greet")
        (place / "repo/licenses/MIT").unlink()
        status, said, _ = autogen("run", "--json", "--pkgcheck", "checks")
        assert status == 1, said
        (greet,) = json.loads(said)["packages"]
        assert greet["result"] == "new"
        assert "UnknownLicense" in {each["name"] for each in greet["pkgcheck"]}
        built = store.cloche("build", "py", cwd=place)
        assert built.returncode == 0, built.stderr
        status, _, error = autogen("pypi", "greet", "--pkgcheck", "py")
        assert status == 2
        assert "machine py: its root has no pkgcheck; add dev-util/pkgcheck" in error
