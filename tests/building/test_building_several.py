"""Several plans carried out as one: what ends one of them does not end the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.executor import Maker, Site
from tests.values import edge, package

from cloche.building import pretend
from cloche.building.context import BuildContext, Policy
from cloche.building.errors import BuildError
from cloche.building.machine import Built, build_machines
from cloche.building.packages import Builder
from cloche.building.together import together
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.sandbox.base import Limits
from cloche.store import Store
from cloche.tasks.errors import GuestError, StepError

LIB = package("lib")
APP = package("app", edge("lib"), requested=True)
LIVE = package("git-9999", edge("lib"), requested=True, properties=("live",))
PICKY = package("picky", requested=True, defined_phases=("pretend",))
USER = package("user", edge("picky"), requested=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Store.open(tmp_path / "store") as store:
        yield Site(store, Maker(store), Policy(offline=True, keep_going=True, jobs=1))


def machines(site: Site, **packages: Sequence[Package]) -> list[Builder]:
    """A builder for each machine, with its packages."""
    found = []
    for name, each in packages.items():
        builder = site.builder(*each)
        inputs = replace(builder.context.inputs, machine=name)
        found.append(replace(builder, context=replace(builder.context, inputs=inputs)))
    return found


def with_policy(builder: Builder, **more: object) -> Builder:
    """The builder of a machine that is built in another way."""
    policy = replace(builder.context.policy, **more)  # type: ignore[arg-type]
    return replace(builder, context=replace(builder.context, policy=policy))


def test_what_is_refused_before_any_work_is_left_out(site: Site) -> None:
    first, live, last = machines(site, first=(LIB, LIVE), second=(LIB, APP), third=(APP,))
    no_cache = with_policy(last, ccache=True)
    with pytest.raises(ClocheError, match="live ebuilds"):
        build_machines([with_policy(each, keep_going=False) for each in (first, live)])
    assert site.maker.tasks == []
    refused, built, other = build_machines([first, live, no_cache])
    assert isinstance(refused, ClocheError)
    assert refused.where == "machine first"
    assert isinstance(built, Built)
    assert set(built.made) == {LIB.id, APP.id}
    assert isinstance(other, ClocheError)
    assert "ccache" in other.what
    assert site.maker.names.count("build lib-1") == 1  # the first machine's part of the work
    assert all(isinstance(each, ClocheError) for each in build_machines([first, no_cache]))


@pytest.mark.parametrize("broken", [False, True])
def test_a_check_of_an_ebuild_fails_the_machines_that_need_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    """The sandbox of pkg_pretend is another matter: what came of it is given here."""

    def check(context: BuildContext, packages: Sequence[Package]) -> tuple[StepError, ...]:
        if broken and packages:
            raise GuestError("the guest failed")
        return tuple(StepError(each.id, "pretend", "too small") for each in packages)

    monkeypatch.setattr(pretend, "check", check)
    wanted = {"picky": (PICKY,), "good": (LIB, APP), "user": (PICKY, USER)}
    picky, good, user = build_machines(machines(site, **wanted))
    assert isinstance(picky, BuildError)
    assert picky.errors[0].what.endswith("the guest failed" if broken else "too small")
    assert isinstance(good, Built)
    assert isinstance(user, BuildError)
    assert user.errors == picky.errors
    assert site.maker.names == [f"{step} {name}" for name in ("lib-1", "app-1")
                                for step in ("build", "merge")]  # fmt: skip
    (alone,) = machines(site, picky=(PICKY,))
    with pytest.raises(ClocheError):
        build_machines([alone])


def test_a_machine_does_not_fail_for_the_limits_of_another_one(site: Site) -> None:
    first, alike, last = machines(site, first=(LIB, APP), second=(LIB, APP), third=(LIB, APP))
    assert together([first, alike]).worked_on(1) == frozenset()
    for more in ({"limits": Limits(memory=1 << 30)}, {"phase_seconds": 1.0}):
        other = with_policy(last, **more)
        assert together([first, other]).worked_on(1) == {LIB.id, APP.id}
    site.maker.tasks.clear()
    assert all(isinstance(each, Built) for each in build_machines([first, alike, other]))
    assert sorted(site.maker.names) == sorted(
        f"{step} {name}-1" for step in ("build", "merge") for name in ("lib", "app")
    )
