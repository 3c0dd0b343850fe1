"""Several machines as one plan: what becomes of each when one has trouble."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import values
from tests.executor import Maker, Site
from tests.values import package

from cloche.building.context import BuildContext, Policy
from cloche.building.packages import Builder
from cloche.config.project import load_project
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer
from cloche.output import deliver as delivering
from cloche.output import kinds
from cloche.session.building import Result, Wanted
from cloche.session.choices import Choices
from cloche.session.several import Outcomes, carried_out, chosen
from cloche.store import Store, gc

NAMES = ("one", "two", "three")
Ready = list[tuple[Wanted, Builder]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Store.open(tmp_path / "store") as store:
        yield Site(store, Maker(store), Policy(offline=True, keep_going=True, jobs=1))


@pytest.fixture
def ready(site: Site, tmp_path: Path) -> Ready:
    """Three machines, each with a package of its own."""
    place = tmp_path / "p"
    first = values.project(place)
    for name in NAMES:
        file = place / f"machines/{name}.toml"
        file.write_text((place / "machines/first.toml").read_text())
    project = load_project(first.root)
    found = []
    for name in NAMES:
        builder = site.builder(package(name, requested=True))
        inputs = replace(builder.context.inputs, machine=name)
        builder = replace(builder, context=replace(builder.context, inputs=inputs))
        found.append((Wanted(project.machine(name), tmp_path / "out" / name), builder))
    return found


def trouble_with_two(
    site: Site, ready: Ready, error: BaseException, patch: pytest.MonkeyPatch
) -> Outcomes:
    """Build all; the end of the machine ``two`` raises."""

    def finish(context: BuildContext, *_: object, **__: object) -> Layer:
        if context.inputs.machine == "two":
            raise error
        return values.stored(site.store, "state", "state", **{"etc/state": "1"})

    patch.setattr(delivering, "finish", finish)  # Portage's own last run is another matter
    patch.setattr(kinds, "KINDS", {})
    patch.setattr(delivering, "KINDS", {})
    return carried_out(ready, Choices(keep_going=True), lambda planned, shared: None)


def kept(site: Site, ready: Ready) -> list[str]:
    """The machines whose packages a garbage collection leaves."""
    gc(site.store)
    layers = {
        wanted.machine.name: [made.layer for made, _ in builder.results.values()]
        for wanted, builder in ready
    }
    return [name for name, own in layers.items() if own and all(map(site.store.has_tree, own))]


def test_a_full_disk_of_one_machine_is_not_the_end_of_the_others(
    site: Site, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/out/two")
    results = trouble_with_two(site, ready, full, monkeypatch)
    assert isinstance(results["one"], Result)
    assert isinstance(results["three"], Result)
    error = results["two"]
    assert isinstance(error, ClocheError)
    assert (error.where, error.status) == ("/out/two", Exit.HOST)
    assert kept(site, ready) == list(NAMES)


def test_what_was_built_is_kept_if_the_deliveries_end_early(
    site: Site, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        trouble_with_two(site, ready, KeyboardInterrupt(), monkeypatch)
    assert kept(site, ready) == list(NAMES)


def test_a_package_that_some_machines_lack_is_built_in_the_others(site: Site, ready: Ready) -> None:
    results: Outcomes = {}
    ((wanted, builder),) = chosen(ready, Choices(packages=("two",)), results)
    assert (wanted.machine.name, builder.partial) == ("two", True)
    assert {name: each.built for name, each in results.items() if isinstance(each, Result)} == {
        "one": 0, "three": 0
    }  # fmt: skip
    assert site.notes == ["no package matches “two”"] * 2
    site.events.clear()
    found = chosen(ready, Choices(rebuild=("one", "two")), {})
    assert [sorted(builder.forced) for _, builder in found] == [["c/one-1::r"], ["c/two-1::r"], []]
    assert [builder.partial for _, builder in found] == [False] * 3
    assert len(site.notes) == 1 + 1 + 2
    for choices in (Choices(packages=("none",)), Choices(rebuild=("one", "none"))):
        with pytest.raises(ClocheError, match="no package matches “none”"):
            chosen(ready, choices, {})
