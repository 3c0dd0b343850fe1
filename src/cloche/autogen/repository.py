"""Writes packages into an ebuild repository: whole or not at all, and nothing that is the same.

Manifests are written here, not in a sandbox: the sources are at hand, and the other files are few.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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


def changes(repository: Repository, package: Package, *, force: bool = False) -> Changes:
    """What writing a package would change. Raises `RefusedError`, `UpstreamError`.

    With ``force``, what somebody has edited outside of the marks is overwritten.
    """
    ebuild, top = package.ebuild, repository.path
    directory = top / ebuild.cp
    if directory.resolve() != top.resolve() / ebuild.cp:
        raise unwritable(directory, "a link leads elsewhere")
    path = _place(top, package)
    old = _read(path)
    if old is not None and not force and not marked.is_untouched(old):
        what = "edited outside of the marked lines, or not written by autogen"
        todo = "move the edits between the marks, or use --force to overwrite them"
        raise RefusedError(what, where=path, todo=todo)
    origin, text = (path, old) if old is not None else _newest(top, ebuild.cp)
    own = marked.own_lines(text, origin) if text is not None else {}
    files = {path: ebuild_text(ebuild, own)}
    notes = list(package.notes)
    metadata = directory / "metadata.xml"
    if not metadata.exists():
        files[metadata] = metadata_text(package)
    elif lacking := [f for f, _ in package.flags if f'"{f}"' not in (_read(metadata) or "")]:
        notes.append(f"{metadata} stays as it is: it does not describe {', '.join(lacking)}")
    files[directory / "Manifest"] = _manifest(repository, directory, package.sources, files)
    files |= _categories(top, ebuild.category)
    changed = [(path, text) for path, text in files.items() if _read(path) != text]
    changed.sort(key=lambda each: (each[0].suffix == ".ebuild", each[0]))
    return Changes(ebuild.cpv, tuple(changed), tuple(notes))


def cache_changes(repository: Repository, entries: Mapping[str, str]) -> Changes:
    """What writing entries of ``metadata/md5-cache`` would change."""
    top = repository.path / "metadata/md5-cache"
    files = [(top / cpv, text) for cpv, text in sorted(entries.items())]
    return Changes("", tuple(each for each in files if _read(each[0]) != each[1]))


def write(repository: Path, wanted: Sequence[Changes]) -> None:
    """Write all of it, each file at once. Raises `ConfigError`."""
    files = [file for each in wanted for file in each.files]
    if not files:
        return
    try:
        room = Path(tempfile.mkdtemp(prefix=".autogen-", dir=repository))
    except OSError as error:
        raise unwritable(repository, error.strerror or str(error)) from error
    try:
        for number, (_, text) in enumerate(files):
            made = room / str(number)
            made.write_text(text, encoding="utf-8", errors="surrogateescape")
            made.chmod(0o644)
        for number, (path, _) in enumerate(files):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(room / str(number), path)  # noqa: PTH105
    except OSError as error:
        place = Path(error.filename or repository)
        raise unwritable(place, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def ebuild_path(top: Path, cpv: str) -> Path:
    """The ebuild of a package and version; it may have a revision."""
    found = split_cpv(cpv)
    cp = f"{found.category}/{found.pn}"
    same = [v for v in versions_of(top, cp) if v.partition("-r")[0] == found.version]
    return top / cp / f"{found.pn}-{same[-1] if same else found.version}.ebuild"


def replace_ebuild(repository: Repository, path: Path, text: str) -> None:
    """Write an ebuild, and the Manifest if that has a digest of it. Raises `ConfigError`."""
    files = {path: text}
    files[path.parent / "Manifest"] = _manifest(repository, path.parent, (), files)
    changed = [(path, text) for path, text in files.items() if _read(path) != text]
    write(repository.path, [Changes(path.stem, tuple(changed))])


def _place(top: Path, package: Package) -> Path:
    """The ebuild's path; one with a revision is written again under its revision."""
    return ebuild_path(top, package.ebuild.cpv)


def _newest(top: Path, cp: str) -> tuple[Path, str | None]:
    """The newest ebuild of a package that autogen wrote: its own lines go on to the next one."""
    pn = cp.partition("/")[2]
    for version in reversed(versions_of(top, cp)):
        path = top / cp / f"{pn}-{version}.ebuild"
        text = _read(path)
        if text is not None and marked.is_untouched(text):
            return path, text
    return top, None


def _read(path: Path) -> str | None:
    if path.is_symlink():
        raise unwritable(path, "a link leads elsewhere")
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def _categories(top: Path, category: str) -> Mapping[Path, str]:
    path = top / "profiles/categories"
    known = _read(path) or ""
    if category in known.split():
        return {}
    return {path: known + ("\n" if known and known[-1] != "\n" else "") + f"{category}\n"}


def _manifest(
    repository: Repository, directory: Path, sources: Sequence[Source], files: Mapping[Path, str]
) -> str:
    """The Manifest of a package (GLEP 74), with the distfiles of its other versions."""
    old = _read(directory / "Manifest") or ""
    found: dict[tuple[str, str], str] = {}
    for line in old.splitlines():
        words = line.split()
        if words[:1] == ["DIST"] and len(words) > 2:
            found["DIST", words[1]] = line
    for source in sources:
        line = _line("DIST", source)
        _refuse_changed(directory / "Manifest", found.get(("DIST", source.name)), line)
        found["DIST", source.name] = line
    if repository.layout.get("thin-manifests", "").lower() != "true":
        for kind, each in _own_files(directory, files):
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
