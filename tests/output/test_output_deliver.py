"""From packages that are built to outputs: members, what their hooks did, what stays pinned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests import values
from tests.executor import Maker, Site, run
from tests.values import edge, package

from cloche.building.machine import Built
from cloche.building.packages import Builder, Made
from cloche.config.machine import Machine
from cloche.output import deliver as delivering
from cloche.output import kinds
from cloche.output.deliver import check_hooks_of_done, deliver, remember
from cloche.output.finished import Finished, Written
from cloche.output.kinds import OutputKind
from cloche.output.remembered import finished_machine
from cloche.store import Store, gc, names
from cloche.tasks.errors import StepError

LIB, TOOL = package("lib"), package("tool")
APP = package("app", edge("tool", "buildtime"), edge("lib"), requested=True)
ALL = (LIB, TOOL, APP)
ONE = package("one", requested=True)
TWO = package("two", requested=True, defined_phases=("postinst",))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Store.open(tmp_path / "store") as store:
        yield Site(store, Maker(store))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return values.project(tmp_path / "p").machine("first")


def made_of(builder: Builder) -> Mapping[str, Made]:
    return {name: made for name, (made, _) in builder.results.items()}


def contents(builder: Builder) -> tuple[set[str], set[str]]:
    """Ids of the layers and of the binary packages of a builder."""
    made = made_of(builder).values()
    return {each.layer for each in made}, {each.gpkg for each in made}


def has(store: Store, ids: set[str]) -> bool:
    """Whether all are there; some are not is no answer."""
    found = {store.has(id) for id in ids}
    assert len(found) == 1
    return found.pop()


def test_what_is_remembered_is_left_by_gc_until_it_is_given_up(
    site: Site, machine: Machine
) -> None:
    builder = site.build(*ALL)
    remember(builder, machine)
    layers, gpkgs = contents(builder)
    base = {layer.id for layer in builder.context.inputs.base}
    everything = layers | gpkgs | base | {builder.depgraph}
    gc(site.store)
    assert has(site.store, everything)
    site.store.unpin(names.machine(machine.place, machine.name))
    gc(site.store)
    assert not has(site.store, everything)


def test_a_layer_that_was_made_for_a_root_is_pinned_with_the_others(
    site: Site, machine: Machine
) -> None:
    first = package("first", requested=True, defined_phases=("postinst",))
    site.maker.hooks = {first.id: "etc/list", TWO.id: "etc/list"}
    builder = site.build(first, TWO)
    builder.layers((first.id, TWO.id), made_of(builder), where="m")
    assert len(builder.composed) == 1
    remember(builder, machine)
    gc(site.store)
    assert has(site.store, set(builder.composed))


def test_what_was_finished_stays_finished_after_a_build_that_fails(
    site: Site, machine: Machine
) -> None:
    builder = site.build(*ALL)
    remember(builder, machine)
    assert finished_machine(site.store, machine) is None
    state = values.stored(site.store, "state", "state", **{"etc/state": "1"})
    index = values.blob(site.store, "index")
    layers = (*(builder.context.layer(id) for id in sorted(contents(builder)[0])), state)
    remember(builder, machine, layers=layers, blobs=(index,))
    before = finished_machine(site.store, machine)
    assert before is not None
    assert before.data["layers"] == [layer.id for layer in layers]

    site.maker.content[LIB.id] = "new"
    later = site.builder(*ALL, changed="lib")
    run(later, LIB)
    remember(later, machine)
    after = finished_machine(site.store, machine)
    assert after is not None
    assert after.data == before.data
    assert set(after.trees) == {*before.trees, later.results[LIB.id][0].layer}
    gc(site.store)
    assert has(site.store, {state.id, index, *contents(builder)[0], *contents(later)[0]})


def test_machines_of_one_name_in_two_projects_are_two(
    site: Site, machine: Machine, tmp_path: Path
) -> None:
    other = values.project(tmp_path / "q").machine("first")
    builder = site.build(LIB)
    state = values.stored(site.store, "state", "state", **{"etc/state": "1"})
    remember(builder, machine, layers=(state,))
    assert finished_machine(site.store, machine) is not None
    assert finished_machine(site.store, other) is None


@pytest.mark.parametrize("strict", [False, True])
def test_a_hook_that_changes_what_another_owns_is_told(site: Site, strict: bool) -> None:
    site.policy = replace(site.policy, strict_hooks=strict)
    site.maker.hooks = {TWO.id: "usr/share/one-1"}
    builder = site.build(ONE, TWO)
    made = made_of(builder)
    builder.layers((ONE.id, TWO.id), made, where="m")
    site.events.clear()
    if strict:
        with pytest.raises(StepError, match=r"/usr/share/one-1, which c/one-1 owns"):
            check_hooks_of_done(builder, made)
    else:
        check_hooks_of_done(builder, made)
        assert site.notes == ["c/two-1 alters /usr/share/one-1, which c/one-1 owns"]


def test_hooks_are_not_looked_at_before_every_member_is_done(site: Site) -> None:
    site.maker.hooks = {TWO.id: "usr/share/one-1"}
    builder = site.build(ONE, TWO)
    made = made_of(builder)
    site.events.clear()
    check_hooks_of_done(builder, made)  # what is merged again for the root is not there yet
    builder.layers((ONE.id, TWO.id), made, where="m")
    site.events.clear()
    check_hooks_of_done(builder, {ONE.id: made[ONE.id]})
    assert site.notes == []


def test_an_output_is_a_row_that_gets_the_finished_machine(
    site: Site, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portage's own last run is another matter: its layer is given here."""
    state = values.stored(site.store, "state", "state", **{"etc/state": "1"})
    monkeypatch.setattr(delivering, "finish", lambda *_, **__: state)
    given: list[Finished] = []

    def write(done: Finished) -> Written:
        given.append(done)
        return Written(done.directory / "list", values.blob(site.store, "list"))

    monkeypatch.setattr(kinds, "KINDS", {"list": OutputKind(write, always=True)})
    monkeypatch.setattr(delivering, "KINDS", kinds.KINDS)
    site.maker.hooks = {APP.id: "usr/share/lib-1"}
    builder = site.build(*ALL)
    made = made_of(builder)
    outputs = deliver(builder, Built(builder.plan, made, 3, 0, 1.0), machine, tmp_path / "out/m")
    assert site.notes == ["c/app-1 alters /usr/share/lib-1, which c/lib-1 owns"]
    (done,) = given
    assert [layer.label for layer in done.layers] == ["c/lib-1", "c/app-1", "state"]
    assert done.packages == ((LIB, made[LIB.id].gpkg), (APP, made[APP.id].gpkg))
    assert done.directory.is_dir()
    pin = finished_machine(site.store, machine)
    assert pin is not None
    assert pin.data["layers"] == [layer.id for layer in done.layers]
    assert {*pin.blobs} >= {outputs["list"].blob, builder.depgraph}
    assert {*pin.trees} >= {made[TOOL.id].layer, state.id}
