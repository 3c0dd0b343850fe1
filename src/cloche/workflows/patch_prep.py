"""`cloche patch prep`: a package's source as user patches find it, as a work tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloche.building import patching
from cloche.building.patching import Ready
from cloche.building.rejected import refused
from cloche.session.session import Session
from cloche.store import remove_tree
from cloche.workflows import patch_errors
from cloche.workflows.git import Git
from cloche.workflows.patch_headers import subject_of
from cloche.workflows.patch_package import Chosen, chosen, digests
from cloche.workflows.work_tree import Note, WorkTree, clear, make_place, place


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new work tree, with the names of the patches that are applied in it.

    It is ``empty`` if the package unpacks nothing.
    """

    tree: WorkTree
    machine: str
    patches: tuple[str, ...]
    empty: bool


def prep(session: Session, atom: str, machine: str | None, *, force: bool = False) -> Prepared:
    """Lay out a package's source, with the saved patches applied. Raises ClocheError."""
    Git.check()
    with chosen(session, atom, machine) as found:
        tree = place(session.project, found.package.category, found.package.pf)
        clear(tree, force=force)
        ready = found.ready()
        laid_out(found, ready, tree)
        try:
            note = with_patches(found, ready, tree, found.patches)
        except BaseException:
            remove_tree(tree.path)
            raise
        patching.forget_trial(found.builder.context, found.package)
    empty = not tree.git("ls-tree", note.base)
    return Prepared(tree, found.machine, tuple(note.applied), empty)


def laid_out(found: Chosen, ready: Ready, tree: WorkTree) -> None:
    """Unpack and prepare, and make the work tree of that, without user patches."""
    package = found.package
    with found.builder.context.store.workspace("patch") as workspace:
        try:
            source = patching.source(ready, workspace)
        except LookupError as error:
            raise patch_errors.no_user_patches(package.cpv, package.eapi) from error
        make_place(tree)
        try:
            content = tree.fill(source)
            text = f"{package.cpv} as user patches find it\n"
            base = tree.git.commit(content, text, None)
        except BaseException:
            remove_tree(tree.path)
            raise
        top = workspace / "tmp" / ready.work
        directory = str(source.relative_to(top))
    tree.write(Note(package.cpv, package.repo, found.machine, directory, base, base, {}))


def with_patches(
    found: Chosen, ready: Ready, tree: WorkTree, patches: Sequence[tuple[str, bytes]]
) -> Note:
    """Apply the saved patches, each as a commit of its own. Raises ClocheError."""
    note = tree.note()
    tip = note.tip
    for name, content in patches:
        done = patching.apply(ready, tree.path, content, merge=False)
        if not done.fits:
            cp, version = found.package.cp, found.package.version
            todo = f"`cloche patch rebase {cp} {version}` brings it there"
            hunks = refused(done.said)
            raise patch_errors.does_not_apply(name, found.package.cpv, hunks, todo)
        tip = tree.git.commit(tree.git.tree(), f"{subject_of(content) or name}\n\n{name}\n", tip)
    note = Note(note.cpv, note.repo, note.machine, note.directory, note.base, tip, digests(patches))
    tree.write(note)
    return note
