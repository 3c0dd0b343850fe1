"""`cloche patch try`: builds one package with the change of its work tree, and keeps no result."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.building import patching
from cloche.building.patching import Change, Ready, StaleTrialError, Trial
from cloche.session.session import Session
from cloche.tasks.errors import StepError
from cloche.workflows import diffs, patch_errors, patch_names
from cloche.workflows.patch_package import Chosen, chosen, digests
from cloche.workflows.patch_trials import reason_to_start_over
from cloche.workflows.work_tree import Changed, Note, WorkTree

_NAME = "try"


@dataclass(frozen=True, slots=True)
class Tried:
    """A build that worked. ``tests`` is "ran", "restricted" (by the ebuild) or "none".

    ``anew`` says why it did not go on from the last one; "" if it did.
    """

    tree: WorkTree
    changed: bool
    anew: str
    tests: str
    seconds: float


def attempt(session: Session, tree: WorkTree, *, clean: bool, tests: bool) -> Tried:
    """Build the package of a work tree with its change. Raises ClocheError."""
    note = tree.note()
    began = time.monotonic()
    with chosen(session, f"={note.cpv}", note.machine) as found:
        check_current(found, note, tree)
        now = tree.tree()
        diff = tree.diff(note.tip, now)
        ready = found.ready()
        trial = Trial(ready.key, now)
        before = patching.last_trial(found.builder.context, found.package)
        try:
            anew, result = _built(found, ready, tree, note, trial, before, diff, clean, tests)
        except StepError as error:
            names = [name for name, _ in found.patches]
            todo = patch_names.advice(note.cpv, [patch_names.next_name(_NAME, names)], names)
            raise patch_errors.of_step(error, note.cpv, todo) from error
    return Tried(tree, bool(diff), anew, str(result["tests"]), time.monotonic() - began)


def check_current(found: Chosen, note: Note, tree: WorkTree) -> None:
    """See that the work tree is of the present patches, and in no conflict. Raises ClocheError."""
    if note.rebasing:
        raise patch_errors.unfinished(note.cpv, note.conflict)
    if [*digests(found.patches).values()] != [*note.applied.values()]:  # names may change
        raise patch_errors.other_patches(note.cpv)
    check_resolved(note, tree)


def check_resolved(note: Note, tree: WorkTree) -> None:
    """See that no changed file has marks of a conflict. Raises ClocheError."""
    marked = []
    for each in tree.changed(note.tip, tree.tree()):
        if each.is_plain and each.new_mode != "000000":
            old = b"" if each.old_mode == "000000" else tree.content(each.old)
            if diffs.marked(tree.content(each.new)) and not diffs.marked(old):
                marked.append(each.path)
    if marked:
        raise patch_errors.unresolved(note.cpv, marked)


def _built(
    found: Chosen,
    ready: Ready,
    tree: WorkTree,
    note: Note,
    trial: Trial,
    before: Trial | None,
    diff: bytes,
    clean: bool,
    tests: bool,
) -> tuple[str, Mapping[str, object]]:
    """Continue from the last trial or start anew; returns why anew, and the guest's answer."""
    changed = tree.changed(before.tree, trial.tree) if before else ()
    anew = _why_anew(trial, before, changed, clean=clean)
    if anew is None:
        with found.builder.context.store.workspace("changed") as files:
            _export(tree, changed, files)
            changes = tuple(Change(each.path, _digest(tree, each)) for each in changed)
            try:
                again = patching.build_again(
                    ready, note.directory, changes, files, trial, tests=tests
                )
                return "", again
            except StaleTrialError as error:
                anew = str(error)
    patching.forget_trial(found.builder.context, found.package)
    names = [name for name, _ in found.patches]
    where = patch_names.place(found.cpv, this_version=True)
    patches = {f"{where}/{patch_names.next_name(_NAME, names)}": diff} if diff else {}
    return anew, patching.build_anew(ready, patches, trial, tests=tests)


def _why_anew(
    trial: Trial, before: Trial | None, changed: tuple[Changed, ...], *, clean: bool
) -> str | None:
    if clean:
        return "as asked for"
    if before is None:
        return "there is no earlier try"
    if before.key != trial.key:
        return "its ebuild or what it is built with is another"
    return reason_to_start_over(changed)


def _export(tree: WorkTree, changed: tuple[Changed, ...], files: Path) -> None:
    """Write the new contents of changed files to a directory."""
    for each in changed:
        if each.new_mode != "000000":
            path = files / each.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tree.content(each.new))
            path.chmod(0o755 if each.new_mode == "100755" else 0o644)


def _digest(tree: WorkTree, each: Changed) -> str | None:
    """SHA-256 of what the last trial has of a file; None if it has nothing."""
    if each.old_mode == "000000":
        return None
    return hashlib.sha256(tree.content(each.old)).hexdigest()
