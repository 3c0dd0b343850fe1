"""Makes a machine's initramfs: dracut of the machine runs in its finished root, without network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from cloche.building.context import BuildContext
from cloche.building.finish_steps import LEFT_BEHIND
from cloche.building.stages import data_of, once, stage_command, stage_failed
from cloche.config.kernel import Kernel
from cloche.layers import PORTAGE_RULES, SOURCE_DATE_EPOCH, Layer, Merged, capture, commit
from cloche.plan.keys import layer_parts
from cloche.portage.etc import REPOS
from cloche.records.events import Note
from cloche.records.logs import new_log
from cloche.roots import unions
from cloche.sandbox.base import Command, Ended, Sandbox
from cloche.sandbox.errors import ProgramError
from cloche.store import Key, Outcome, make_key
from cloche.tasks.guestcall import ENVIRONMENT, describe
from cloche.tasks.worker import make_directory

FORMAT: Final = "1"  # raise it when it is made in another way
PLACES: Final = ("lib/modules", "usr/lib/modules")
IMAGE: Final = "vmlinuz-"
#: Nothing of this host; the same bytes for the same root.
DRACUT: Final = ("/usr/bin/dracut", "--force", "--no-hostonly", "--reproducible")
FAILED: Final = "dracut: FAILED: "
MOST: Final = 20  # of what is missing
MISSING: Final = "missing"  # in the data of an action
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_initramfs(
    context: BuildContext, kernel: Kernel, layers: Sequence[Layer]
) -> tuple[Layer, ...]:
    """A layer with an initramfs in /boot for each kernel of the root; none without ``initramfs``.

    Raises StepError.
    """
    if not kernel.initramfs:
        return ()
    key = key_of(context, kernel, layers)
    made = once(context, "initramfs", key, lambda: _made(context, kernel, layers))
    for line in data_of(context, key).get(MISSING, ()):  # also of an earlier build
        what = f"{kernel.origin}: the initramfs lacks something: {line}"
        context.bus(Note(text=what, level="warning"))
    return (context.layer(made["layer"]),)


def key_of(context: BuildContext, kernel: Kernel, layers: Sequence[Layer]) -> Key:
    """The key of a root's initramfs."""
    inputs = context.inputs
    return make_key(
        "initramfs",
        {
            **inputs.key_base,
            "config": inputs.base[-1].id,
            "result's config": str(inputs.base[-1] in inputs.bottom),
            **layer_parts([(each.label, each.id) for each in layers]),
            "options": "\0".join((*DRACUT, *kernel.options)),
            "format": FORMAT,
        },
    )


def releases(root: Merged) -> tuple[tuple[str, bool], ...]:
    """The kernels of a root, by their release, and whether each has modules."""
    found: dict[str, bool] = {}
    for place in PLACES:
        directory = root.lookup(os.fsencode(place))
        if directory is not None and directory.is_directory:
            for each in root.children(directory):
                if root.lookup(each.path + b"/modules.dep"):
                    found[os.fsdecode(each.path.rpartition(b"/")[2])] = True
    boot = root.lookup(b"boot")
    if boot is not None and boot.is_directory:
        for each in root.children(boot):
            name = os.fsdecode(each.path.rpartition(b"/")[2])
            if name.startswith(IMAGE):
                found.setdefault(name.removeprefix(IMAGE), False)
    return tuple(sorted(found.items()))


def _made(context: BuildContext, kernel: Kernel, layers: Sequence[Layer]) -> Outcome:
    log = new_log(context.store, context.inputs.log_name, "initramfs")
    bottom = context.inputs.bottom
    below = [each.path for each in (*bottom, *layers)]
    found = releases(Merged(below))
    if not found:
        what = f"{kernel.origin}: the root has no kernel, so it cannot have an initramfs"
        raise stage_failed(context, "initramfs", what, log)
    with context.store.workspace("initramfs") as workspace:
        upper = make_directory(workspace, "root")
        lowers = unions.lowers(context.store, bottom, layers)
        limits, emulators = context.policy.limits, context.emulators
        sandbox = Sandbox(lowers, upper, (), (REPOS,), limits=limits, emulators=emulators)
        for release, has_modules in found:
            about = ("--kver", release) if has_modules else ("--kver", release, "--no-kernel")
            argv = (*DRACUT, *about, *kernel.options, f"/boot/initramfs-{release}.img")
            ended = _run(context, kernel, sandbox, argv, log)
            if not ended.ok:
                what = f"{kernel.origin}: dracut for {release}: {describe(ended)}"
                raise stage_failed(context, "initramfs", what, log)
        tree = workspace / "layer"
        capture(upper / "top", below, tree, drop=LEFT_BEHIND)
        machine = context.inputs.machine
        layer = commit(context.store, tree, kind="finish", label=machine, rules=PORTAGE_RULES)
    place = str(log.relative_to(context.store.logs))
    return Outcome({"layer": layer.id}, place, data={MISSING: missing_in(log)})


def missing_in(log: Path) -> list[str]:
    """What dracut could not put in: its status does not say so."""
    with log.open(errors="replace") as file:
        found = (line.strip() for line in file if line.startswith(FAILED))
        return list(islice(found, MOST))


def _run(
    context: BuildContext, kernel: Kernel, sandbox: Sandbox, argv: tuple[str, ...], log: Path
) -> Ended:
    """Run dracut. Raises StepError."""
    environment = {
        **ENVIRONMENT,
        "PATH": PATH,
        **context.inputs.environment,
        "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    }
    command = Command(argv, environment, timeout=context.policy.phase_seconds)
    with log.open("ab") as stream:
        stream.write(f"=== cloche: {' '.join(argv)}\n".encode())
    try:
        return stage_command(context, "initramfs", sandbox, command, log)
    except ProgramError as error:
        what = f"{kernel.origin}: {argv[0]}: {error.message}"
        raise stage_failed(context, "initramfs", what, log) from error
