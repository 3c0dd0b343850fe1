"""The root in which a machine's kernel is configured, for `cloche kernel`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.building.machine import build_machine
from cloche.building.root import Root
from cloche.building.shells import fresh_root
from cloche.config.kernel import PACKAGE
from cloche.config.machine import Machine
from cloche.errors import ClocheError
from cloche.output.deliver import remember
from cloche.plan.plan import narrowed
from cloche.portage.kernel import configuring
from cloche.sandbox.base import Bind
from cloche.session.building import prepare, with_jobserver
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.opened import Opened
from cloche.tasks.worker import make_directory

SHARED = "/run/cloche/kernel"
PROGRAM = f"{SHARED}/configure"


@dataclass(frozen=True, slots=True)
class KernelRoot:
    """A root with the sources of a kernel. ``PROGRAM MODE`` configures it and leaves its results in
    ``shared``, a directory of the host; ``version`` is that of the sources' package."""

    root: Root
    shared: Path
    version: str

    def result(self, name: str) -> str:
        """What the program left in a file, which may have any content; empty without it."""
        path = self.shared / name
        return path.read_text(errors="replace") if path.is_file() and not path.is_symlink() else ""


@contextmanager
def kernel_root(opened: Opened, machine: Machine, choices: Choices) -> Iterator[KernelRoot]:
    """Build what the kernel is built from, unless it is there, and open its root.

    Raises ClocheError.
    """
    if machine.kernel is None or machine.kernel.sources is None:
        raise ClocheError(
            "it has no kernel that is built from sources",
            where=f"machine {machine.name}",
            todo=f'add [kernel] with sources = "sys-kernel/gentoo-sources" to {machine.file.name}',
        )
    context = context_of(opened, machine, choices)
    with with_jobserver(context, opened.slots) as context:
        builder = prepare(context, opened.project, machine, choices)
        package = next(each for each in builder.plan.packages if each.cp == PACKAGE)
        needed = builder.plan.visible[package.id].build
        part = replace(builder, plan=narrowed(builder.plan, needed), partial=True)
        try:
            build_machine(part)
        finally:
            remember(part, machine)
        with fresh_root(builder, package) as root, context.store.workspace("kernel") as room:
            shared = make_directory(room, "shared")
            program = shared / "configure"
            program.write_bytes(configuring())
            program.chmod(0o755)
            binds = (*root.sandbox.binds, Bind(shared, SHARED, writable=True))
            yield KernelRoot(
                replace(root, sandbox=replace(root.sandbox, binds=binds)), shared, package.version
            )
