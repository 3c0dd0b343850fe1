"""Action keys: digests of all that a step can see. A step whose key is known is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cloche.plan.depgraph import Distfile, Package
from cloche.store import Key, make_key

#: Variables that Portage keeps out of phases: they only act when a package is merged.
MERGE_ONLY = frozenset({"COLLISION_IGNORE", "UNINSTALL_IGNORE"})
#: Prefixes of the names of inputs that also run in ``pkg_*`` functions.
_HOOKS = ("bashrc", "suidctl.conf", "env/", "etc/portage", "profile-bashrc/", "profile/")


def layer_parts(layers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Parts for visible layers, given as (package, layer id) from the bottom to the top."""
    return _layer_parts(layers, "layer", "layer order")


def root_parts(layers: Sequence[tuple[str, str]] | None) -> dict[str, str]:
    """Parts for the layers of a root of its own, into which a package goes; None: it does not."""
    return {} if layers is None else _layer_parts(layers, "root layer", "root order")


def _layer_parts(layers: Sequence[tuple[str, str]], word: str, order: str) -> dict[str, str]:
    """A part for each layer and one for their order; a name that comes again gets a number."""
    seen = Counter[str]()
    names: list[str] = []
    for name, _ in layers:
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    parts = {f"{word} {name}": id for name, (_, id) in zip(names, layers, strict=True)}
    return {**parts, order: " ".join(names)}


def distfile_parts(distfiles: Sequence[Distfile]) -> dict[str, str]:
    """Parts for the sources: their Manifest digests, never where they came from."""
    return {
        f"distfile {file.name}": " ".join(f"{n}:{file.digests[n]}" for n in sorted(file.digests))
        for file in distfiles
    }


def variable_parts(package: Package, without: frozenset[str] = frozenset()) -> dict[str, str]:
    """Parts for the effective variables of a package."""
    return {
        f"variable {name}": value
        for name, value in package.environment.items()
        if name not in without
    }


def build_key(
    package: Package,
    *,
    inputs: Mapping[str, str],
    layers: Sequence[tuple[str, str]],
    base: Mapping[str, str],
    root: Sequence[tuple[str, str]] | None = None,
    live: str | None = None,
) -> Key:
    """Key of a build step.

    ``inputs`` are the digests of ebuild, eclasses, ``files/`` and patches; ``layers`` the visible
    set; ``base`` what all steps of the machine share: seed, guest code, strictness; ``root`` the
    layers of a root of its own, if it goes into one; ``live`` the id of the tree that holds the
    sources of a live ebuild.
    """
    parts = {
        "package": package.name,
        "use": " ".join(package.use),
        **base,
        **inputs,
        **variable_parts(package, without=MERGE_ONLY),
        **distfile_parts(package.distfiles),
        **layer_parts(layers),
        **root_parts(root),
        **({"live": live} if live else {}),
    }
    return make_key("build", parts)


def merge_key(
    package: Package,
    *,
    gpkg: str,
    inputs: Mapping[str, str],
    layers: Sequence[tuple[str, str]],
    base: Mapping[str, str],
    root: Sequence[tuple[str, str]] | None = None,
) -> Key:
    """Key of the step that turns a binary package (its digest ``gpkg``) into a layer.

    ``inputs`` are those of the build, of which only hooks count here. All variables count: some
    only act at the merge (INSTALL_MASK), and an equal GPKG does not imply equal variables.
    """
    parts = {
        "package": package.name,
        "gpkg": gpkg,
        **base,
        **{name: digest for name, digest in inputs.items() if name.startswith(_HOOKS)},
        **variable_parts(package),
        **layer_parts(layers),
        **root_parts(root),
    }
    return make_key("merge", parts)
