"""Indexes the modules of a finished root where packages of modules could not do that.

Each package is merged beside what it needs at run time, and a package of modules need not need the
kernel. Gentoo's linux-mod-r1.eclass only runs depmod(8) where it finds the kernel's System.map. So
depmod of the root runs once more, unless all modules are in the index already.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from cloche.building.context import BuildContext
from cloche.building.finish_root import root_of
from cloche.building.finish_steps import LEFT_BEHIND
from cloche.building.stages import once, stage_command, stage_failed
from cloche.config.kernel import Kernel
from cloche.layers import PORTAGE_RULES, Layer, Merged, capture, commit
from cloche.layers.merge import Node, open_node
from cloche.plan.keys import layer_parts
from cloche.portage.etc import REPOS
from cloche.records.events import Note
from cloche.records.logs import new_log
from cloche.roots import unions
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.errors import ProgramError
from cloche.store import Outcome, make_key
from cloche.tasks.guestcall import ENVIRONMENT, describe
from cloche.tasks.worker import make_directory

FORMAT: Final = "1"  # raise it when it is made in another way
PLACES: Final = ("lib/modules", "usr/lib/modules")
PROGRAMS: Final = ("/sbin/depmod", "/usr/sbin/depmod", "/usr/bin/depmod", "/bin/depmod")
_MODULE: Final = re.compile(rb"\.ko(\.(gz|xz|zst))?$")


def index_modules(
    context: BuildContext, kernel: Kernel, layers: Sequence[Layer]
) -> tuple[Layer, ...]:
    """A layer with new indexes of modules; none where they are right as they are.

    Raises StepError.
    """
    inputs = context.inputs
    trees = [each.path for each in (*inputs.bottom, *layers)]
    wanted = unindexed(Merged(trees))
    if not wanted:
        return ()
    root = root_of(trees)
    program = next((each for each in PROGRAMS if root.has(each)), None)
    if program is None:
        _tell(context, kernel, wanted, "the root has no depmod: add sys-apps/kmod")
        return ()
    key = make_key(
        "modules index",
        {
            **inputs.key_base,
            "config": inputs.base[-1].id,
            "result's config": str(inputs.base[-1] in inputs.bottom),
            **layer_parts([(each.label, each.id) for each in layers]),
            "commands": "\0".join((program, *wanted)),
            "format": FORMAT,
        },
    )
    work = (program, wanted)
    try:
        made = once(context, "depmod", key, lambda: _made(context, kernel, layers, work))
    except ProgramError as error:  # of another CPU, without an emulator
        _tell(context, kernel, wanted, f"{program}: {error.message}")
        return ()
    return (context.layer(made["layer"]),)


def _tell(context: BuildContext, kernel: Kernel, releases: Sequence[str], why: str) -> None:
    what = f"modules of {', '.join(releases)} are not in modules.dep, and {why}"
    context.bus(Note(text=f"{kernel.origin}: {what}", level="warning"))


def unindexed(root: Merged) -> tuple[str, ...]:
    """The releases of kernels of which some module is not in modules.dep."""
    return tuple(
        sorted(
            os.fsdecode(each.path.rpartition(b"/")[2])
            for place in PLACES
            if (directory := root.lookup(os.fsencode(place))) and directory.is_directory
            for each in root.children(directory)
            if each.is_directory and not _indexed(root, each) >= set(_modules(root, each))
        )
    )


def _modules(root: Merged, directory: Node) -> Iterator[bytes]:
    for node in root.walk(directory):
        if stat.S_ISREG(node.info.st_mode) and _MODULE.search(node.path):
            yield node.path.removeprefix(directory.path + b"/")


def _indexed(root: Merged, directory: Node) -> set[bytes]:
    """The modules in modules.dep (modules.dep(5)), by their paths there."""
    node = root.child(directory, b"modules.dep")
    if node is None or not stat.S_ISREG(node.info.st_mode):
        return set()
    with open_node(node) as file:
        return {line.partition(b":")[0] for line in file}


def _made(
    context: BuildContext,
    kernel: Kernel,
    layers: Sequence[Layer],
    work: tuple[str, tuple[str, ...]],
) -> Outcome:
    program, releases = work
    machine, bottom = context.inputs.machine, context.inputs.bottom
    log = new_log(context.store, context.inputs.log_name, "depmod")
    with context.store.workspace("depmod") as workspace:
        upper = make_directory(workspace, "root")
        lowers = unions.lowers(context.store, bottom, layers)
        limits, emulators = context.policy.limits, context.emulators
        sandbox = Sandbox(lowers, upper, (), (REPOS,), limits=limits, emulators=emulators)
        for release in releases:
            command = Command((program, release), ENVIRONMENT, timeout=context.policy.phase_seconds)
            ended = stage_command(context, "depmod", sandbox, command, log)
            if not ended.ok:
                what = f"{kernel.origin}: depmod for {release}: {describe(ended)}"
                raise stage_failed(context, "depmod", what, log)
        below, tree = [each.path for each in (*bottom, *layers)], workspace / "layer"
        capture(upper / "top", below, tree, drop=LEFT_BEHIND)
        layer = commit(context.store, tree, kind="finish", label=machine, rules=PORTAGE_RULES)
    return Outcome({"layer": layer.id}, str(log.relative_to(context.store.logs)))
