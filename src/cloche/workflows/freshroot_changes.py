"""What was done in a kept freshroot: packages, files, /etc/portage, the world file.

The top is untrusted: names are looked up without following links, and only regular files are read.
Call these while nobody has the root open.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.layers import Merged
from cloche.layers.compare import differences
from cloche.layers.merge import Node, open_node
from cloche.output.holdings import Difference, Held, How, between
from cloche.plan.names import cp_of
from cloche.store import Store
from cloche.workflows.freshroot_kept import Kept, layers_of
from cloche.workflows.freshroot_owners import is_generated, owners

#: What Portage and programs leave that is no one's work.
NOISE: Final = (
    *("var/db/pkg", "var/cache", "var/tmp", "var/log", "var/lib/portage", "tmp", "run"),
    *("root/.bash_history", "etc/ld.so.cache"),
)
ETC: Final = "etc/portage"
LINK: Final = b"\0-> "
_LARGEST: Final = 4 << 20  # bytes of a file that is read
_LARGEST_LIST: Final = 64 << 20  # of a package's list of files
_VDB: Final = b"var/db/pkg"


@dataclass(frozen=True, slots=True)
class Changes:
    """How a root differs from what it stands on. Files are paths below /, sorted.

    ``owners`` are the packages of those that packages brought or took away: others are the user's.
    """

    packages: tuple[Difference, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    owners: Mapping[str, str]

    @property
    def files(self) -> tuple[tuple[How, str], ...]:
        """All files, each with what was done to it."""
        kinds: tuple[tuple[How, tuple[str, ...]], ...] = (
            ("added", self.added),
            ("changed", self.changed),
            ("removed", self.removed),
        )
        return tuple((how, name) for how, names in kinds for name in names)


@dataclass(frozen=True, slots=True)
class Views:
    """A root before and after: what it stands on, and with its top."""

    before: Merged
    after: Merged
    top: Path

    def text(self, name: str) -> str:
        """The text of a file as it is now; empty if there is none."""
        node = self.after.lookup(os.fsencode(name))
        return "" if node is None else content(node).decode("utf-8", "replace")


def views(store: Store, found: Kept) -> Views:
    """The two views of a kept root. Raises StoreError, LayerError."""
    bottom, layers = layers_of(store, found.about)
    below = [each.path for each in (*bottom, *layers)]
    top = [found.top] if found.top.is_dir() else []  # it was never opened
    return Views(Merged(below), Merged([*below, *top]), found.top)


def changes(view: Views) -> Changes:
    """All the differences."""
    kinds: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for name in sorted(set(written(view, noise=NOISE))):
        old, new = (each.lookup(os.fsencode(name)) for each in (view.before, view.after))
        if new is not None and is_generated(new):
            continue
        if new is None:
            kinds["removed"] += [name] if old is not None else []
        elif old is None:
            kinds["added"] += [name]
        elif next(differences(new, old), None) is not None:
            kinds["changed"] += [name]
    before, after = (packages(each) for each in (view.before, view.after))
    present, past = _contents(view.after), _contents(view.before)
    came = owners(view.after, present, [*kinds["added"], *kinds["changed"]])
    gone = {name: text for name, text in past.items() if present.get(name) != text}
    went = owners(view.before, gone, kinds["removed"])
    added, changed, removed = (tuple(each) for each in kinds.values())
    return Changes(between(before, after), added, changed, removed, {**went, **came})


def written(view: Views, below: str = "", noise: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of all files in which the views may differ: written, deleted, or hidden."""
    todo = [below]
    while todo:
        name = todo.pop()
        if name in noise:
            continue
        try:
            info = (view.top / name).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        path = os.fsencode(name)
        old = view.before.lookup(path)
        if not stat.S_ISDIR(info.st_mode):
            yield name
        else:
            todo += [f"{name}/{each}".lstrip("/") for each in _names(view.top / name)]
            new = view.after.lookup(path)
            if old is not None and new is not None and len(new.parts) == 1:  # opaque
                yield from _files(view.before, old)
        if old is not None and old.is_directory and not stat.S_ISDIR(info.st_mode):
            yield from _files(view.before, old)


def _names(directory: Path) -> list[str]:
    with os.scandir(directory) as found:
        return [entry.name for entry in found]


def _files(view: Merged, directory: Node) -> Iterator[str]:
    for node in view.walk(directory):
        if not node.is_directory:
            yield os.fsdecode(node.path)


def packages(view: Merged) -> dict[str, Held]:
    """What is installed, by name."""
    found = {}
    for node in _entries(view):
        cpv = os.fsdecode(node.path.removeprefix(_VDB + b"/"))
        fields = {name: _field(view, node, name) for name in ("SLOT", "USE", "IUSE", "repository")}
        cp, slot = cp_of(cpv), fields["SLOT"].partition("/")[0]
        flags = {flag.lstrip("+-") for flag in fields["IUSE"].split()}
        use = tuple(sorted(flags & set(fields["USE"].split())))
        version, repo = cpv[len(cp) + 1 :], fields["repository"]
        held = Held(cp, slot, version, repo, use, None, None, tuple(sorted(flags)))
        found[held.name] = held
    return found


def _contents(view: Merged) -> dict[str, bytes]:
    """CONTENTS of each package that is installed, by its name and version."""
    found = {}
    for node in _entries(view):
        listed = view.lookup(node.path + b"/CONTENTS")
        if listed is not None and stat.S_ISREG(listed.info.st_mode):
            with open_node(listed) as file:
                found[os.fsdecode(node.path.removeprefix(_VDB + b"/"))] = file.read(_LARGEST_LIST)
    return found


def unmerged(view: Views) -> tuple[str, ...]:
    """Names of packages that were there before, and are in no version now."""
    before, after = (
        {each.cp for each in packages(one).values()} for one in (view.before, view.after)
    )
    return tuple(sorted(before - after))


def _entries(view: Merged) -> Iterator[Node]:
    top = view.lookup(_VDB)
    for category in view.children(top) if top is not None and top.is_directory else ():
        for node in view.children(category) if category.is_directory else ():
            if node.is_directory and not node.path.rpartition(b"/")[2].startswith(b"-MERGING-"):
                yield node


def _field(view: Merged, entry: Node, name: str) -> str:
    node = view.lookup(entry.path + b"/" + name.encode())
    return "" if node is None else content(node).decode("utf-8", "replace").strip()


def content(node: Node) -> bytes:
    """The content of a regular file, empty for anything else."""
    if not stat.S_ISREG(node.info.st_mode):
        return b""
    fd = os.open(node.origin, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, _LARGEST)
    finally:
        os.close(fd)


def portage_files(view: Views) -> Mapping[str, bytes | None]:
    """Files below /etc/portage that differ, by their names there; None for those that are gone."""
    found: dict[str, bytes | None] = {}
    for name in sorted(set(written(view, ETC))):
        old, new = (each.lookup(os.fsencode(name)) for each in (view.before, view.after))
        now, before = (None if each is None else _said(each) for each in (new, old))
        if now != before:
            found[name.removeprefix(f"{ETC}/")] = now
    return found


def _said(node: Node) -> bytes:
    """The content of a file; of a link, its target after a byte that no text begins with."""
    if stat.S_ISLNK(node.info.st_mode):
        return LINK + os.fsencode(Path(os.fsdecode(node.origin)).readlink())
    return content(node)


def world(view: Views) -> tuple[str, ...]:
    """The atoms of the world file as it is now."""
    lines = (line.strip() for line in view.text("var/lib/portage/world").splitlines())
    return tuple(line for line in lines if line and not line.startswith(("#", "@")))
