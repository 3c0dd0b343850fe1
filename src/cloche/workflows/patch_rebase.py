"""`cloche patch rebase`: the patches of one version, brought to another one.

Each patch becomes a commit of the new version's work tree. One that does not fit stays there as a
conflict; `go_on` takes it from there. Files are written when all have come through, and the whole
of them applies in the real step. Until then the work tree's note has what was done: whatever ends a
rebase before, `go_on` takes it up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cloche.building import patching
from cloche.building.patching import Ready
from cloche.building.rejected import refused
from cloche.errors import ClocheError
from cloche.portage.cpv import Cpv, split_cpv
from cloche.portage.view import user_patch_files, user_patches
from cloche.session.session import Session
from cloche.workflows import diffs, patch_errors, patch_names
from cloche.workflows.git import Git
from cloche.workflows.patch_headers import Header, subject_of
from cloche.workflows.patch_list import patch_files
from cloche.workflows.patch_package import Chosen, chosen, digests
from cloche.workflows.patch_prep import laid_out
from cloche.workflows.patch_save import check, write
from cloche.workflows.patch_try import check_resolved
from cloche.workflows.work_tree import Brought, Note, Pending, WorkTree, clear, place


@dataclass(frozen=True, slots=True)
class Rebased:
    """A finished rebase: what became of each patch by its name, and the files that it wrote."""

    tree: WorkTree
    outcomes: Mapping[str, str]
    written: tuple[Path, ...]


def rebase(
    session: Session, atom: str, version: str, machine: str | None, *, force: bool = False
) -> Rebased:
    """Bring the patches of the package that an atom means to a version. Raises ClocheError.

    An error about a patch that does not apply leaves the work tree in a conflict.
    """
    Git.check()
    cp, old = _old(session, atom, machine)
    new = split_cpv(f"{cp}-{version}")
    with chosen(session, f"={new}", machine) as found:
        pending = _patches(session, found, old, new)
        tree = place(session.project, found.package.category, found.package.pf)
        clear(tree, force=force)
        ready = found.ready()
        laid_out(found, ready, tree)
        patching.forget_trial(found.builder.context, found.package)
        tree.write(msgspec.structs.replace(tree.note(), pending=pending, untried=True))
        return _bring(found, ready, tree)


def go_on(session: Session, tree: WorkTree, header: Header | None, *, skip: bool) -> Rebased:
    """Take a conflict as resolved, or with ``skip`` leave its patch out, and bring the rest.

    Without a conflict, bring what is left and write the files. Raises ClocheError.
    """
    note = tree.note()
    if note.conflict:
        _resolve(tree, note, header, skip=skip)
    elif skip or header:
        raise patch_errors.no_conflict(note.cpv)
    with chosen(session, f"={note.cpv}", note.machine) as found:
        return _bring(found, found.ready(), tree)


@dataclass(frozen=True, slots=True)
class Reopened:
    """A rebase that went back: to which patch, and the files that are removed, as it wrote them."""

    tree: WorkTree
    patch: str
    removed: tuple[Path, ...]


def go_back(session: Session, tree: WorkTree, *, force: bool) -> Reopened:
    """Go back to the patch that was resolved last: it is in its conflict again.

    What came after it is pending again, and a later conflict starts anew. Files of a rebase that
    has ended are removed. With ``force`` a change is lost that is not saved. Raises ClocheError.
    """
    note = tree.note()
    brought = note.brought or note.ended
    numbers = [n for n, each in enumerate(brought) if each.how != "fits"]
    if not numbers:
        raise patch_errors.nothing_resolved(note.cpv)
    if not force and not note.conflict and tree.changed(note.tip, tree.tree()):
        todo = "undo it, or `--force` to lose it"
        raise ClocheError("it has a change that is not saved", where=tree.path, todo=todo)
    written = _files(tree, _open(note, note.ended), split_cpv(note.cpv)) if note.ended else {}
    for path, content in written.values():
        if path.is_file() and path.read_bytes() != content:
            todo = "remove it, or restore what the rebase wrote"
            raise ClocheError("it has been changed since", where=path, todo=todo)
    last = numbers[-1]
    pending = tuple(Pending(each.name, each.path) for each in brought[last:])
    back = _open(note, brought[:last], (*pending, *note.pending))
    waits, *_ = [_saved(each.path) for each in pending]  # before anything is removed
    with chosen(session, f"={note.cpv}", note.machine) as found:
        ready = found.ready()
        removed = [path for path, _ in written.values() if path.is_file()]
        for path in removed:
            path.unlink()
            with suppress(OSError):  # others are in it
                path.parent.rmdir()
        tree.write(back)
        tree.restore(back.tip)
        patching.apply(ready, tree.path, waits, merge=True)
        tree.write(msgspec.structs.replace(back, untried=False))
    return Reopened(tree, Path(pending[0].name).name, tuple(removed))


def _saved(path: str) -> bytes:
    """The content of a patch of the project. Raises ClocheError if it is gone."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        todo = "restore it: the rebase takes what it brings from there"
        raise ClocheError("this patch of the rebase is gone", where=path, todo=todo) from error


def _open(note: Note, brought: tuple[Brought, ...], pending: tuple[Pending, ...] = ()) -> Note:
    """The note of a rebase that has brought these, and has yet to bring those."""
    tip = brought[-1].commit if brought else note.base
    return msgspec.structs.replace(
        note, brought=brought, pending=pending, ended=(), tip=tip, untried=True
    )


def _resolve(tree: WorkTree, note: Note, header: Header | None, *, skip: bool) -> None:
    """Make a commit of the patch that is in a conflict, or leave it out. Raises ClocheError."""
    first = note.pending[0]
    now = tree.tree()
    if skip:
        tree.restore(note.tip)
        brought = Brought(first.name, first.path, "left out", note.tip)
    else:
        check_resolved(note, tree)
        if not tree.diff(note.tip, now):
            todo = f"`cloche patch save --skip` leaves {Path(first.name).name} out of this version"
            raise ClocheError("the work tree has no change", where=note.cpv, todo=todo)
        content = _saved(first.path)
        text = header.text() if header else diffs.split(content)[0]
        name = Path(first.name).name
        tip = tree.git.commit(now, f"{subject_of(text) or name}\n\n{name}\n", note.tip)
        brought = Brought(first.name, first.path, "changed", tip, text)
    tree.write(_with(note, brought))


def _old(session: Session, atom: str, machine: str | None) -> tuple[str, Cpv | None]:
    """CATEGORY/PN, and the version that an atom names, or that a machine has."""
    if atom.startswith("="):  # it may be in no repository any more
        cpv = split_cpv(atom[1:].partition("::")[0])
        return cpv.cp, cpv
    with chosen(session, atom, machine) as found:
        return found.package.cp, found.cpv


def _patches(session: Session, found: Chosen, old: Cpv | None, new: Cpv) -> tuple[Pending, ...]:
    """The patches of the old version. Raises ClocheError if it has none."""
    etc, slot = found.builder.context.inputs.etc, found.package.slot
    paths = {name: path for path, name in patch_files(session.project).items()}
    names = user_patch_files(etc, old, slot) if old else ()
    if not names:
        stems = sorted(
            {
                name.split("/")[2].partition(":")[0]
                for name in paths
                if name.startswith(f"patches/{new.category}/{new.pn}-")
            }
            - {new.p, new.pf}
        )
        todo = "`cloche patch list` shows all patches"
        if stems:
            where = f"={new.category}/{stems[-1]}"
            todo = f"name the version that has them: `cloche patch rebase {where} {new.version}`"
        raise ClocheError("it has no patches", where=old or new, todo=todo)
    return tuple(Pending(name, str(paths[name])) for name in names)


def _bring(found: Chosen, ready: Ready, tree: WorkTree) -> Rebased:
    """Apply what is pending, patch by patch; write the files. Raises ClocheError."""
    note = tree.note()
    while note.pending:
        first = note.pending[0]
        content = _saved(first.path)
        before = tree.tree()
        try:
            done = patching.apply(ready, tree.path, content, merge=True)
        except BaseException:
            tree.restore(before)  # half of a patch must not pass for a resolution
            raise
        if not done.fits:
            tree.write(msgspec.structs.replace(note, untried=False))
            raise _conflict(tree, note, content, done)
        name = Path(first.name).name
        subject = subject_of(content) or name
        # A change of the user's, after a rebase that ended early, belongs to the patch.
        own = diffs.split(content)[0] if tree.changed(note.tip, before) else None
        how = "fits" if own is None else "changed"
        tip = tree.git.commit(tree.tree(), f"{subject}\n\n{name}\n", note.tip)
        note = _with(note, Brought(first.name, first.path, how, tip, own or b""))
        tree.write(note)
    return _finished(found, ready, tree, note)


def _with(note: Note, brought: Brought) -> Note:
    """The note after the first of the pending patches has come through."""
    return msgspec.structs.replace(
        note,
        pending=note.pending[1:],
        brought=(*note.brought, brought),
        tip=brought.commit,
        untried=True,
    )


def _conflict(tree: WorkTree, note: Note, patch: bytes, done: patching.Applied) -> ClocheError:
    """The error about a patch that does not fit: its hunks, and what to do."""
    name = Path(note.pending[0].name).name
    hunks = refused(done.said)
    if not tree.changed(note.tip, tree.tree()) and "already applied" in done.merged:
        todo = f"{note.cpv} has that change already: `cloche patch save --skip` leaves it out"
    else:
        save = f"`cloche patch save ={note.cpv}`"
        todo = f"resolve it in {tree.path}, then {save} (`--skip` leaves it out)"
    shown = (f"{each}:\n{diffs.hunk_of(patch, each)}" for each in hunks)
    return patch_errors.does_not_apply(name, note.cpv, hunks, todo, "\n\n".join(shown))


def _finished(found: Chosen, ready: Ready, tree: WorkTree, note: Note) -> Rebased:
    """Check all patches in the real step, and write those that are not there as they are."""
    files = _files(tree, note, found.cpv)
    new = {name: content for name, (_, content) in files.items()}
    check(found, ready, tree, new, note.tip, since=note.base)
    for path, content in files.values():
        write(path, content)
    etc = {**found.builder.context.inputs.etc, **new}
    applied = digests(user_patches(etc, found.cpv, found.package.slot))
    outcomes = {Path(each.name).name: each.how for each in note.brought}
    note = msgspec.structs.replace(note, brought=(), ended=note.brought, untried=False)
    tree.write(msgspec.structs.replace(note, applied=applied))
    return Rebased(tree, outcomes, tuple(path for path, _ in files.values()))


def _files(tree: WorkTree, note: Note, cpv: Cpv) -> dict[str, tuple[Path, bytes]]:
    """The files that the new version needs, by their paths below /etc/portage.

    A patch for all versions that fits needs none; an empty file takes one away from this version.
    """
    files: dict[str, tuple[Path, bytes]] = {}
    below = note.base
    for each in note.brought:
        old = Path(each.path)
        stem = each.name.split("/")[2].partition(":")[0]
        where = patch_names.place(cpv, this_version=True)
        if stem == cpv.p:  # another revision of that version
            where += f"-{cpv.pr}"
        name = f"{where}/{old.name}"
        target, for_all = old.parents[3] / name, stem in (cpv.pn, cpv.p)
        if each.how == "changed":
            files[name] = target, each.header + tree.diff(below, each.commit)
        elif each.how == "left out" and for_all:
            files[name] = target, b""
        elif each.how == "fits" and not for_all:
            files[name] = target, _saved(each.path)
        below = each.commit
    return files


def in_words(outcomes: Mapping[str, str]) -> Sequence[str]:
    """A line for each patch."""
    words = {"fits": "applies as it is", "changed": "is changed", "left out": "is left out"}
    return [f"{name} {words[how]}" for name, how in outcomes.items()]
