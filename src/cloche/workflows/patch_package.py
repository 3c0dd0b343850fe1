"""The package that a user means, in a machine that has it, with all that its build needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloche.building import patching
from cloche.building.machine import build_machine, resolve_and_plan
from cloche.building.packages import Builder
from cloche.building.patching import Ready
from cloche.errors import ClocheError
from cloche.plan.depgraph import BROOT, Package
from cloche.plan.names import bare, cp_of, matching, nearest
from cloche.plan.plan import narrowed
from cloche.plan.versions import version_key
from cloche.portage.cpv import BadNameError, Cpv, split_cpv
from cloche.portage.view import user_patches
from cloche.records.builds import unknown_package
from cloche.session.building import with_jobserver
from cloche.session.choices import Choices
from cloche.session.session import Session

SHOWN: Final = 12  # versions in a message


@dataclass(frozen=True, slots=True)
class Chosen:
    """A package of a machine's plan, or of one that was made for it."""

    machine: str
    builder: Builder
    package: Package

    @property
    def cpv(self) -> Cpv:
        """The parts of its name."""
        return split_cpv(self.package.cpv)

    @property
    def patches(self) -> tuple[tuple[str, bytes], ...]:
        """The user patches that its builds apply now, in their order."""
        return user_patches(self.builder.context.inputs.etc, self.cpv, self.package.slot)

    def ready(self) -> Ready:
        """Build what its build needs, and fetch its sources. Raises ClocheError."""
        absent = patching.unbuilt(self.builder, self.package)
        builder = self.builder
        if absent:
            plan = narrowed(builder.plan, absent)
            builder = replace(builder, plan=plan, partial=True)
            build_machine(builder)
        return patching.ready(self.builder, self.package)


def digests(patches: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    """SHA-256 of patches by their names."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in patches}


@contextmanager
def chosen(session: Session, atom: str, machine: str | None = None) -> Iterator[Chosen]:
    """The package that an atom means, of the given machine, or of the first that has it.

    An exact version (``=CATEGORY/PF``) may be one that no machine would choose: then it is built
    for the first that has another version. Raises ClocheError.
    """
    names = (machine,) if machine is not None else session.project.machines
    refusals: list[ClocheError] = []
    known: list[str] = []
    trees: dict[str, Path] = {}
    others: list[str] = []  # machines that have another version
    with ExitStack() as stack:
        for name in names:
            with ExitStack() as attempt:
                try:
                    builder = attempt.enter_context(planned(session, name, ()))
                except ClocheError as error:
                    refusals.append(error)
                    continue
                there = [each.id for each in builder.plan.packages]
                known += there
                if matching(cp_of(atom.removeprefix("=").partition("::")[0]), there):
                    others.append(name)
                trees |= builder.context.inputs.snapshots
                if (package := _matched(builder, atom)) is not None:
                    stack.push(attempt.pop_all())
                    yield Chosen(name, builder, package)
                    return
        if atom.startswith("=") and names:
            _check_version(atom, trees.values())
            name = (*others, *names)[0]
            builder = stack.enter_context(planned(session, name, (atom,)))
            if (package := _matched(builder, atom)) is not None:
                yield Chosen(name, builder, package)
                return
    if refusals and not known:
        raise refusals[0]
    raise unknown_package(atom, nearest(atom, known))


@contextmanager
def planned(session: Session, name: str, targets: tuple[str, ...]) -> Iterator[Builder]:
    """The plan of a machine, or with ``targets`` one of these by its configuration."""
    machine = session.project.machine(name)
    with (
        session.context(machine, Choices()) as pinned,
        with_jobserver(pinned, session.slots) as context,
    ):
        yield resolve_and_plan(context, targets or machine.targets)


def _check_version(atom: str, trees: Iterable[Path]) -> None:
    """See that some repository has the version of an atom, or not the package at all."""
    try:
        cpv = split_cpv(atom[1:].partition("::")[0].partition(":")[0])
    except BadNameError:
        return  # a pattern, of which Portage says whether something matches
    there = versions(trees, cpv.category, cpv.pn)
    if there and version_key(_version(cpv)) not in map(version_key, there):
        raise ClocheError("no repository has this version", where=str(cpv), todo=in_words(there))


def _version(cpv: Cpv) -> str:
    return cpv.pf.removeprefix(f"{cpv.pn}-")


def versions(trees: Iterable[Path], category: str, pn: str) -> tuple[str, ...]:
    """The versions of a package in some repositories, sorted."""
    found = set()
    for tree in trees:
        for ebuild in (tree / category / pn).glob(f"{pn}-*.ebuild"):
            with suppress(BadNameError):
                cpv = split_cpv(f"{category}/{ebuild.stem}")
                found |= {_version(cpv)} if cpv.pn == pn else set()
    return tuple(sorted(found, key=version_key))


def in_words(there: Sequence[str]) -> str:
    """The newest versions, for people."""
    more = "… " if len(there) > SHOWN else ""
    return f"there {'is' if len(there) == 1 else 'are'} {more}{', '.join(there[-SHOWN:])}"


def _matched(builder: Builder, atom: str) -> Package | None:
    """The one package of a plan that an atom means. Raises ClocheError where it means several."""
    found = matching(atom, [each.id for each in builder.plan.packages])
    if len(found) > 1:  # of a package in both roots, the machine's own is meant
        found = tuple(name for name in found if not name.endswith(BROOT))
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(f"={bare(name)}" for name in found)
        raise ClocheError(f"“{atom}” matches {len(found)} packages", todo=f"name one of {names}")
    package = builder.plan.graph.by_id()[found[0]]
    if package.binary is not None:
        raise ClocheError(
            "it comes from a binary package host, which has no source",
            where=package.cpv,
            todo="name a machine without `binrepos`",
        )
    return package
