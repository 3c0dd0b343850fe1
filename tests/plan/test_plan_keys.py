"""Action keys: what is in them, and which part of two of them differs."""

from tests.values import package

from cloche.plan.keys import build_key, layer_parts, merge_key, root_parts
from cloche.plan.why import changes
from cloche.store import make_key


def test_keys_do_not_depend_on_the_order_of_parts_but_on_the_order_of_layers():
    assert make_key("x", {"a": "1", "b": "2"}).digest == make_key("x", {"b": "2", "a": "1"}).digest
    assert make_key("x", {"a": "1"}).digest != make_key("y", {"a": "1"}).digest

    def key(layers):
        return merge_key(package(), gpkg="g", inputs={}, layers=layers, base={"seed": "s"}).digest

    assert key([("a", "1"), ("b", "2")]) != key([("b", "2"), ("a", "1")])


def test_what_acts_at_a_merge_is_in_its_key():
    def both(inputs=None, **environment):
        built = package(environment=environment)
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
        built = package(use=use)
        return build_key(built, inputs={"ebuild": "e"}, layers=[("lib", layer)], base={})

    found = changes(key(("x",), "1").parts, key(("x", "y"), "2").parts)
    assert [(c.part, c.old, c.new) for c in found] == [
        ("layer lib", "1", "2"),
        ("use", "x", "x y"),
    ]


def test_each_of_several_layers_of_one_name_counts() -> None:
    """The steps that finish a machine make several; the last one hid the others."""
    keys = {
        str(layer_parts([("p", "1"), ("m", first), ("m", second)]))
        for first, second in (("a", "b"), ("c", "b"), ("b", "a"), ("a", "a"))
    }
    assert len(keys) == 4
    assert layer_parts([("p", "1"), ("q", "2")]) == {
        "layer p": "1", "layer q": "2", "layer order": "p q",
    }  # fmt: skip
    assert root_parts([("m", "1"), ("m", "2")]) != root_parts([("m", "3"), ("m", "2")])
