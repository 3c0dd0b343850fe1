"""Work trees of packages: ``work/CATEGORY/PF`` of a project, a git repository each, with a note.

The note (``.git/cloche.json``) says what the tree was made of. The tree's files are untrusted, and
nothing of them is ever executed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cloche.archives.extraction import ImportOptions
from cloche.archives.tarball import import_directory
from cloche.config.errors import unwritable
from cloche.config.project import Project
from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.store import remove_tree
from cloche.workflows import diffs
from cloche.workflows.git import Git

WORK = "work"
_NOTE = "cloche.json"
_IGNORED = ".git"


class Pending(msgspec.Struct, frozen=True):
    """A patch of another version that a rebase has yet to bring in; ``name`` below /etc/portage."""

    name: str
    path: str


class Brought(msgspec.Struct, frozen=True):
    """A patch that a rebase has brought in: how ("fits", "changed", "left out"), as which commit.

    ``header`` is the text above a changed one.
    """

    name: str
    path: str
    how: str
    commit: str
    header: bytes = b""


class Note(msgspec.Struct, frozen=True):
    """What a work tree was made of.

    ``directory`` is that of the sources below WORKDIR, ``base`` the commit of the sources without
    user patches, ``tip`` the last commit of ours. ``applied`` are the patches between, by base
    name, with their digests. Of a rebase, ``brought`` are patches that have come through, and
    ``pending`` those to come, the first of them in a conflict unless it is ``untried``. ``ended``
    are those of a rebase that has come to its end, as long as nothing else is saved.
    """

    cpv: str
    repo: str
    machine: str
    directory: str
    base: str
    tip: str
    applied: dict[str, str]
    pending: tuple[Pending, ...] = ()
    brought: tuple[Brought, ...] = ()
    untried: bool = False
    ended: tuple[Brought, ...] = ()

    @property
    def rebasing(self) -> bool:
        """Whether a rebase has not ended: what it has done is then nowhere else."""
        return bool(self.pending or self.brought)

    @property
    def conflict(self) -> str | None:
        """The patch of a rebase that is in a conflict."""
        return None if self.untried or not self.pending else Path(self.pending[0].name).name


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A work tree on disk."""

    path: Path

    @property
    def git(self) -> Git:
        """Its repository."""
        return Git(self.path)

    @property
    def name(self) -> str:
        """CATEGORY/PF, as its place says."""
        return f"{self.path.parent.name}/{self.path.name}"

    def note(self) -> Note:
        """What it was made of. Raises ClocheError."""
        try:
            found = msgspec.json.decode((self.git.repository / _NOTE).read_bytes(), type=Note)
        except (OSError, *NOT_DECODABLE) as error:
            raise self._unusable("it is not a work tree of `cloche patch prep`") from error
        if found.cpv != self.name:
            raise self._unusable(f"it was made of {found.cpv}")
        if not all(map(self.git.has, (found.base, found.tip))):
            raise self._unusable("its repository has lost the commits that it was made with")
        return found

    def write(self, note: Note) -> None:
        """Note what it is made of now."""
        (self.git.repository / _NOTE).write_bytes(msgspec.json.encode(note))

    def fill(self, source: Path) -> str:
        """Copy untrusted sources there, as the user's own files; their tree in git."""
        import_directory(source, self.path, ImportOptions(devices="skip"))
        _make_own(self.path)
        self.git.start()
        return self.git.tree()

    def tree(self) -> str:
        """The tree of its files now, without what editors leave beside them."""
        return self.git.tree(without=diffs.LEFTOVERS)

    def diff(self, old: str, new: str) -> bytes:
        """The difference of two trees or commits as a patch, always the same bytes."""
        words = (
            "diff-tree", "-r", "-p", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
            "--no-indent-heuristic", "--diff-algorithm=myers", "--unified=3", "--full-index",
            "--src-prefix=a/", "--dst-prefix=b/", old, new,
        )  # fmt: skip
        return diffs.minimal(self.git(*words))

    def changed(self, old: str, new: str) -> tuple[Changed, ...]:
        """The files in which two trees or commits differ."""
        words = self.git("diff-tree", "-r", "-z", "--no-renames", old, new).split(b"\0")
        pairs = zip(words[:-1:2], words[1::2], strict=True)
        return tuple(
            Changed(os.fsdecode(name), *head.decode()[1:].split()[:4]) for head, name in pairs
        )

    def restore(self, commit: str) -> None:
        """Give all files the content that a commit has, and remove others."""
        self.tree()
        own = {"GIT_INDEX_FILE": str(self.git.repository / "cloche.index")}
        self.git("read-tree", "--reset", "-u", commit, more=own)
        self.git("read-tree", commit)

    def content(self, id: str) -> bytes:
        """The content of a file, by its id in git."""
        return self.git("cat-file", "blob", id)

    def _unusable(self, what: str) -> ClocheError:
        category, _, pf = self.name.partition("/")
        todo = f"remove it, then `cloche patch prep ={category}/{pf}`"
        return ClocheError(what, where=self.path, todo=todo)


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that differs: modes as git has them (octal), and ids of the content."""

    path: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def is_plain(self) -> bool:
        """Whether it is, and was, a regular file if anything."""
        return {self.old_mode, self.new_mode} <= {"000000", "100644", "100755"}


def place(project: Project, category: str, pf: str) -> WorkTree:
    """The work tree of a package, whether it exists or not."""
    return WorkTree(project.root / WORK / category / pf)


def work_trees(project: Project) -> tuple[WorkTree, ...]:
    """All work trees of a project."""
    found = sorted((project.root / WORK).glob("*/*/.git"))
    return tuple(WorkTree(each.parent) for each in found)


def find(project: Project, atom: str | None, here: Path) -> WorkTree:
    """The work tree that is meant; see `find_among`. Raises ClocheError."""
    return find_among(work_trees(project), atom, here)


def find_among(found: Sequence[WorkTree], atom: str | None, here: Path) -> WorkTree:
    """The work tree of a package, without ``atom`` the one around ``here``, or the only one.

    Raises ClocheError.
    """
    if atom is not None:
        wanted = atom.lstrip("=").partition("::")[0]
        meant = [each for each in found if wanted in _names_of(each)]
        of = f" of {wanted}"
    else:
        around = [each for each in found if here.resolve().is_relative_to(each.path.resolve())]
        meant, of = around or [*found], ""
    if len(meant) == 1:
        return meant[0]
    if not meant:
        todo = f"`cloche patch prep {atom or 'ATOM'}` makes one"
        raise ClocheError(f"there is no work tree{of}", todo=todo)
    todo = "name one of " + ", ".join(f"={each.name}" for each in meant)
    raise ClocheError(f"there are {len(meant)} work trees{of}", todo=todo)


def _names_of(tree: WorkTree) -> set[str]:
    """What a user may call it: PN or PF, with and without the category."""
    try:
        cpv = split_cpv(tree.name)
    except BadNameError:
        return {tree.name}
    return {cpv.pn, cpv.p, cpv.pf, *(f"{cpv.category}/{each}" for each in (cpv.pn, cpv.p, cpv.pf))}


def clear(tree: WorkTree, *, force: bool) -> None:
    """Remove a work tree to make it again; one with a change or a rebase only with ``force``.

    Raises ClocheError, also for a directory that is no work tree.
    """
    if not tree.path.exists():
        return
    if any(tree.path.iterdir()):
        note = tree.note()
        if not force and (note.rebasing or tree.changed(note.tip, tree.tree())):
            what = "rebase that has not ended" if note.rebasing else "change that is not saved"
            todo = "`cloche patch save`, or `--force` to lose it"
            raise ClocheError(f"it has a {what}", where=tree.path, todo=todo)
    remove_tree(tree.path)


def make_place(tree: WorkTree) -> None:
    """Make the directory of a work tree; git of the project is told to ignore all of them.

    Raises ConfigError.
    """
    ignored = tree.path.parents[1] / ".gitignore"
    try:
        tree.path.mkdir(parents=True, exist_ok=True)
        if not ignored.exists():
            ignored.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(tree.path, error.strerror or str(error)) from error


def _make_own(top: Path) -> None:
    """Give all files to the user, with plain modes; drop special files and other repositories."""
    os.chown(top, os.geteuid(), os.getegid())
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = Path(directory, name)
            info = path.lstat()
            kind = stat.S_IFMT(info.st_mode)
            if name.lower() == _IGNORED or kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                remove_tree(path)
                continue
            os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)
            if kind != stat.S_IFLNK:
                path.chmod(0o755 if kind == stat.S_IFDIR or info.st_mode & 0o111 else 0o644)
        names[:] = [name for name in names if name.lower() != _IGNORED]
