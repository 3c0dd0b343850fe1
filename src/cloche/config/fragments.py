"""Merging a machine's fragments into the files of one ``/etc/portage``, as pure data.

Portage reads directories in place of most of its files, in sorted order, so each fragment keeps
its files apart under a number: ``package.use/00-base``, ``package.use/01-desktop/games``. What can
only be one file (``bashrc``, ``env/NAME``) may come from two fragments if they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config import contradictions, makeconf
from cloche.config.errors import (
    ConfigError,
    Origin,
    contradiction,
    nearest,
)
from cloche.config.files import decode, names, read_tree
from cloche.config.machine import Fragment, Machine
from cloche.config.makeconf import words

# Files that portage(5) lets be directories.
STACKED: Final = words(
    "make.conf package.accept_keywords package.keywords package.accept_restrict package.env"
    " package.license package.mask package.unmask package.properties package.use sets.conf"
)
# The same below profile/, the user's own profile. make.defaults is not among them: of two files,
# the later one's USE would silently replace the earlier one's.
PROFILE_STACKED: Final = words(
    "package.bashrc package.mask package.provided package.unmask package.use package.use.force"
    " package.use.mask package.use.stable package.use.stable.force package.use.stable.mask packages"
    " use.force use.mask use.stable.force use.stable.mask package.accept_keywords"
    " package.keywords"
)
# Copied as they are; two fragments must agree about each file.
SINGLE: Final = words(
    "bashrc categories color.map env hooks license_groups mirrors modules patches profile"
    " savedconfig sets suidctl.conf"
)
REFUSED: Final[Mapping[str, str]] = {
    "repos.conf": "cloche writes it from [repos.NAME] of cloche.toml",
    "make.profile": "cloche makes it from `profile` of the machine's file",
    "binrepos.conf": "binary packages come from cloche's store",
    "postsync.d": "repositories are not synced inside a sandbox",
    "repo.postsync.d": "repositories are not synced inside a sandbox",
    "gnupg": "keys are not part of a machine's configuration",
    "package.provided": "Portage reads it in profile/ only: move it to profile/package.provided",
}
KNOWN: Final = STACKED | SINGLE | REFUSED.keys()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a fragment: its place below /etc/portage, its own path, its content."""

    name: str
    path: Path
    content: bytes


def read_fragment(fragment: Fragment, root: Path) -> tuple[SourceFile, ...]:
    """All files of a fragment in Portage's order. Raises `ConfigError`."""
    found = []
    for name in names(fragment.directory):
        _check_top(name, fragment.directory / name)
        for relative, path, content in read_tree(fragment.directory / name, root):
            full = f"{name}/{relative}" if relative else name
            found.append(SourceFile(full, path, content))
    return tuple(found)


def _check_top(name: str, path: Path) -> None:
    """Refuse what cloche writes itself, and what Portage would never read."""
    if name in REFUSED:
        raise ConfigError(Origin(path), f"{name} in a fragment", REFUSED[name])
    if name not in KNOWN:
        close = nearest(name, KNOWN - REFUSED.keys())
        raise ConfigError(
            Origin(path),
            f"Portage reads no file called “{name}”",
            f"did you mean “{close}”?" if close else "see portage(5) for the names it reads",
        )


def merge(fragments: Iterable[tuple[str, tuple[SourceFile, ...]]]) -> dict[str, bytes]:
    """The files of /etc/portage, from fragments in order, each as its name and its files.

    Raises `ConfigError` where two fragments cannot both be meant, `ConfigError` and
    `ConfigError` for what may not stand in them.
    """
    ordered = tuple(fragments)
    contradictions.check([(name, _texts(files)) for name, files in ordered])
    width = max(2, len(str(len(ordered))))
    tree: dict[str, bytes] = {}
    origin: dict[str, Path] = {}
    for index, (fragment, files) in enumerate(ordered):
        for file in files:
            target = _target(file.name, f"{index:0{width}}-{fragment}")
            if tree.setdefault(target, file.content) != file.content:
                raise contradiction(
                    Origin(file.path), Origin(origin[target]), file.name, "one thing", "another"
                )
            origin.setdefault(target, file.path)
    tree.update(_joints(ordered, width))
    _check_shape(tree, origin)
    return tree


def _target(name: str, label: str) -> str:
    """Where a fragment's file goes, below /etc/portage."""
    parts = name.split("/")
    for depth, stacked in ((0, STACKED), (1, PROFILE_STACKED)):
        below = depth == 0 or parts[0] == "profile"
        if below and len(parts) > depth and parts[depth] in stacked:
            return "/".join((*parts[: depth + 1], label, *parts[depth + 1 :]))
    return name


def _texts(files: tuple[SourceFile, ...]) -> tuple[tuple[str, Path, str], ...]:
    """The files whose lines matter to `contradictions`: (name of the kind, path, text)."""
    return tuple(
        (kind, file.path, decode(file.content, file.path))
        for file in files
        if (kind := file.name.split("/")[0]) in STACKED
    )


def _joints(
    ordered: tuple[tuple[str, tuple[SourceFile, ...]], ...], width: int
) -> dict[str, bytes]:
    """Files around a fragment's make.conf that let incremental variables add up.

    Portage's parser knows no incrementals inside make.conf: a second ``USE="b"`` replaces the first
    ``USE="a"`` without a word (getconfig updates one dict). So what earlier fragments said is put
    aside before, and put in front again after; variables that begin with ``__`` are local to
    make.conf. The fragment's own file stays as it is, so that Portage's messages name its lines.
    """
    tree = {}
    earlier: set[str] = set()
    for index, (fragment, files) in enumerate(ordered):
        last: dict[str, bool] = {}
        for kind, path, text in _texts(files):
            if kind == "make.conf":
                for item in makeconf.parse(text, path):
                    last[item.name] = last.get(item.name, False) or item.refers_to_itself
        joined = sorted(
            name
            for name, builds_on in last.items()
            if name in makeconf.INCREMENTALS & earlier and not builds_on
        )
        if joined:
            # “00--before” sorts in front of “00-NAME”, whatever the name begins with.
            number = f"{index:0{width}}"
            before = "".join(f'__CLOCHE_{name}="${{{name}}}"\n' for name in joined)
            after = "".join(f'{name}="${{__CLOCHE_{name}}} ${{{name}}}"\n' for name in joined)
            tree[f"make.conf/{number}--before"] = before.encode()
            tree[f"make.conf/{number}-{fragment}+after"] = after.encode()
        earlier |= last.keys()
    return tree


def _check_shape(tree: Mapping[str, bytes], origin: Mapping[str, Path]) -> None:
    """Refuse a name that is a file in one fragment and a directory in another."""
    for name in tree:
        parts = name.split("/")
        for end in range(1, len(parts)):
            parent = "/".join(parts[:end])
            if parent in tree:
                raise contradiction(
                    Origin(origin[name]), Origin(origin[parent]), parent, "a directory", "a file"
                )


def machine_files(machine: Machine) -> dict[str, bytes]:
    """Everything of a machine that goes below /etc/portage, but for what a seed or repository adds.

    Its fragments merged, the project's ``sets/`` and ``patches/``. Raises `ConfigError`.
    """
    parts = [(part.name, read_fragment(part, machine.root)) for part in machine.fragments]
    tree = merge(parts)
    paths = {file.name: file.path for _, files in parts for file in files}
    own = [
        SourceFile(f"sets/{name}", machine.root / "sets" / name, item.content)
        for name, item in machine.set_files.items()
    ]
    patches = machine.root / "patches"
    if patches.exists():
        for relative, path, content in read_tree(patches, machine.root):
            if not relative:
                raise ConfigError(Origin(path), "not a directory", "patches go below it")
            # A README among the patches is for people; Portage applies *.patch and *.diff.
            if relative.endswith((".patch", ".diff")):
                own.append(SourceFile(f"patches/{relative}", path, content))
    for file in own:
        if tree.setdefault(file.name, file.content) != file.content:
            raise contradiction(
                Origin(file.path), Origin(paths[file.name]), file.name, "one thing", "another"
            )
    return tree


def machine_sources(machine: Machine) -> dict[str, Path]:
    """Where each file of a machine's /etc/portage comes from, by its path there.

    Raises `ConfigError`. What cloche writes itself is not among them.
    """
    fragments = machine.fragments
    width = max(2, len(str(len(fragments))))
    found = {}
    for index, fragment in enumerate(fragments):
        for file in read_fragment(fragment, machine.root):
            found[_target(file.name, f"{index:0{width}}-{fragment.name}")] = file.path
    patches = machine.root / "patches"
    if patches.is_dir():
        for relative, path, _ in read_tree(patches, machine.root):
            found[f"patches/{relative}"] = path
    return found
