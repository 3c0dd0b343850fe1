"""Visible sets, members of a machine, urgency and chains."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloche.plan.depgraph import Depgraph, Edge, Package, decode_depgraph, encode_depgraph
from cloche.plan.keys import build_key, merge_key
from cloche.plan.plan import DEFAULT_SECONDS, make_plan, remaining_paths
from cloche.plan.visible import machine_members, visible_sets
from cloche.plan.why import changes, needed_by
from cloche.store import make_key


def package(name, *edges, requested=False, **more):
    return Package(
        id=f"cat/{name}-1::r",
        cpv=f"cat/{name}-1",
        category="cat",
        pn=name,
        pf=f"{name}-1",
        version="1",
        slot="0",
        sub_slot="0",
        repo="r",
        eapi="8",
        ebuild=f"cat/{name}/{name}-1.ebuild",
        requested=requested,
        edges=tuple(Edge(f"cat/{to}-1::r", kinds, f"cat/{to}") for to, kinds in edges),
        **more,
    )


def short(ids):
    return [name.removeprefix("cat/").removesuffix("-1::r") for name in ids]


LIB = package("lib")
TOOL = package("tool", ("lib", ("runtime",)))
LEFT = package("left", ("right", ("runtime",)))
RIGHT = package("right", ("left", ("runtime",)))
APP = package(
    "app",
    ("tool", ("buildtime",)),
    ("left", ("runtime",)),
    ("conf", ("runtime_post",)),
    ("indexer", ("install",)),
    requested=True,
)
INDEXER = package("indexer")
CONF = package("conf", ("app", ("runtime",)))
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


def test_keys_do_not_depend_on_the_order_of_parts_but_on_the_order_of_layers():
    assert make_key("x", {"a": "1", "b": "2"}).digest == make_key("x", {"b": "2", "a": "1"}).digest
    assert make_key("x", {"a": "1"}).digest != make_key("y", {"a": "1"}).digest

    def key(layers):
        return merge_key(APP, gpkg="g", inputs={}, layers=layers, base={"seed": "s"}).digest

    assert key([("a", "1"), ("b", "2")]) != key([("b", "2"), ("a", "1")])


def test_what_acts_at_a_merge_is_in_its_key():
    def both(inputs=None, **environment):
        built = replace(APP, environment=environment)
        more = {"inputs": inputs or {}, "layers": [], "base": {}}
        return build_key(built, **more).digest, merge_key(built, gpkg="g", **more).digest

    build, merge = both()
    assert both(INSTALL_MASK="/usr/bin/app")[1] != merge
    assert both(FEATURES="collision-protect")[1] != merge
    assert both({"bashrc": "1"})[1] != merge
    assert both({"env/c/app": "1"})[1] != merge
    assert both({"profile-bashrc/00-profile.bashrc": "1"})[1] != merge
    assert both({"ebuild": "1", "files": "2", "patch/1-x": "3"})[1] == merge
    assert both(PKG_INSTALL_MASK="/usr/bin/app")[0] != build
    assert both(UNINSTALL_IGNORE="/x")[0] == build
    assert both(UNINSTALL_IGNORE="/x")[1] != merge


def test_a_changed_part_is_named():
    def key(use, layer):
        built = package("app", use=use)
        return build_key(built, inputs={"ebuild": "e"}, layers=[("lib", layer)], base={})

    found = changes(key(("x",), "1").parts, key(("x", "y"), "2").parts)
    assert [(c.part, c.old, c.new) for c in found] == [
        ("layer lib", "1", "2"),
        ("use", "x", "x y"),
    ]


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
            *((to, tuple(data.draw(KINDS))) for to in data.draw(st.sets(st.sampled_from(names)))),
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
