"""Which specs make what others start from, and the order that follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from cloche.catalyst.conf import Conf
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.paths import outputs, store_path, subpath
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError

#: Kinds of outputs that are written once: two specs must not write the same one at a time.
_WHOLE = ("tarball", "iso", "qcow2", "directory", "snapshot")


def makers(specs: Iterable[Spec], conf: Conf) -> Mapping[str, Spec]:
    """The spec that makes each tarball, by its path, and by that path without an extension."""
    found: dict[str, Spec] = {}
    for spec in specs:
        made = outputs(spec, conf) if spec.text("target") in TARGETS else ()
        tarball = next((each.path for each in made if each.kind == "tarball"), "")
        if tarball:
            found.setdefault(store_path(conf, "builds", subpath(spec)), spec)
            found.setdefault(tarball, spec)
    return found


def source_path(spec: Spec, conf: Conf) -> str:
    """Where the source of a spec is looked for; it may have an extension more."""
    return store_path(conf, "builds", spec.text("source_subpath"))


def needs(specs: Mapping[str, Spec], conf: Conf) -> Mapping[str, str]:
    """For each spec, by name, the one that makes its source, if one of them does.

    Raises `ConfigError` where specs make each other's sources.
    """
    names = {id(spec): name for name, spec in specs.items()}
    made = makers(specs.values(), conf)
    found = {
        name: names[id(made[path])]
        for name, spec in specs.items()
        if (path := source_path(spec, conf)) in made
    }
    try:
        TopologicalSorter({name: [needed] for name, needed in found.items()}).prepare()
    except CycleError as error:
        circle = error.args[1]
        what = f"its source is made of itself: {' from '.join(circle)}"
        origin = specs[circle[0]].origin("source_subpath")
        raise ConfigError(origin, what, "correct a source_subpath") from None
    return found


def writers(specs: Mapping[str, Spec], conf: Conf) -> Mapping[str, Sequence[str]]:
    """What several specs write, with their names in order."""
    found: dict[str, list[str]] = {}
    for name, spec in specs.items():
        for path in dict.fromkeys(o.path for o in outputs(spec, conf) if o.kind in _WHOLE):
            found.setdefault(path, []).append(name)
    return {path: names for path, names in found.items() if len(names) > 1}
