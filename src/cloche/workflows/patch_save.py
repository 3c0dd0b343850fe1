"""`cloche patch save`: the change of a work tree as a patch of the project, after a real check."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cloche.building import patching
from cloche.building.patching import Ready
from cloche.config import autounmask
from cloche.config.errors import unwritable
from cloche.errors import ClocheError
from cloche.session.session import Session
from cloche.tasks.errors import StepError
from cloche.workflows import patch_errors, patch_names
from cloche.workflows.patch_headers import Header
from cloche.workflows.patch_package import Chosen, chosen, digests, planned
from cloche.workflows.patch_try import check_current
from cloche.workflows.work_tree import WorkTree


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a patch goes: into a fragment or the project's own patches, for one version or all."""

    this_version: bool = False
    fragment: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved patch, and the versions for which it was seen to apply."""

    path: Path
    versions: tuple[str, ...]


def check_changed(tree: WorkTree) -> None:
    """See that there is something to save, before anybody is asked for a header."""
    note = tree.note()
    if not note.rebasing and not tree.changed(note.tip, tree.tree()):
        raise patch_errors.no_change(note.cpv)


def save(session: Session, tree: WorkTree, header: Header, to: Destination) -> Saved:
    """Write the change as a patch that applies in the real step. Raises ClocheError."""
    note = tree.note()
    with chosen(session, f"={note.cpv}", note.machine) as found:
        check_current(found, note, tree)
        now = tree.tree()
        diff = tree.diff(note.tip, now)
        if not diff:
            raise patch_errors.no_change(note.cpv)
        content = header.text() + diff
        top = _top(session, found, to)
        where = patch_names.place(found.cpv, this_version=to.this_version)
        there = [name for name, _ in found.patches]
        name = patch_names.next_name(header.subject, [*there, *_names(top / where)], name=to.name)
        ready = found.ready()
        check(found, ready, tree, {f"{where}/{name}": content}, now)
        versions = [note.cpv]
        others = () if to.this_version else _other_versions(session, found)
        for machine, cpv in others:
            _check_other(session, machine, cpv, {f"{where}/{name}": content})
            versions.append(cpv)
        path = top / where / name
        write(path, content)
        tip = tree.git.commit(now, f"{header.subject}\n\n{name}\n", note.tip)
        applied = digests(sorted([*found.patches, (name, content)], key=_order))
        tree.write(msgspec.structs.replace(note, tip=tip, applied=applied, ended=()))
    return Saved(path, tuple(dict.fromkeys(versions)))


def _order(item: tuple[str, bytes]) -> bytes:
    return os.fsencode(item[0])


def _top(session: Session, found: Chosen, to: Destination) -> Path:
    """The directory that holds ``patches/``. Raises ConfigError."""
    if to.fragment is None:
        return session.project.root
    machine = session.project.machine(found.machine)
    return autounmask.fragment_of(machine, to.fragment).directory


def _names(directory: Path) -> tuple[str, ...]:
    return tuple(each.name for each in directory.iterdir()) if directory.is_dir() else ()


def check(
    found: Chosen,
    ready: Ready,
    tree: WorkTree,
    patches: Mapping[str, bytes],
    now: str,
    *,
    since: str | None = None,
) -> None:
    """See that patches apply to clean sources, and give the tree ``now``. Raises ClocheError.

    Compared are the files that differ from the commit ``since``, by default the last of ours.

    They are applied by the ebuild's own prepare phase, together with those that are saved.
    """
    cpv, names = found.package.cpv, [name for name, _ in found.patches]
    todo = patch_names.advice(cpv, [Path(each).name for each in patches], names)
    with found.builder.context.store.workspace("patch") as workspace:
        try:
            place = patching.source(ready, workspace, patches=patches)
        except StepError as error:
            raise patch_errors.of_step(error, cpv, todo) from error
        for each in tree.changed(since or tree.note().tip, now):
            if not each.is_plain:
                continue
            wanted = None if each.new_mode == "000000" else tree.content(each.new)
            if _content(place, each.path) != wanted:
                what = "the patch applies, but makes another file than the work tree has"
                raise ClocheError(what, where=each.path, todo=todo)


def _content(top: Path, name: str) -> bytes | None:
    """A file of untrusted sources; None if it is not there."""
    path = top / name
    if path.is_symlink() or not path.resolve().is_relative_to(top.resolve()):
        return None
    return path.read_bytes() if path.is_file() else None


def _other_versions(session: Session, found: Chosen) -> Sequence[tuple[str, str]]:
    """Other versions of the package in the project's machines, each with its machine."""
    versions: dict[str, str] = {}
    for name in session.project.machines:
        try:
            with planned(session, name, ()) as builder:
                packages = builder.plan.packages
        except ClocheError:
            continue  # what does not resolve is not built
        for package in packages:
            same = package.cp == found.package.cp and package.cpv != found.package.cpv
            if same and package.binary is None:
                versions.setdefault(package.cpv, name)
    return tuple((name, cpv) for cpv, name in versions.items())


def _check_other(session: Session, machine: str, cpv: str, patches: Mapping[str, bytes]) -> None:
    """See that a patch for all versions applies to another one that a machine has."""
    with chosen(session, f"={cpv}", machine) as other:
        ready = other.ready()
        with other.builder.context.store.workspace("patch") as workspace:
            try:
                patching.source(ready, workspace, patches=patches)
            except LookupError:
                return  # it has no effect there
            except StepError as error:
                todo = f"machine {machine} has that version: `--this-version` saves it for one"
                raise patch_errors.of_step(error, cpv, todo) from error


def write(path: Path, content: bytes) -> None:
    """Write a patch, whole or not at all. Raises ConfigError."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
