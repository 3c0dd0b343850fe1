"""A machine's /etc/portage as a layer of its roots, with those user patches that concern it.

A project has one ``patches/`` for all machines, but a machine gets only the user patches of its own
packages, so that a patch does not change the machines that lack its package. Before the packages
are resolved, each directory of patches holds an empty file instead: Portage then reports those that
match no package. A build step gets the patches of its package elsewhere (`cloche.portage.view`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from cloche.building.context import Inputs
from cloche.layers import Layer, commit, stored_layer
from cloche.plan.depgraph import Depgraph
from cloche.portage.cpv import split_cpv
from cloche.portage.etc import Content, write_tree
from cloche.portage.view import PATCHES, patches_of
from cloche.store import Outcome, Store, make_key, remember

_WRITTEN = 1  # raise it when an equal configuration is to give another layer
_STAND_IN = "stand-in.patch"  # an empty patch is none


def config_layer(store: Store, name: str, files: Mapping[str, Content]) -> Layer:
    """The ``/etc/portage`` of a machine of this name, of these files."""
    digest = hashlib.sha256(f"{_WRITTEN}\n".encode())
    for file, content in files.items():
        text = content if isinstance(content, bytes) else f"-> {content.target}".encode()
        kind = "file" if isinstance(content, bytes) else "link"
        digest.update(f"{kind} {file}\0{len(text)}\0".encode() + text)
    key = make_key("config", {"etc": digest.hexdigest()})
    done = remember(store, key, name, lambda: Outcome({"tree": _config(store, name, files).id}))
    return stored_layer(store, done.action.outputs["tree"])


def _config(store: Store, name: str, etc: Mapping[str, Content]) -> Layer:
    with store.workspace("config") as workspace:
        tree = workspace / "root"
        for each in ("", "etc"):
            (tree / each).mkdir()
            (tree / each).chmod(0o755)
        write_tree(etc, tree / "etc/portage")
        return commit(store, tree, kind="config", label=name, rules={})


def with_etc(store: Store, inputs: Inputs, etc: Mapping[str, Content]) -> Inputs:
    """The inputs of a machine with another ``/etc/portage``, before it is resolved."""
    layer = config_layer(store, inputs.machine, unresolved(etc))
    return replace(_over(inputs, layer), etc=etc)


def unresolved(etc: Mapping[str, Content]) -> dict[str, Content]:
    """The files of ``/etc/portage`` for a resolution: no user patches, but their directories."""
    places = {name.rpartition("/")[0] for name in etc if name.startswith(PATCHES)}
    stand_ins = {f"{place}/{_STAND_IN}": b"" for place in places}
    return dict(sorted({**_without_patches(etc), **stand_ins}.items()))


def with_patches(store: Store, inputs: Inputs, graph: Depgraph) -> Inputs:
    """The inputs of a machine whose packages are known, for all that comes after its resolution."""
    if not has_patches(inputs.etc):
        return inputs
    installed = (split_cpv(name.partition("::")[0]) for name in graph.installed)
    packages = (*(split_cpv(package.cpv) for package in graph.packages), *installed)
    kept = {name: inputs.etc[name] for cpv in packages for name in patches_of(inputs.etc, cpv)}
    files = dict(sorted({**_without_patches(inputs.etc), **kept}.items()))
    return _over(inputs, config_layer(store, inputs.machine, files))


def _without_patches(etc: Mapping[str, Content]) -> dict[str, Content]:
    return {name: content for name, content in etc.items() if not name.startswith(PATCHES)}


def has_patches(etc: Mapping[str, Content]) -> bool:
    """Whether there are user patches for any package."""
    return any(name.startswith(PATCHES) for name in etc)


def _over(inputs: Inputs, config: Layer) -> Inputs:
    base = (*(each for each in inputs.base if each.kind != "config"), config)
    return replace(inputs, base=base)
