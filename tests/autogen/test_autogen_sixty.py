"""Sixty packages of pip's own index: each gets its ebuild, or is refused with the reason.

The index is asked for these packages alone.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from portage.dep import use_reduce
from tests.autogen.published import repository

from cloche.autogen.pypi.names import package_name
from cloche.cli.main import cli
from cloche.errors import ClocheError

SIXTY = tomllib.loads((Path(__file__).parent / "data/sixty.toml").read_text())["package"]


GEN_COND = re.compile(r"\$\(python_gen_cond_dep '(.*?)' [\d. ]+\)", re.DOTALL)


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]


QUICK = [each for each in SIXTY if each.get("quick")]
OTHERS = [each for each in SIXTY if not each.get("quick")]


def check(entry: dict[str, Any], room: Path) -> None:
    """Write the ebuild, read it as Portage does, and write it again, which changes nothing."""
    repo = repository(room / "repo")
    wanted = entry["name"] + (f"=={entry['version']}" if "version" in entry else "")
    words = ["autogen", "pypi", wanted.replace("_p", ".post"), "--into", str(repo)]
    # The registry of crates is not asked: only the index is.
    words += ["--distdir", str(room / "dist"), "--crates-url", "http://127.0.0.1:9"]
    command = ["-C", str(room), *words]
    done = CliRunner().invoke(cli, command)
    if "refused" in entry:
        assert isinstance(done.exception, ClocheError)
        assert entry["refused"] in str(done.exception)
        assert not list(repo.glob("*/*/*.ebuild"))
        return
    assert done.exit_code == 0, (done.output, done.exception)
    (path,) = repo.glob("*/*/*.ebuild")
    pn = package_name(entry["name"])
    assert path.name == f"{pn}-{entry['version']}.ebuild"
    text = path.read_text()
    assert f"DISTUTILS_USE_PEP517={entry['backend']}\n" in text
    assert ("DISTUTILS_EXT=1" in text) == entry.get("native", False)
    assert ("distutils_enable_tests" in text) == entry.get("tests", False)
    for each in re.findall(r'DEPEND="\n(.*?)\n"', text, re.DOTALL):
        whole = GEN_COND.sub(lambda match: f"python_targets_x? ( {match[1]} )", each)
        use_reduce(whole.replace("${PYTHON_USEDEP}", "x(-)?"), matchall=True, eapi="8")
        assert "$" not in whole.replace("${PYTHON_USEDEP}", "")
    assert not re.search(r"(?:dev-build/cmake|app-alternatives/ninja)[^\s\[]*\[", text)
    before = {path: path.stat().st_mtime_ns for path in repo.rglob("*")}
    done = CliRunner().invoke(cli, command)
    assert "nothing has changed" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in repo.rglob("*")} == before


def test_the_list_is_one_of_sixty_with_every_backend_of_the_eclass() -> None:
    assert len(set(names(SIXTY))) == 60
    assert len(QUICK) == 12
    assert {each["backend"] for each in SIXTY if "backend" in each} >= {
        "flit", "flit_scm", "hatchling", "jupyter", "meson-python", "pbr", "pdm-backend", "poetry",
        "scikit-build-core", "setuptools", "sip", "standalone", "uv-build",
    }  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("entry", QUICK, ids=names(QUICK))
def test_twelve_of_them(entry: dict[str, Any], tmp_path: Path) -> None:
    check(entry, tmp_path)


@pytest.mark.real
@pytest.mark.proof(name="autogen")
@pytest.mark.parametrize("entry", OTHERS, ids=names(OTHERS))
def test_the_others(entry: dict[str, Any], tmp_path: Path) -> None:
    check(entry, tmp_path)
