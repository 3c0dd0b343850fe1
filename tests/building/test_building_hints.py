"""What a person is advised to do after a failure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloche.building.hints import hint_of
from cloche.seeds.parts.strict import SeedParts

AUTORECONF = "x.ebuild: line 3: autoreconf: command not found"
HEADER = "a.c:1: fatal error: tiny.h: No such file or directory"


def context(tmp_path: Path, part: Path | None = None, *, own_root: bool = False) -> Any:
    """A machine with a repository that has c/known, and a store with layers of more than that.

    ``part`` is a part of the seed that not every build sees.
    """
    repo = tmp_path / "repo"
    (repo / "c/known").mkdir(parents=True)
    trees = []
    for cpv in ("c/known-1", "c/foreign-1"):
        entry = tmp_path / "layers" / cpv / "var/db/pkg" / cpv
        entry.mkdir(parents=True)
        (entry / "CONTENTS").write_text("obj /usr/include/tiny.h 0 1\nobj /usr/bin/tiny 0 1\n")
        trees.append(SimpleNamespace(kind="package", label=cpv, path=tmp_path / "layers" / cpv))
    parts: dict[str, Any] = {} if part is None else {"autoconf": SimpleNamespace(path=part)}
    seed_parts = SeedParts(cast("Any", None), parts, {}) if parts else None
    return SimpleNamespace(
        store=SimpleNamespace(path=tmp_path, trees=lambda: trees),
        policy=SimpleNamespace(limits=SimpleNamespace(memory=None)),
        inputs=SimpleNamespace(
            seed_parts=seed_parts, own_root=own_root, repos={"r": SimpleNamespace(path=repo)}
        ),
    )


@pytest.mark.parametrize(("own_root", "where"), [(False, "DEPEND or BDEPEND"), (True, "DEPEND")])
def test_only_packages_of_the_machines_repositories_are_advised(
    tmp_path: Path, own_root: bool, where: str
) -> None:
    hint = hint_of(context(tmp_path, own_root=own_root), HEADER)
    assert hint is not None
    assert hint.endswith(f"it belongs to c/known-1: add that to {where}")


@pytest.mark.parametrize(("own_root", "where"), [(False, "RDEPEND or IDEPEND"), (True, "IDEPEND")])
def test_a_hook_has_other_dependencies_than_a_build(
    tmp_path: Path, own_root: bool, where: str
) -> None:
    made = context(tmp_path, own_root=own_root)
    said = "environment: line 9: tiny: command not found"
    hint = hint_of(made, said, merging=True)
    assert hint is not None
    assert hint == f"command tiny was not visible; it belongs to c/known-1: add that to {where}"


IN_SEED = "{} was looked up in the seed, not in the new root: "
IN_ROOT = "what the step sees of the new root has no {}: "


@pytest.mark.parametrize(
    ("said", "cause", "build", "hook"),
    [
        ("chown: invalid user: \u2018a:b\u2019", IN_SEED.format("a:b"), "BDEPEND", "IDEPEND"),
        ("install: invalid group 'b'", IN_SEED.format("b"), "BDEPEND", "IDEPEND"),
        (
            "fowners: invalid user in /target/etc/passwd: a",
            IN_ROOT.format("a"),
            "DEPEND",
            "RDEPEND",
        ),
    ],
)
def test_users_are_asked_for_in_one_of_two_roots(
    tmp_path: Path, said: str, cause: str, build: str, hook: str
) -> None:
    cure = f"{cause}add its packages of acct-user and acct-group to "
    made = context(tmp_path, own_root=True)
    assert hint_of(made, said) == cure + build
    assert hint_of(made, said, merging=True) == cure + hook
    assert hint_of(context(tmp_path / "on-the-seed"), said) is None


@pytest.mark.parametrize(
    ("cpv", "cure"),
    [
        ("dev-build/autoconf-2", "add dev-build/autoconf-2 to DEPEND or BDEPEND"),
        ("", "declare the package that owns it"),
    ],
)
def test_what_strictness_hides_is_told(tmp_path: Path, cpv: str, cure: str) -> None:
    part = tmp_path / "part"
    made = context(tmp_path, part)
    assert hint_of(made, AUTORECONF) is None  # it is not hidden: something else is wrong
    (part / "usr/bin").mkdir(parents=True)
    (part / "usr/bin/autoreconf").touch()
    made.inputs.seed_parts.needs[cpv] = ("autoconf",)
    made.inputs.seed_parts.layers[cpv] = SimpleNamespace(path=tmp_path / "none")
    told = hint_of(made, AUTORECONF)
    assert told == f"command autoreconf is in the seed but hidden by --strict; {cure}"
