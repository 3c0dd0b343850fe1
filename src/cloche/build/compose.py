"""Putting layers into one root, also where the hooks of several packages write to the same file.

What a hook writes (``/etc/passwd``, ``/etc/shells``, an index) no package owns: a layer holds it
whole, as the package and its own run-time closure make it. Of two such layers in one root the upper
would hide what the lower says. So the upper one's package is merged once more, this time over the
lower one as well, as Portage would have it. Such a layer is made for these roots alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from cloche.build.diagnose import installed_files
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan

#: Phases (of DEFINED_PHASES) that can write to a root behind CONTENTS.
HOOKS = frozenset({"setup", "preinst", "postinst", "prerm", "postrm"})

LayerOf = Callable[[str], Layer]
#: Merges a package once more over these layers; the last argument says which files are shared.
Again = Callable[[Package, Sequence[Layer], Sequence[str]], Layer]


def compose(
    plan: Plan, names: Sequence[str], layer_of: LayerOf, again: Again, *, any_hook: bool = False
) -> tuple[Layer, ...]:
    """Layers of the packages ``names`` (in merge order) such that each knows of those below it.

    ``layer_of`` gives the layer that a package has by itself. With ``any_hook`` packages without
    hooks of their own may write to any file, too: the user's bashrc does so for them.
    """
    packages = plan.graph.by_id()
    composed: dict[str, Layer] = {}
    for name in names:
        layer = layer_of(name)
        package = packages[name]
        written = _written(layer) if any_hook or HOOKS & set(package.defined_phases) else ()
        own = plan.visible[name].merge
        rivals = {
            other: shared
            for other, below in composed.items()
            if other not in own and (shared := [path for path in written if _holds(below, path)])
        }
        # What it says of its own (a user's group by its number) may have become another since.
        moved = written and any(n in composed and composed[n].id != layer_of(n).id for n in own)
        if rivals or moved:
            needed = {n for rival in rivals for n in plan.visible[rival].merge if n in composed}
            over = needed.union(rivals, own)
            if over <= composed.keys():
                beneath = tuple(made for n, made in composed.items() if n in over)
            else:  # what it needs for its merge alone is no part of this root
                order = [p.id for p in plan.packages if p.id in over]
                beneath = compose(plan, order, layer_of, again, any_hook=any_hook)
            touched = {path for paths in rivals.values() for path in paths} or set(written)
            layer = again(package, beneath, sorted(touched))
        composed[name] = layer
    return tuple(composed.values())


def _holds(layer: Layer, path: str) -> bool:
    place = layer.path / path
    return place.is_symlink() or place.exists()


@lru_cache(maxsize=4096)
def _written(layer: Layer) -> tuple[str, ...]:
    """What of a package's layer no package owns; directories do not count."""
    mine = {path.strip("/") for _, path in installed_files(layer.path / "var/db/pkg")}
    files = (
        str(path.relative_to(layer.path))
        for path in layer.path.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )
    return tuple(f for f in sorted(files) if f not in mine and not f.startswith("var/db/pkg/"))
