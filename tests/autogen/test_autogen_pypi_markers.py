"""Markers, targets: what pip decides in each environment is what Portage decides."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker

from cloche.autogen.dependencies import AnyOf, Atom, Dependency, ForPythons, WithUse, lines
from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.markers import Scope, conditions, under
from cloche.autogen.pypi.pythons import compat, known_targets, pythons

SCOPE = Scope(("python3_11", "python3_12", "python3_13"), ("amd64", "arm64"))
FOO = Atom("dev-python/foo", use=("${PYTHON_USEDEP}",))
EXTRAS = ("socks", "speed")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def nodes(marker: str) -> tuple[Dependency, ...]:
    found = conditions(Marker(marker), SCOPE, EXTRAS, "x")
    return tuple(each for condition in found for each in under(condition, (FOO,), SCOPE))


def said(marker: str) -> list[str]:
    return [line.strip() for line in lines(nodes(marker))]


def needed(wanted: Iterable[Dependency], flags: set[str], target: str, patch: int) -> bool:
    """Whether foo has to be there, as Portage reads it with these flags and this interpreter."""
    for each in wanted:
        match each:
            case Atom(cp):
                if cp == FOO.cp:
                    return True
            case WithUse(flag, inner):
                if flag in flags and needed(inner, flags, target, patch):
                    return True
            case ForPythons(targets, inner):
                if target in targets and needed(inner, flags, target, patch):
                    return True
            case AnyOf((Atom() as python, *inner)):
                level = int(python.version.rpartition(".")[2])
                fits = patch >= level if python.operator == ">=" else patch < level
                if not fits and needed(inner, flags, target, patch):
                    return True
    return False


comparisons = st.one_of(
    st.builds(
        lambda o, v: f'python_version {o} "3.{v}"',
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(9, 14),
    ),
    st.builds(
        lambda o, v, p: f'python_full_version {o} "3.{v}.{p}"',
        st.sampled_from(["<", ">="]),
        st.integers(11, 13),
        st.integers(0, 4),
    ),
    st.sampled_from(
        [
            'sys_platform == "win32"',
            'sys_platform != "win32"',
            'platform_machine == "x86_64"',
            'platform_python_implementation == "PyPy"',
            'implementation_name == "cpython"',
            'os_name == "nt"',
            'platform_system == "Linux"',
            'extra == "socks"',
            'extra == "speed"',
        ]
    ),
)
trees = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda a, o, b: f"({a}) {o} ({b})", inner, st.sampled_from(["and", "or"]), inner
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(trees, st.sampled_from(["", *EXTRAS]), st.sampled_from(SCOPE.targets), st.integers(0, 6),
       st.sampled_from(SCOPE.arches))  # fmt: skip
def test_a_dependency_counts_where_pip_would_install_it(
    marker: str, extra: str, target: str, patch: int, arch: str
) -> None:
    try:
        found = nodes(marker)
    except RefusedError as error:
        assert "single patch levels" in error.what  # noqa: PT017
        return
    version = target.removeprefix("python").replace("_", ".")
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": MACHINES[arch],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.{patch}",
        "python_version": version,
        "sys_platform": "linux",
    }
    # pip asks once without an extra, and once for each.
    wanted = any(Marker(marker).evaluate({**environment, "extra": each}) for each in {"", extra})
    assert needed(found, {arch, extra}, target, patch) == wanted


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ('python_version >= "3.8"', ["dev-python/foo[${PYTHON_USEDEP}]"]),
        ('sys_platform == "win32" or platform_python_implementation == "PyPy"', []),
        (
            'python_version < "3.13" and sys_platform != "win32"',
            ["$(python_gen_cond_dep '", "dev-python/foo[${PYTHON_USEDEP}]", "' 3.11 3.12)"],
        ),
        # and/or, which gs-pypi makes one list of
        ('extra == "socks" and (python_version >= "3.8" or os_name == "nt")',
         ["socks? (", "dev-python/foo[${PYTHON_USEDEP}]", ")"]),
        ('platform_machine == "aarch64"', ["arm64? (", "dev-python/foo[${PYTHON_USEDEP}]", ")"]),
        (
            'python_full_version < "3.11.3"',
            ["$(python_gen_cond_dep '", "|| (", ">=dev-lang/python-3.11.3:3.11",
             "dev-python/foo[${PYTHON_USEDEP}]", ")", "' 3.11)"],
        ),
        ('python_full_version <= "3.11.0a6"', []),
    ],
)  # fmt: skip
def test_markers_as_an_ebuild_says_them(marker: str, expected: list[str]) -> None:
    assert said(marker) == expected


def test_the_running_kernel_is_no_condition() -> None:
    with pytest.raises(RefusedError, match="running kernel"):
        said('platform_release >= "5"')


@pytest.mark.parametrize(
    ("requires", "expected"),
    [
        (None, "python3_{11..14}"),
        (">=3.8", "python3_{11..14}"),
        # metatools reads the last clause alone
        (">=3.12,!=3.13.*,<4", "python3_12 python3_14"),
        ("<3.13,>=3.8,!=3.9.7", "python3_{11..12}"),
        (">=3.6, <3.12", "python3_11"),
    ],
)
def test_all_clauses_of_requires_python_count(requires: str | None, expected: str) -> None:
    known = ("python3_11", "python3_12", "python3_13", "python3_14")
    found = pythons(requires, known, "x")
    assert compat(found.targets) == expected
    assert found.interpreters == ()


def test_a_patch_level_is_a_dependency_on_the_interpreter() -> None:
    found = pythons(">=3.11.4,!=3.12.0", ("python3_11", "python3_12", "python3_13"), "x")
    assert found.targets == ("python3_11", "python3_12", "python3_13")
    assert [*lines(found.interpreters)] == [
        "\t$(python_gen_cond_dep '", "\t\t>=dev-lang/python-3.11.4:3.11", "\t' 3.11)",
        "\t$(python_gen_cond_dep '", "\t\t>=dev-lang/python-3.12.1:3.12", "\t' 3.12)",
    ]  # fmt: skip


def test_a_single_patch_level_that_is_left_out_leaves_the_others() -> None:
    found = pythons(">=3.11.2,!=3.11.4,!=3.12.1", ("python3_11", "python3_12"), "x")
    assert [*lines(found.interpreters)] == [
        "\t$(python_gen_cond_dep '", "\t\t>=dev-lang/python-3.11.2:3.11",
        "\t\t!~dev-lang/python-3.11.4:3.11", "\t' 3.11)",
        "\t$(python_gen_cond_dep '", "\t\tdev-lang/python:3.12",
        "\t\t!~dev-lang/python-3.12.1:3.12", "\t' 3.12)",
    ]  # fmt: skip


def test_a_choice_has_no_blockers() -> None:
    """`|| ( >=dev-lang/python-3.11.3 !~dev-python/foo-1 )` would not say what is meant."""
    marker = Marker('python_full_version < "3.11.3"')
    (condition,) = conditions(marker, SCOPE, EXTRAS, "x")
    blocker = Atom(FOO.cp, "~", "1", blocks=True)
    with pytest.raises(RefusedError, match="patch levels"):
        under(condition, (FOO, blocker), SCOPE)


@pytest.mark.parametrize(
    ("marker", "extra"),
    [
        ('extra == "Speed"', "speed"),
        ('extra == "fast_math"', "fast-math"),
        ('extra != "speed"', "speed"),
        ('extra in "socks speed"', "speed"),
        ('"speed" == extra or python_version < "3"', "speed"),
    ],
)
def test_extras_that_a_marker_does_not_name_need_not_be_tried(marker: str, extra: str) -> None:
    few = conditions(Marker(marker), SCOPE, (extra,), "x")
    many = conditions(Marker(marker), SCOPE, (extra, *(f"e{n}" for n in range(50))), "x")
    assert few == many


@pytest.mark.parametrize("requires", ["<3.8", ">=4", "rubbish", ">=3.11.9000,<3.12"])
def test_no_target_is_refused(requires: str) -> None:
    with pytest.raises(RefusedError, match="Requires-Python"):
        pythons(requires, ("python3_11", "python3_12"), "x")


def test_a_tree_says_which_targets_there_are() -> None:
    text = "# x\npypy3_11 - PyPy\npython3_9 - old\npython3_14 - new\npython3_13t - threads\n"
    assert known_targets(text) == ("python3_9", "python3_14")
