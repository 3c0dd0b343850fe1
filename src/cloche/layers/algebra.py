"""Operations on trees: flatten a stack, merge several layers, subtract a stack from a tree.

They do not change their inputs. The results are new trees of hard links or copies. Stacks are
listed bottom first, as everywhere.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cloche.layers.capture import CaptureReport
from cloche.layers.compare import differences
from cloche.layers.copying import Content, Farm
from cloche.layers.errors import refuse_within
from cloche.layers.merge import Merged, Node, is_opaque, is_whiteout, listing, merging
from cloche.layers.patterns import Matcher, matcher


def flatten(
    lowers: Sequence[Path],
    destination: Path,
    *,
    link: bool = True,
    content: Content | None = None,
) -> int:
    """Make one tree from a stack, and return the number of its names.

    ``destination`` must be missing or empty. Files are hard links to those of the layers, so the
    tree must never be written to; without ``link``, and where links are not possible (another file
    system, too many of them), they are copies with the same attributes and times, made by
    ``content`` if given. The lowest of ``lowers`` must be the bottom of a root: whiteouts and
    opaque marks have nothing left to hide, and are left out.
    """
    refuse_within(destination, lowers)
    farm = Farm(destination, link=link, content=content)
    count = 0
    for node in Merged(lowers).walk():
        farm.add(node)
        count += 1
    farm.finish()
    return count


def merge_layers(layers: Sequence[Path], destination: Path, *, link: bool = True) -> int:
    """Make one layer that is equivalent to ``layers`` over any other ones.

    As `flatten`, but what the layers hide of those below them stays hidden: whiteouts stay, and a
    directory that replaces something is opaque. Returns the number of names.
    """
    refuse_within(destination, layers)
    farm = Farm(destination, link=link)
    root = Merged(layers).root
    count = 0 if root is None else _merge(farm, root)
    farm.finish()
    return count


def _merge(farm: Farm, root: Node) -> int:
    """Merge all directories, each after the one that it is in."""
    count = 0
    waiting = [(root, False)]  # True where nothing that lies below the layers can be seen
    while waiting:
        directory, hidden = waiting.pop()
        farm.add(directory)
        count += 1
        for path, candidates in listing(directory):
            top = candidates[0]
            node = Node(path, *top, tuple(merging(candidates)))
            if node.is_directory:
                ended = len(node.parts) < len(candidates) or is_opaque(node.parts[-1])
                if ended and not hidden:
                    farm.opaque(path)
                waiting.append((node, hidden or ended))
            elif not (hidden and is_whiteout(top[1])):
                farm.add(node)  # a whiteout as it is: its times and links count in an exact digest
                count += 1
    return count


def subtract(
    tree: Path | Sequence[Path],
    stack: Sequence[Path],
    destination: Path,
    *,
    drop: Sequence[str] = (),
    link: bool = False,
) -> CaptureReport:
    """Make the layer that, put over ``stack``, gives ``tree`` (a tree, or a stack of its own).

    It holds what is new or different in the tree (times do not count), the directories above that,
    and a whiteout for each name that the tree lacks; never an opaque mark, so it hides nothing
    else. Equal trees and stacks give equal layers, however the tree was made. Names that are one
    inode in the tree are one in the root, too.

    ``destination`` must be missing or empty. ``drop`` are patterns of paths (see `patterns`) that
    the layer leaves out. With ``link`` its files are hard links to those of the tree, which must
    not be written to afterwards. Raises OSError, and `LayerError`.
    """
    refuse_within(destination, [*([tree] if isinstance(tree, Path) else tree), *stack])
    difference = _Difference(tree, stack, matcher(drop, below=True))
    farm = Farm(destination, link=link)
    for path in sorted(difference.kept | difference.gone):
        if path in difference.gone:
            farm.hide(path)
        else:
            farm.add(difference.mine[path])
    farm.finish()
    return CaptureReport(
        kept=len(difference.kept) - 1 + len(difference.gone),
        dropped=tuple(map(os.fsdecode, difference.dropped)),
        unchanged=len(difference.mine) - len(difference.kept),
        deleted=tuple(map(os.fsdecode, sorted(difference.gone))),
    )


class _Difference:
    """What has to be in a layer: ``kept`` are paths of the tree, ``gone`` those to hide."""

    def __init__(self, tree: Path | Sequence[Path], stack: Sequence[Path], drop: Matcher) -> None:
        nodes = Merged([tree] if isinstance(tree, Path) else tree).walk()
        self.mine: dict[bytes, Node] = {}
        self.dropped: list[bytes] = []  # the topmost of each subtree
        for node in nodes:
            if not drop(node.path):
                self.mine[node.path] = node
            elif _above(node.path) in self.mine:
                self.dropped.append(node.path)
        self.theirs = {node.path: node for node in Merged(stack).walk()}
        self.kept = {path for path, node in self.mine.items() if self._news(path, node)}
        self._keep_links()
        self._leave_out_empty()
        self.gone = {
            path
            for path in self.theirs
            if path not in self.mine and self._directory(_above(path)) and not drop(path)
        }
        self._keep_ways()

    def _directory(self, path: bytes) -> bool:
        return path in self.mine and self.mine[path].is_directory

    def _news(self, path: bytes, node: Node) -> bool:
        other = self.theirs.get(path)
        return other is None or next(differences(node, other), None) is not None

    def _keep_links(self) -> None:
        """Keep all names of an inode where the stack could not show them as one.

        Two layers cannot share an inode; and what is one inode in the stack and two in the tree
        stays the stack's for the first of the two only.
        """
        mine, theirs = _groups(self.mine), _groups(self.theirs)
        for group in set(mine.values()):
            stays = [path for path in group if path not in self.kept]
            if len(stays) < len(group) or len({theirs.get(path, path) for path in stays}) > 1:
                self.kept.update(group)
        for group in set(theirs.values()):
            stays = [path for path in group if path in self.mine and path not in self.kept]
            for path in stays:
                other = mine.get(path, (path,))
                if stays[0] not in other:
                    self.kept.update(other)

    def _leave_out_empty(self) -> None:
        """Leave out new directories that hold only what was dropped."""
        holds = Counter(_above(path) for path in self.kept if path)
        emptied = {_above(path) for path in self.dropped}
        for path in sorted(self.kept, reverse=True):
            if path in emptied and not holds[path] and path not in self.theirs:
                self.kept.discard(path)
                holds[_above(path)] -= 1
                emptied.add(_above(path))

    def _keep_ways(self) -> None:
        """Keep the directories above what is kept and what is gone."""
        for path in self.kept | self.gone:
            while path := _above(path):
                self.kept.add(path)
        self.kept.add(b"")


def _above(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _groups(nodes: dict[bytes, Node]) -> dict[bytes, tuple[bytes, ...]]:
    """For each name that shares its inode with others of the tree: all of them, in order."""
    inodes: dict[tuple[int, int], list[bytes]] = {}
    for path, node in nodes.items():
        if node.info.st_nlink > 1 and not node.is_directory:
            inodes.setdefault((node.info.st_dev, node.info.st_ino), []).append(path)
    return {path: tuple(group) for group in inodes.values() if len(group) > 1 for path in group}
