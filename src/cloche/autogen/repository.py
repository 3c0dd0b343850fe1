"""Writes packages into an ebuild repository: all files or none, and nothing that is the same.

Manifests are written here, not in a sandbox: the sources are at hand, and the other files are few.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from cloche.autogen import marked
from cloche.autogen.errors import RefusedError, UpstreamError
from cloche.autogen.package import Package, Source
from cloche.autogen.text import ebuild_text, metadata_text
from cloche.config.errors import unwritable
from cloche.fetching.download import ALGORITHMS
from cloche.plan.versions import version_key
from cloche.portage.cpv import split_cpv
from cloche.portage.repository import Repository

_HASHES = ("BLAKE2B", "SHA512")  # Gentoo's (GLEP 59, GLEP 74)
_BESIDE = ("metadata.xml", "ChangeLog")
_ROOM = ".autogen-"
_DAY = 24 * 60 * 60  # seconds after which a room belongs to no process that still writes


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written for a package: files with their new texts, the ebuild last."""

    cpv: str
    files: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...] = ()


def source_of(path: Path) -> Source:
    """A distfile with its digests."""
    hashes = {name: hashlib.new(ALGORITHMS[name]) for name in _HASHES}
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            for each in hashes.values():
                each.update(block)
    digests = tuple((name, each.hexdigest()) for name, each in hashes.items())
    return Source(path.name, path.stat().st_size, digests)


def versions_of(repository: Path, cp: str) -> tuple[str, ...]:
    """The versions (with revisions) of a package's ebuilds in a repository."""
    pn = cp.partition("/")[2]
    names = (path.stem.removeprefix(f"{pn}-") for path in (repository / cp).glob(f"{pn}-*.ebuild"))
    return tuple(sorted(names, key=version_key))


def all_changes(
    repository: Repository, packages: Sequence[Package], *, force: bool = False
) -> list[Changes]:
    """What writing all of these packages would change: versions of one share a Manifest.

    Raises `RefusedError`, `UpstreamError`. With ``force``, what somebody has edited outside of the
    marks is overwritten.
    """
    flags: dict[str, dict[str, str]] = {}
    for each in packages:
        flags.setdefault(each.ebuild.cp, {}).update(each.flags)
    found: list[Changes] = []
    pending: dict[Path, str] = {}
    for each in packages:
        described = tuple(sorted(flags[each.ebuild.cp].items()))
        whole = replace(each, flags=described)
        found.append(changes(repository, whole, force=force, pending=pending))
        pending.update(found[-1].files)
    return found


def changes(
    repository: Repository,
    package: Package,
    *,
    force: bool = False,
    pending: Mapping[Path, str] = MappingProxyType({}),
) -> Changes:
    """What writing one package would change, after the files of ``pending`` have been written.

    Raises `RefusedError`, `UpstreamError`.
    """
    ebuild, top = package.ebuild, repository.path

    def there(path: Path) -> str | None:
        return pending[path] if path in pending else _read(path)

    directory = top / ebuild.cp
    if directory.resolve() != top.resolve() / ebuild.cp:
        raise unwritable(directory, "a link leads elsewhere")
    path = _place(top, package)
    old = _read(path)
    if old is not None and not force and not marked.is_untouched(old):
        what = "edited outside of the marked lines, or not written by autogen"
        todo = "move the edits between the marks, or use --force to overwrite them"
        raise RefusedError(what, where=path, todo=todo)
    own, notes = _own(top, ebuild.cp, path, old)
    notes = [*package.notes, *notes]
    files = {path: ebuild_text(ebuild, own)}
    metadata = directory / "metadata.xml"
    described = there(metadata)
    if described is None:
        files[metadata] = metadata_text(package)
    elif lacking := [f for f, _ in package.flags if f'"{f}"' not in described]:
        notes.append(f"{metadata} stays as it is: it does not describe {', '.join(lacking)}")
    manifest, categories = directory / "Manifest", top / "profiles/categories"
    beside = {path: text for path, text in pending.items() if path.parent == directory}
    files[manifest] = _manifest(
        repository, manifest, there(manifest), package.sources, {**beside, **files}
    )
    known = there(categories) or ""
    if ebuild.category not in known.split():
        files[categories] = known + ("\n" if known and known[-1] != "\n" else "")
        files[categories] += f"{ebuild.category}\n"
    changed = [(path, text) for path, text in files.items() if there(path) != text]
    changed.sort(key=lambda each: (each[0].suffix == ".ebuild", each[0]))
    return Changes(ebuild.cpv, tuple(changed), tuple(notes))


def cache_changes(repository: Repository, entries: Mapping[str, str]) -> Changes:
    """What writing entries of ``metadata/md5-cache`` would change."""
    top = repository.path / "metadata/md5-cache"
    files = [(top / cpv, text) for cpv, text in sorted(entries.items())]
    return Changes("", tuple(each for each in files if _read(each[0]) != each[1]))


def write(repository: Path, wanted: Sequence[Changes]) -> None:
    """Write all of it, each file at once; if one cannot be written, all are as before.

    Raises `ConfigError`.
    """
    files = dict(file for each in wanted for file in each.files)
    if not files:
        return
    try:
        _sweep(repository)
        room = Path(tempfile.mkdtemp(prefix=_ROOM, dir=repository))
    except OSError as error:
        raise unwritable(repository, error.strerror or str(error)) from error
    try:
        made = {path: room / f"{number}.new" for number, path in enumerate(files)}
        for path, text in files.items():
            made[path].write_bytes(text.encode("utf-8", "surrogateescape"))
            made[path].chmod(0o644)
        _replace_all(made)
    except OSError as error:
        place = Path(error.filename or repository)
        raise unwritable(place, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _replace_all(made: Mapping[Path, Path]) -> None:
    """Put each file in its place, or none. Raises OSError."""
    new = [d for path in made for d in (path.parent, path.parent.parent) if not d.exists()]
    old: dict[Path, Path | None] = {}
    try:
        for path, fresh in made.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = fresh.with_suffix(".old")
            if path.exists():
                shutil.copy2(path, kept)
            old[path] = kept if path.exists() else None
            os.replace(fresh, path)  # noqa: PTH105
    except OSError:
        for path, before in reversed(old.items()):
            with contextlib.suppress(OSError):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    os.replace(before, path)  # noqa: PTH105
        for directory in dict.fromkeys(new):
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise


def _sweep(repository: Path) -> None:
    """Remove what a process left that was killed."""
    for left in repository.glob(f"{_ROOM}*"):
        if left.is_dir() and left.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(left, ignore_errors=True)


def ebuild_path(top: Path, cpv: str) -> Path:
    """The ebuild of a package and version; it may have a revision."""
    found = split_cpv(cpv)
    same = [v for v in versions_of(top, found.cp) if v.partition("-r")[0] == found.version]
    return top / found.cp / f"{found.pn}-{same[-1] if same else found.version}.ebuild"


def replace_ebuild(repository: Repository, path: Path, text: str) -> None:
    """Write an ebuild, and the Manifest if that has a digest of it. Raises `ConfigError`."""
    files = {path: text}
    manifest = path.parent / "Manifest"
    files[manifest] = _manifest(repository, manifest, _read(manifest), (), files)
    changed = [(path, text) for path, text in files.items() if _read(path) != text]
    write(repository.path, [Changes(path.stem, tuple(changed))])


def _place(top: Path, package: Package) -> Path:
    """The ebuild's path; one with a revision is written again under its revision."""
    return ebuild_path(top, package.ebuild.cpv)


def _own(
    top: Path, cp: str, path: Path, old: str | None
) -> tuple[Mapping[str, tuple[str, ...]], list[str]]:
    """The user's own lines for an ebuild, and notes: those that it has, else those of the newest
    ebuild with marks. Raises `RefusedError`."""
    if old is not None:
        return marked.own_lines(old, path), []
    pn = cp.partition("/")[2]
    for version in reversed(versions_of(top, cp)):
        origin = top / cp / f"{pn}-{version}.ebuild"
        text = _read(origin) or ""
        own = marked.own_lines(text, origin)
        if own:
            note = f"{origin} was edited outside of the marked lines: {path.name} has none of that"
            return own, [] if marked.is_untouched(text) else [note]
    return {}, []


def _read(path: Path) -> str | None:
    if path.is_symlink():
        raise unwritable(path, "a link leads elsewhere")
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def check_distfile(repository: Path, cp: str, name: str, path: Path) -> None:
    """See that a file, just fetched, is the one that the package's Manifest has under a name.

    Raises `UpstreamError`.
    """
    manifest = repository / cp / "Manifest"
    old = _distfiles(_read(manifest) or "").get(("DIST", name))
    _refuse_changed(manifest, old, _line("DIST", replace(source_of(path), name=name)))


def _distfiles(manifest: str) -> dict[tuple[str, str], str]:
    """The lines of distfiles in a Manifest."""
    found = {}
    for line in manifest.splitlines():
        words = line.split()
        if words[:1] == ["DIST"] and len(words) > 2:
            found["DIST", words[1]] = line
    return found


def _manifest(
    repository: Repository,
    path: Path,
    old: str | None,
    sources: Sequence[Source],
    files: Mapping[Path, str],
) -> str:
    """The Manifest of a package (GLEP 74), with the distfiles of its other versions."""
    found = _distfiles(old or "")
    for source in sources:
        line = _line("DIST", source)
        _refuse_changed(path, found.get(("DIST", source.name)), line)
        found["DIST", source.name] = line
    if repository.layout.get("thin-manifests", "").lower() != "true":
        for kind, each in _own_files(path.parent, files):
            found[kind, each.name] = _line(kind, each)
    return "".join(f"{line}\n" for _, line in sorted(found.items()))


def _line(kind: str, source: Source) -> str:
    digests = " ".join(f"{name} {digest}" for name, digest in source.digests)
    return f"{kind} {source.name} {source.size} {digests}"


def _refuse_changed(path: Path, old: str | None, new: str) -> None:
    """See that a distfile did not change under its name. Raises `UpstreamError`."""
    if old is None:
        return
    was, now = (
        dict(zip(line.split()[3::2], line.split()[4::2], strict=False)) for line in (old, new)
    )
    name = old.split()[1]
    differ = old.split()[2] != new.split()[2]
    if differ or any(was[each].lower() != now[each] for each in was.keys() & now.keys()):
        what = f"{name} has another content than when it was first fetched"
        todo = "do not use the file: ask upstream why it changed under the same name"
        raise UpstreamError(what, where=path, todo=todo)


def _own_files(directory: Path, files: Mapping[Path, str]) -> Iterator[tuple[str, Source]]:
    """The package's own files, as they will be, by their kind in a Manifest that is not thin."""
    texts = {path: text.encode("utf-8", "surrogateescape") for path, text in files.items()}
    there = (path for path in directory.rglob("*") if path.is_file()) if directory.is_dir() else ()
    for path in sorted({*there, *texts}):
        name = str(path.relative_to(directory))
        data = texts[path] if path in texts else path.read_bytes()
        if re.fullmatch(r"[^/]+\.ebuild", name):
            kind = "EBUILD"
        elif name.startswith("files/"):
            kind, name = "AUX", name.removeprefix("files/")
        elif name in _BESIDE:
            kind = "MISC"
        else:
            continue
        digests = tuple((each, hashlib.new(ALGORITHMS[each], data).hexdigest()) for each in _HASHES)
        yield kind, Source(name, len(data), digests)
