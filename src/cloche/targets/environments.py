"""The environments that the packages of a plan are built in, as levels compare them. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from cloche.plan.depgraph import NEEDED_AT_RUN_TIME, Depgraph, Package
from cloche.plan.plan import Plan
from cloche.portage.cpv import split_cpv
from cloche.portage.etc import Content
from cloche.portage.view import SUIDCTL, names_configuration, user_code
from cloche.targets.etc import OwnCode
from cloche.targets.levels import Environment, Seen, flags_of


def environments(
    plan: Plan,
    installed: Mapping[str, Seen],
    etc: Mapping[str, Content],
    code: OwnCode,
    target: str = "",
) -> dict[str, Environment]:
    """The environment of each package of a plan, by its id.

    The plan's resolution says what is ``installed`` in the seed; here these packages are by CPV.
    ``etc`` is the /etc/portage with which they are built, ``code`` the target's code that takes
    part: packages of the plan that a build sees may have been made with it. ``target`` is the
    digest of the target whose clone the environments are in.
    """
    graph = plan.graph
    of_plan = {package.id: _seen(package) for package in graph.packages}
    run = _needs_at_run_time(graph)

    def seen(names: Iterable[str]) -> tuple[Seen, ...]:
        """Packages by id or CPV. What the plan makes replaces what is installed in its slot."""
        found = {n: of_plan.get(n) or installed.get(n) for n in names}
        made = {(each.cp, each.slot) for name, each in found.items() if each and name in of_plan}
        return tuple(
            sorted(
                each
                for name, each in found.items()
                if each and (name in of_plan or (each.cp, each.slot) not in made)
            )
        )

    result = {}
    for package in graph.packages:
        visible = plan.visible[package.id]
        result[package.id] = Environment(
            flags_of(package.environment),
            seen((*visible.build, *_closure(visible.seed_build, graph.installed))),
            seen(run(package.id) - {package.id}),
            code_on(package.cpv, package.slot, package.environment, etc, code),
            code.all if visible.build else "",
            target,
        )
    return result


def code_on(
    cpv: str,
    slot: str,
    variables: Mapping[str, str],
    etc: Mapping[str, Content],
    code: OwnCode,
) -> dict[str, str]:
    """Digests of the target's own code that works on a package with these effective variables."""
    name = split_cpv(cpv)
    found = user_code(etc, name, slot)
    found.pop(SUIDCTL, None)  # the target applies it at its own merges
    if names_configuration(etc, name, slot, variables):
        found["the files of /etc/portage"] = code.files
    return found


def seen_in(graph: Depgraph) -> tuple[Seen, ...]:
    """The packages of a resolution as builds see them."""
    return tuple(map(_seen, graph.packages))


def whole(installed: Mapping[str, Seen]) -> str:
    """A digest of all that is installed."""
    data = msgspec.json.encode(sorted(installed.values()), order="deterministic")
    return hashlib.sha256(data).hexdigest()


def _seen(package: Package) -> Seen:
    use = tuple(sorted({*package.use} & {*package.iuse}))
    return Seen(package.cp, package.slot, package.sub_slot, package.version, use)


def _needs_at_run_time(graph: Depgraph) -> Callable[[str], set[str]]:
    """A function that gives all that a package needs at run time, by id or CPV."""
    direct = {
        package.id: [
            *package.targets(NEEDED_AT_RUN_TIME),
            *(each.to for each in package.uses if NEEDED_AT_RUN_TIME.intersection(each.kinds)),
        ]
        for package in graph.packages
    }
    return lambda name: set(_closure([name], {**graph.installed, **direct}))


def _closure(names: Iterable[str], needs: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The names, and all that they need."""
    todo, done = list(names), set()
    while todo:
        name = todo.pop()
        if name not in done:
            done.add(name)
            yield name
            todo.extend(needs.get(name, ()))
