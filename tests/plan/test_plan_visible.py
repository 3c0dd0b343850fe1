"""Visible sets, members of a machine, urgency, and why a package is there."""

from hypothesis import given
from hypothesis import strategies as st
from tests.values import edge, package

from cloche.plan.depgraph import Depgraph, decode_depgraph, encode_depgraph
from cloche.plan.plan import DEFAULT_SECONDS, make_plan, remaining_paths
from cloche.plan.visible import machine_members, visible_sets
from cloche.plan.why import needed_by


def short(ids):
    return [name.removeprefix("c/").removesuffix("-1::r") for name in ids]


LIB = package("lib")
TOOL = package("tool", edge("lib", "runtime"))
LEFT = package("left", edge("right", "runtime"))
RIGHT = package("right", edge("left", "runtime"))
APP = package(
    "app",
    edge("tool", "buildtime"),
    edge("left", "runtime"),
    edge("conf", "runtime_post"),
    edge("indexer", "install"),
    requested=True,
)
INDEXER = package("indexer")
CONF = package("conf", edge("app", "runtime"))
GRAPH = Depgraph((LIB, TOOL, LEFT, RIGHT, INDEXER, APP, CONF))


def test_a_build_sees_its_tools_and_what_they_need_when_they_run():
    assert short(visible_sets(GRAPH)[APP.id].build) == ["lib", "tool"]


def test_a_merge_sees_the_runtime_closure_and_idepend():
    assert short(visible_sets(GRAPH)[APP.id].merge) == ["left", "right", "indexer"]


def test_circular_runtime_dependencies_see_only_what_is_earlier():
    sets = visible_sets(GRAPH)
    assert short(sets[LEFT.id].merge) == []
    assert short(sets[RIGHT.id].merge) == ["left"]


def test_pdepend_comes_after_and_sees_what_it_belongs_to():
    assert "app" in short(visible_sets(GRAPH)[CONF.id].merge)


def test_a_machine_holds_no_build_tools():
    assert short(machine_members(GRAPH)) == ["left", "right", "indexer", "app", "conf"]


def test_build_dependencies_stay_where_that_is_asked_for():
    members = machine_members(GRAPH, build_deps=True)
    assert short(members) == ["lib", "tool", "left", "right", "indexer", "app", "conf"]
    assert make_plan(GRAPH, build_deps=True).merged == members


def test_what_options_of_emerge_bring_is_a_member_too():
    tool, lib = package("tool"), package("lib")
    app = package("app", edge("tool", "buildtime"), edge("lib", "runtime"), requested=True)
    left = package("left", edge("right", "runtime"))
    right = package("right", edge("left", "runtime"))
    update = package("update", edge("lib", "buildtime"))
    graph = Depgraph((tool, lib, app, left, right, update))
    assert short(machine_members(graph)) == ["lib", "app"]
    members = machine_members(graph, unrequested=True)
    assert short(members) == ["lib", "app", "left", "right", "update"]


def test_the_longest_remaining_path_counts_known_and_guessed_seconds():
    paths = remaining_paths(make_plan(GRAPH), lambda p: 2.0 if p.pn == "app" else None)
    assert paths[CONF.id] == DEFAULT_SECONDS
    assert paths[APP.id] == 2.0 + DEFAULT_SECONDS
    assert paths[LIB.id] == 2 * DEFAULT_SECONDS + paths[APP.id]


def test_why_gives_the_shortest_chain():
    chain = needed_by(GRAPH, LIB.id)
    assert [(link.package, link.edge.to) for link in chain] == [
        (APP.id, TOOL.id),
        (TOOL.id, LIB.id),
    ]
    assert needed_by(GRAPH, APP.id) == ()
    assert needed_by(GRAPH, "no/such-1::r") == ()


def test_a_resolution_survives_its_way_through_json():
    assert decode_depgraph(encode_depgraph(GRAPH)) == GRAPH


KINDS = st.lists(
    st.sampled_from(["buildtime", "runtime", "runtime_post", "install"]), min_size=1, unique=True
)


@given(st.data())
def test_visible_sets_are_always_earlier_and_complete(data):
    size = data.draw(st.integers(1, 8))
    names = [f"p{i}" for i in range(size)]
    packages = tuple(
        package(
            name,
            *(edge(to, *data.draw(KINDS)) for to in data.draw(st.sets(st.sampled_from(names)))),
        )
        for name in names
    )
    graph = Depgraph(packages)
    rank = {p.id: i for i, p in enumerate(packages)}
    for p in packages:
        sets = visible_sets(graph)[p.id]
        for seen in (sets.build, sets.merge):
            assert list(seen) == sorted(seen, key=rank.__getitem__)
            assert all(rank[name] < rank[p.id] for name in seen)
        direct = {to for to in p.targets(frozenset({"buildtime"})) if rank[to] < rank[p.id]}
        assert direct <= set(sets.build)
    make_plan(graph)
