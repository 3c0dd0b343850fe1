"""Stages results as Gentoo's mirrors have them: STAMP/FILE, latest-VARIANT.txt, current-VARIANT/.

A variant is a file's name up to its date. Only directories whose name is a date are ever removed,
and of these only those in which every file is a result of that date.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import groupby
from pathlib import Path

from cloche.errors import ClocheError, Exit
from cloche.releng.outputs import aside
from cloche.store.locks import held_directory

KEPT = 4  # directories that are kept besides those with the latest of a variant, as on the mirrors
_DATE = r"20\d{6}(?:\d{6}|T\d{6}Z)?"
_STAMP = re.compile(rf"-({_DATE})(?=\.|/|$)")
_DIRECTORY = re.compile(_DATE)
_ARTIFACT = re.compile(
    r"netboot-.*|.*\.(tar|tar\.(xz|bz2|gz|zst|zstd|lzip|lzop|lzma)|sfs|squashfs|iso|qcow2|wsl)"
)
#: The suffixes of files that describe another one; each of these may be signed, too.
_BESIDE = re.compile(r"(\.(CONTENTS(\.gz)?|DIGESTS|sha256|intoto\.json))?(\.asc)?")
#: Lists of several variants, with a part of their files' names.
_LISTS = {"stage3": ".tar", "iso": ".iso", "qcow2": ".qcow2", "wsl": ".wsl"}

Sign = Callable[[Path, Path], None]
"""Writes a text file with a cleartext signature to another one."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that was built; ``beside`` are the files that describe it."""

    path: Path
    variant: str
    stamp: str
    beside: tuple[Path, ...] = ()


def artifacts(directory: Path) -> tuple[Artifact, ...]:
    """The results below a directory. Hidden files are incomplete, and links are not results."""
    found = []
    for path in sorted(directory.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        stamp = _STAMP.search(path.name)
        if hidden or stamp is None or not _is_file(path) or _describes(path):
            continue
        if _ARTIFACT.fullmatch(path.name):
            beside = (each for each in path.parent.glob(f"{_escaped(path.name)}.*"))
            described = tuple(sorted(e for e in beside if _is_file(e) and _belongs(e, path)))
            found.append(Artifact(path, path.name[: stamp.start()], stamp[1], described))
    return tuple(found)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _belongs(path: Path, to: Path) -> bool:
    return bool(_BESIDE.fullmatch(path.name.removeprefix(to.name)))


def _describes(path: Path) -> bool:
    """Whether a file's name is that of one beside it, with a suffix."""
    stem = re.sub(rf"{_BESIDE.pattern}$", "", path.name)
    return stem != path.name and path.with_name(stem).exists()


@contextmanager
def _alone(outgoing: Path) -> Iterator[None]:
    """Hold the directory for a block. Raises ClocheError."""
    with held_directory(outgoing) as free:
        if not free:
            what, todo = "another process is staging or pruning there", "wait for it to finish"
            raise ClocheError(what, where=outgoing, todo=todo, status=Exit.HOST)
        yield


def to_copy(incoming: Path, outgoing: Path) -> Mapping[Path, Path]:
    """The files to copy by their new paths, in order.

    Files that describe another one come before it, so that it is never there without them.
    """
    found: dict[Path, Path] = {}
    for each in artifacts(incoming):
        for path in (*each.beside, each.path):
            place = outgoing / each.stamp / path.name
            if not _is_same(path, place):
                found[place] = path
    return found


def _is_same(one: Path, other: Path) -> bool:
    if not _is_file(other):
        return False
    first, second = one.stat(), other.stat()
    return (first.st_size, int(first.st_mtime)) == (second.st_size, int(second.st_mtime))


def stage(incoming: Path, outgoing: Path, now: float, sign: Sign | None = None) -> tuple[Path, ...]:
    """Copy new files, and bring lists and links up to date; return the files that were written.

    Raises ClocheError, OSError.
    """
    outgoing.mkdir(parents=True, exist_ok=True)
    with _alone(outgoing):
        copies = to_copy(incoming, outgoing)
        for place, path in copies.items():
            place.parent.mkdir(exist_ok=True)
            with aside(place) as new:
                shutil.copyfile(path, new)
                shutil.copystat(path, new)
        return (*copies, *_latest(outgoing, now, sign))


def latest_of(found: Iterable[Artifact]) -> Mapping[str, Artifact]:
    """The latest result of each variant, by its name."""
    ordered = sorted(found, key=lambda each: (each.variant, each.stamp, each.path.name))
    groups = groupby(ordered, lambda each: each.variant)
    return {variant: [*group][-1] for variant, group in groups}


def _staged(outgoing: Path) -> Iterator[Artifact]:
    """The staged results, each in the directory of its date."""
    for directory in _dated(outgoing):
        yield from (each for each in artifacts(directory) if each.stamp == directory.name)


def _dated(outgoing: Path) -> list[Path]:
    return sorted(
        path
        for path in outgoing.iterdir()
        if _DIRECTORY.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def _latest(outgoing: Path, now: float, sign: Sign | None) -> Iterator[Path]:
    """Write the lists and the links of each variant; yield the lists."""
    found = latest_of(_staged(outgoing))
    date = format_datetime(datetime.fromtimestamp(now, UTC))
    head = f"# Latest as of {date}\n# ts={int(now)}\n"
    lines = {variant: _line(each, outgoing) for variant, each in found.items()}
    for variant, each in found.items():
        yield _write(outgoing / f"latest-{variant}.txt", head + lines[variant], sign)
        current = outgoing / f"current-{variant}"
        _link(current, each)
        text = head + lines[variant].removeprefix(f"{each.stamp}/")
        _write(current / f"latest-{variant}.txt", text, sign)
    for name, part in _LISTS.items():
        listed = [lines[v] for v, each in found.items() if part in each.path.name]
        if name == "stage3" and not any(variant.startswith("stage3") for variant in found):
            continue
        if listed:
            yield _write(outgoing / f"latest-{name}.txt", head + "".join(listed), sign)


def _line(each: Artifact, outgoing: Path) -> str:
    return f"{each.path.relative_to(outgoing)} {each.path.stat().st_size}\n"


def _write(file: Path, text: str, sign: Sign | None) -> Path:
    """Write a list, signed if ``sign`` is given; the file gets its name when it is complete."""
    with aside(file) as new:
        if sign is None:
            new.write_text(text)
        else:
            plain = new.with_name(f"{new.name}.txt")
            try:
                plain.write_text(text)
                sign(plain, new)
            finally:
                plain.unlink(missing_ok=True)
        new.chmod(0o644)
    return file


def _link(current: Path, latest: Artifact) -> None:
    """Let the links in a directory be those to the files of a result."""
    if current.is_symlink():  # as earlier scripts made it
        current.unlink()
    current.mkdir(exist_ok=True)
    wanted = {path.name: f"../{latest.stamp}/{path.name}" for path in (latest.path, *latest.beside)}
    for path in current.iterdir():
        if path.is_symlink() and str(path.readlink()) != wanted.get(path.name):
            path.unlink()
    for name, target in wanted.items():
        if not (current / name).is_symlink():
            (current / name).symlink_to(target)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A directory that `prune` removes, with its files; with ``unknown`` names in it, it stays."""

    directory: Path
    files: tuple[Path, ...] = ()
    unknown: tuple[str, ...] = ()


def to_prune(outgoing: Path, keep: int = KEPT) -> tuple[Pruned, ...]:
    """The directories to remove: all but those with the latest of a variant, those that a list or
    a link names, and the ``keep`` newest others.
    """
    needed = {each.stamp for each in latest_of(_staged(outgoing)).values()}
    needed |= {part for text in _published(outgoing) for part in re.split(r"[\s/]+", text)}
    others = [path for path in reversed(_dated(outgoing)) if path.name not in needed]
    return tuple(_pruned(path) for path in others[keep:])


def _published(outgoing: Path) -> Iterator[str]:
    """The texts of the lists, and the targets of the links. They may name an older date, for
    example if somebody has withdrawn the latest.
    """
    yield from (
        file.read_text(errors="replace") for file in outgoing.glob("*.txt") if _is_file(file)
    )
    for path in outgoing.iterdir():
        links = path.iterdir() if path.name.startswith("current-") and path.is_dir() else ()
        yield from (str(each.readlink()) for each in (path, *links) if each.is_symlink())


def _pruned(directory: Path) -> Pruned:
    known = {
        path
        for each in artifacts(directory)
        if each.stamp == directory.name and each.path.parent == directory
        for path in (each.path, *each.beside)
    }
    there = sorted(directory.iterdir())
    unknown = tuple(path.name for path in there if path not in known)
    return Pruned(directory, () if unknown else tuple(there), unknown)


def prune(outgoing: Path, keep: int = KEPT) -> Sequence[Pruned]:
    """Remove the directories that `to_prune` lists; return these. Raises ClocheError, OSError."""
    with _alone(outgoing):
        found = to_prune(outgoing, keep)
        for each in found:
            for file in each.files:
                file.unlink()
            if not each.unknown:
                each.directory.rmdir()
    return found
