"""Relations between specs: which one makes another's source, which ones write the same file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from cloche.catalyst.conf import Conf
from cloche.catalyst.keys import TARGETS
from cloche.catalyst.paths import ARTIFACTS, outputs, store_path, subpath
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError

#: Kinds of outputs that two specs must not write at the same time.
_WHOLE = (*ARTIFACTS, "directory", "snapshot")


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
    """The path of a spec's source; the file may also have an extension."""
    return store_path(conf, "builds", spec.text("source_subpath"))


def earlier_makers(specs: Sequence[Spec], conf: Conf) -> tuple[Spec | None, ...]:
    """For each spec the one before it that makes its source, if there is one."""
    return tuple(
        makers(specs[:number], conf).get(source_path(spec, conf))
        for number, spec in enumerate(specs)
    )


def needs(specs: Mapping[str, Spec], conf: Conf) -> Mapping[str, str]:
    """By the name of each spec whose source one of them makes: the name of that one.

    Raises `ConfigError` if specs make each other's sources.
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
        what = f"the source is made from itself: {' from '.join(circle)}"
        origin = specs[circle[0]].origin("source_subpath")
        raise ConfigError(origin, what, "correct a source_subpath") from None
    return found


def writers(specs: Mapping[str, Spec], conf: Conf) -> Mapping[str, Sequence[str]]:
    """The paths that several specs write, with the names of these specs in order."""
    found: dict[str, list[str]] = {}
    for name, spec in specs.items():
        for path in dict.fromkeys(o.path for o in outputs(spec, conf) if o.kind in _WHOLE):
            found.setdefault(path, []).append(name)
    return {path: names for path, names in found.items() if len(names) > 1}
