"""A plugin that a project's own options of pytest need is one that its ebuild requires."""

from __future__ import annotations

import re

import pytest
from tests.autogen.published import BACKEND, Desk

from cloche.autogen.pypi.archive import Sdist
from cloche.autogen.pypi.pytest_options import plugins_of_options
from cloche.config import toml

LISTED = '[tool.pytest]\naddopts = ["--instafail", "-p no:doctest", "-p xdist"]\n'


@pytest.mark.parametrize(
    ("files", "plugins"),
    [
        ({"pyproject.toml": LISTED}, {"pytest-xdist"}),
        ({"pytest.ini": "[pytest]\naddopts = -v\n", "pyproject.toml": LISTED}, set()),
        ({"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--cov=a -ra"\n'},
         {"pytest-cov"}),
        ({"setup.cfg": "[tool:pytest]\naddopts =\n  -n auto\n  --no-cov\n"},
         {"pytest-cov", "pytest-xdist"}),
        ({"tox.ini": "[pytest]\naddopts = -nauto --benchmark-disable\n"},
         {"pytest-benchmark", "pytest-xdist"}),
        ({"tox.ini": "[tox]\n", "setup.cfg": "[tool:pytest]\naddopts = -p pytest_cov.plugin\n"},
         {"pytest-cov"}),
        ({"setup.cfg": "[pytest]\naddopts = --cov\n", "tox.ini": "[[]"}, set()),
        ({"pyproject.toml": "tool = 1\n"}, set()),
        ({"pyproject.toml": LISTED.replace("-p xdist", "-p tests.own")}, set()),
        ({"pyproject.toml": LISTED.replace("-p xdist", "--covers --network")}, set()),
    ],
)  # fmt: skip
def test_options_say_which_plugins_they_need(files: dict[str, str], plugins: set[str]) -> None:
    sdist = Sdist("hello-1", frozenset(files), tuple(files.items()))
    found = plugins_of_options(sdist, toml.loads(files.get("pyproject.toml", "")))
    assert (found.used | found.loaded) - {"pytest-tests"} == plugins


def test_a_plugin_of_the_options_is_required_whatever_extras_say(desk: Desk) -> None:
    options = LISTED.replace("-p no:doctest", "--no-cov")
    desk.index.release(
        "hello", "1", "Provides-Extra: test", 'Requires-Dist: pytest-cov; extra == "test"',
        files={"test_a.py": "", "pyproject.toml": BACKEND + options},
    )  # fmt: skip
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    text = desk.text("dev-python/hello/hello-1.ebuild")
    # What the options load is not loaded twice.
    assert "EPYTEST_PLUGINS=( pytest-cov )\n" in text
    assert re.findall(r"^\t\tdev-python/(\S+)\[", text, re.MULTILINE) == ["pytest-xdist"]


def test_tools_that_tests_may_run_are_required_and_linters_are_not(desk: Desk) -> None:
    tools = ("build", "pip", "virtualenv", "wheel", "ruff", "ty", "mypy", "coverage")
    lines = [f'Requires-Dist: {name}; extra == "test"' for name in tools]
    desk.index.release("hello", "1", "Provides-Extra: test", *lines, files={"test_a.py": ""})
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    text = desk.text("dev-python/hello/hello-1.ebuild")
    needed = re.findall(r"^\t\tdev-python/([a-z]+)\[", text, re.MULTILINE)
    assert needed == ["build", "pip", "virtualenv", "wheel"]


def test_poetrys_own_groups_say_what_tests_need(desk: Desk) -> None:
    groups = (
        '[tool.poetry.group.test.dependencies]\npytest-mock = "^3.1"\ntomli-w = { version = "*" }\n'
        '"not a name" = "*"\n[tool.poetry.group.dev.dependencies]\ntox = "*"\npyyaml = "*"\n'
        "[tool.poetry.group.tests]\ndependencies = 1\n"
    )
    files = {"test_a.py": "", "pyproject.toml": BACKEND + groups}
    desk.index.release("hello", "1", files=files)
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    text = desk.text("dev-python/hello/hello-1.ebuild")
    assert "EPYTEST_PLUGINS=( pytest-mock )\n" in text
    assert re.findall(r"^\t\tdev-python/(\S+)\[", text, re.MULTILINE) == ["tomli-w"]


def test_extras_of_its_own_that_tests_name_are_required(desk: Desk) -> None:
    group = '[dependency-groups]\ntest = ["hello[Socks,all]"]\n'
    desk.index.release(
        "hello", "1", "Provides-Extra: socks", "Provides-Extra: all", "Provides-Extra: other",
        'Requires-Dist: pysocks>=1.5; extra == "socks"',
        'Requires-Dist: winloop; sys_platform == "win32" and extra == "socks"',
        'Requires-Dist: hello[socks]; extra == "all"', 'Requires-Dist: left; extra == "other"',
        files={"test_a.py": "", "pyproject.toml": BACKEND + group},
    )  # fmt: skip
    done = desk.run("hello")
    assert done.exit_code == 0, done.output
    of_tests = desk.text("dev-python/hello/hello-1.ebuild").partition("test? (")[2]
    assert re.findall(r"dev-python/(\S+)\[", of_tests) == ["pysocks-1.5"]
