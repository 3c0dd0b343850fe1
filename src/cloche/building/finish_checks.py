"""Finds what a machine's finish asks for and its root will not have, as early as that is known.

Before the first package is built, the root is its bottom with the packages that the store has. What
is not there may still come: from a package that is not built yet, unless that can be excluded, or
from a hook, after which nothing is judged. Before the finish itself, all packages are there.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.finish_commands import commands
from cloche.building.finish_root import FinishRoot, Presence, root_of
from cloche.building.forecast import Forecast
from cloche.building.packages import Builder, Made, NotMergedError
from cloche.composing.collisions import CollisionError
from cloche.config.atoms import name_of
from cloche.config.errors import ConfigError, Origin, meant, nearest
from cloche.config.finish_steps import FinishStep
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.records.events import Note

_VERSION = re.compile(r"-\d[^-]*(-r\d+)?$")  # of a directory of the VDB (PMS 3.2)
VDB = "var/db/pkg"
ZONES = "usr/share/zoneinfo"
#: Categories whose packages bring one user or group each, and no programs.
ACCOUNTS = {"acct-user": "user", "acct-group": "group"}
#: What of a package runs in the root when it is merged, as DEFINED_PHASES (PMS) names it.
HOOKS = frozenset({"setup", "preinst", "postinst"})


@dataclass(frozen=True, slots=True)
class Want:
    """What a step needs: a ``user``, ``group``, ``package`` or ``file`` that is called ``name``.

    ``what`` says that it is missing.
    """

    kind: str
    name: str
    origin: Origin
    what: str


def check_finish(
    steps: Sequence[FinishStep],
    root: FinishRoot,
    unbuilt: Sequence[Package] = (),
    presences: Sequence[Presence] = (),
) -> tuple[Presence, ...]:
    """Refuse the first step that needs what the root will not have. Raises `ConfigError`.

    ``root`` is what is known of it, ``unbuilt`` the packages that it will have besides. Returns
    those of ``presences`` that ``root`` lacks, and that an unbuilt package may install. Reads the
    root, and is otherwise a pure function.
    """
    for step in steps:
        for want in wants(step):
            if not _has(root, want) and not any(may_bring(p, want, root) for p in unbuilt):
                raise ConfigError(want.origin, want.what, _meant(root, want, unbuilt))
        if step.kind == "hook":
            return ()
        if step.kind == "files" and step.path is not None:
            _check_files(step.path, step)
        if step.kind in ("localedef", "preset_all") or step.kind.startswith("services_"):
            _check_commands(step, root, unbuilt)
        root = root.after(step)
    missing = tuple(each for each in presences if not any(map(root.matches, each.paths)))
    if missing and not any(_brings_files(package) for package in unbuilt):
        raise missing[0].missing()
    return missing


def _check_commands(step: FinishStep, root: FinishRoot, unbuilt: Sequence[Package]) -> None:
    """Refuse a step that programs of the root cannot do, if no package may change that."""
    if not any(_brings_files(package) for package in unbuilt):
        for _ in commands(step, root):
            pass


def _check_files(directory: Path, step: FinishStep) -> None:
    """Refuse what cannot be copied."""
    for path in directory.rglob("*"):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            what = f"{path} is neither a file, a directory nor a link"
            raise ConfigError(step.origin, what, "remove it; a hook can make it")


def wants(step: FinishStep) -> Iterator[Want]:
    """What a step needs of the root."""
    match step.kind, step.words:
        case "user", (word,):
            _, _, group, others, _, _, shell = word.split(":")
            for name in filter(None, (group, *others.split(","))):
                yield _account("group", name, step)
            if shell:
                yield _file(shell, f"no package of the machine brings the shell {shell}", step)
        case "groups", _:
            yield _program("/usr/sbin/groupadd", step)
        case "users", words:
            yield _program("/usr/sbin/useradd", step)
            for name in filter(None, ",".join(w.partition("=")[2] for w in words).split(",")):
                yield _account("group", name, step)
        case (("permission" | "owners"), words):
            for owners in (word.partition(" ")[0] for word in words):
                user, colon, group = owners.partition(":")
                if colon:
                    yield _account("user", user, step)
                    yield _account("group", group, step)
        case "unmerge", (atom, *_) if step.strict and (known := name_of(atom)):
            what = f"the machine has no package {known} to remove"
            yield Want("package", known, step.origin, what)
        case "ssh_keys", (name, *_):
            yield _account("user", name, step)
        case "timezone", (zone,):
            what = f"no package of the machine brings the time zone {zone}"
            yield _file(f"/{ZONES}/{zone}", what, step)
        case "hook", _ if step.script.startswith(b"#!"):
            program = step.script[2:].split(b"\n")[0].decode(errors="replace").split()
            if program and program[0].startswith("/"):
                yield _program(program[0], step)


def may_bring(package: Package, want: Want, root: FinishRoot) -> bool:
    """Whether a package that is not built yet may bring what is wanted. A pure function.

    Users and groups come from hooks, or with the first /etc/passwd of a root.
    """
    if want.kind == "package":
        return package.cp == want.name
    if package.category in ACCOUNTS:
        return (ACCOUNTS[package.category], package.pn) == (want.kind, want.name)
    if not _brings_files(package):
        return False
    if want.kind == "file" or not root.users or package.binary is not None:
        return True
    return not HOOKS.isdisjoint(package.defined_phases)


def _brings_files(package: Package) -> bool:
    return package.category not in (*ACCOUNTS, "virtual")


def _account(kind: str, name: str, step: FinishStep) -> Want:
    return Want(kind, name, step.origin, f"the root has no {kind} {name}")


def _program(path: str, step: FinishStep) -> Want:
    name = step.path.name if step.path else step.kind
    return _file(path, f"no package of the machine brings {path}, which “{name}” needs", step)


def _file(path: str, what: str, step: FinishStep) -> Want:
    return Want("file", path, step.origin, what)


def _has(root: FinishRoot, want: Want) -> bool:
    if want.kind == "file":
        return root.has(want.name)
    if want.kind == "package":
        return want.name in _installed(root, want.name.partition("/")[0])
    return want.name in (root.users if want.kind == "user" else root.groups)


def _installed(root: FinishRoot, category: str) -> list[str]:
    """The packages of a category that a root has, without their versions."""
    return [f"{category}/{_VERSION.sub('', pf)}" for pf in root.names(f"{VDB}/{category}")]


def _meant(root: FinishRoot, want: Want, unbuilt: Sequence[Package]) -> str:
    """Advice, with a similar name of the root."""
    if want.kind == "package":
        known = [name for each in root.names(VDB) for name in _installed(root, each)]
        known += [package.cp for package in unbuilt]
        return meant(want.name, known, "correct the name, or remove the line")
    if want.kind != "file":
        table = f"add [{want.kind}s.{want.name}], or the package that brings it"
        return meant(want.name, root.users if want.kind == "user" else root.groups, table)
    above, _, name = want.name.rpartition("/")
    there = root.names(above.strip("/"))
    if close := nearest(name, there):
        return f"did you mean “{f'{above}/{close}'.removeprefix(f'/{ZONES}/')}”?"
    return meant(name, there)


def foreseen(builder: Builder, fates: Mapping[str, Forecast]) -> ConfigError | None:
    """Why a machine cannot be finished, if that is known before anything is built.

    Warns if something that an image needs is probably missing.
    """
    inputs, plan = builder.context.inputs, builder.plan
    if not (builder.finish or builder.presences) or builder.partial:
        return None
    by_id = plan.graph.by_id()
    made = {id: made for id in plan.members if (made := fates[id].made)}
    unbuilt = [by_id[id] for id in plan.members if id not in made]
    if unbuilt and "bashrc" in inputs.etc:  # hooks of all packages, which may do anything
        return None
    try:
        known = _together(builder, made, unbuilt)
    except (NotMergedError, CollisionError):  # what lies where is not known yet
        return None
    root = root_of([each.path for each in (*inputs.bottom, *known)])
    try:
        missing = check_finish(builder.finish, root, unbuilt, builder.presences)
    except ConfigError as error:
        return error
    categories = {"", *(by_id[id].category for id in plan.members)}
    for each in missing:
        if each.category not in categories:
            why = f"no package of the plan is in {each.category}"
            builder.context.bus(
                Note(text=f"{each.origin}: perhaps {each.what}: {why}", level="warning")
            )
    return None


def _together(
    builder: Builder, made: Mapping[str, Made], unbuilt: Sequence[Package]
) -> Sequence[Layer]:
    """The layers of packages that are built, as far as is known where their files lie.

    A package may install through another one's link, as /bin. Over a seed the links are there; in a
    root of its own only packages that are put together tell. Raises NotMergedError, CollisionError.
    """
    if not builder.context.inputs.own_root or any(map(_brings_files, unbuilt)):
        return [builder.context.layer(each.layer) for each in made.values()]
    if unbuilt:
        raise NotMergedError(unbuilt[0].id)
    return builder.layers(builder.plan.members, made, where="the finish", look=True)


def check_before(
    context: BuildContext, steps: Sequence[FinishStep], layers: Sequence[Layer]
) -> None:
    """The same when all packages are there. Raises `ConfigError`."""
    if steps:
        check_finish(steps, root_of([each.path for each in (*context.inputs.bottom, *layers)]))
