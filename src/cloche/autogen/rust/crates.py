"""What Cargo.lock and Cargo.toml say, as cargo.eclass wants it. No effects.

pycargoebuild, by Gentoo's own developers, reads these files, and maps licences; everything that
becomes a part of an ebuild is checked here.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cloche.autogen.errors import RefusedError
from cloche.autogen.package import Package, Source
from cloche.config import toml
from cloche.errors import ClocheError, Exit

if TYPE_CHECKING:
    from pycargoebuild.cargo import Crate, GitCrate, PackageMetadata

FILES = re.compile(r"(?:[^/]+/)*Cargo\.(?:lock|toml)")
_LOCK = "Cargo.lock"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+[A-Za-z0-9.+-]*")
_REPOSITORY = re.compile(r"https://[A-Za-z0-9.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RUST = re.compile(r"\d+\.\d+(?:\.\d+)?")
_ENTRY = re.compile(r"https://[A-Za-z0-9_.%/-]+;[0-9a-f]{40};[A-Za-z0-9_.%/-]+(?:;gitea)?")
_WORDS = re.compile(r"[A-Za-z0-9+_. |()-]*")
_MOST = 5000  # crates of a package
# What pycargoebuild raises for files that are not what they should be.
_MALFORMED = (RuntimeError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Crates:
    """What an ebuild says of its crates: variables before ``inherit``, licences, distfiles."""

    before: tuple[str, ...]
    licences: tuple[str, ...]
    files: tuple[Source, ...]
    notes: tuple[str, ...] = ()


def with_crates(package: Package, crates: Crates) -> Package:
    """The package with its crates."""
    old = package.ebuild
    ebuild = replace(
        old,
        before=(*old.before, *crates.before),
        inherit=("cargo", *(each for each in old.inherit if each != "cargo")),
        sources=(*old.sources, 'SRC_URI+="', "\t${CARGO_CRATE_URIS}", '"'),
        crate_licences=crates.licences,
    )
    notes = tuple(f"{old.cpv}: {each}" for each in crates.notes)
    return replace(
        package,
        ebuild=ebuild,
        sources=(*package.sources, *crates.files),
        notes=(*package.notes, *notes),
    )


def lock_file(names: Collection[str], manifest: str, where: str) -> str:
    """The Cargo.lock that counts for a Cargo.toml: beside it, or above. Raises `RefusedError`."""
    parts = manifest.split("/")[:-1]
    for depth in range(len(parts), -1, -1):
        name = "/".join((*parts[:depth], _LOCK))
        if name in names:
            return name
    what = "it is built from Rust crates, and has no Cargo.lock that says which ones"
    raise RefusedError(what, where=where, todo="write this ebuild by hand")


def locked(text: str, where: str) -> tuple[Crate, ...]:
    """The crates that Cargo.lock names, sorted. Raises `RefusedError`."""
    from pycargoebuild.cargo import get_crates

    try:
        found = set(get_crates(io.BytesIO(text.encode())))
    except (NotImplementedError, *_MALFORMED) as error:
        what = f"its Cargo.lock cannot be used: {_line(error)}"
        raise RefusedError(what, where=where, todo="write this ebuild by hand") from error
    if len(found) > _MOST:
        raise RefusedError(f"its Cargo.lock names more than {_MOST} crates", where=where)
    for crate in found:
        _check(crate, where)
    commits = Counter(crate.name for crate in found if is_git(crate))
    if twice := [name for name, count in commits.items() if count > 1]:
        what = f"its Cargo.lock names several commits of {', '.join(sorted(twice))}"
        raise RefusedError(what, where=where, todo="write this ebuild by hand")
    return tuple(sorted(found, key=lambda crate: (crate.name, crate.version, crate.filename)))


def _check(crate: Crate, where: str) -> None:
    """See that what the ebuild will say of a crate is what it seems to be."""
    parts = [(_NAME, crate.name), (_VERSION, crate.version)]
    if is_git(crate):
        parts += [(_REPOSITORY, crate.repository), (_COMMIT, crate.commit)]
    else:
        parts.append((_DIGEST, getattr(crate, "checksum", "")))
    for pattern, text in parts:
        if not isinstance(text, str) or not pattern.fullmatch(text):
            what = f"its Cargo.lock has {str(text)[:100]!r} where a crate's name, version, digest, "
            raise RefusedError(f"{what}repository or commit should be", where=where)


def is_git(crate: Crate) -> bool:
    """Whether a crate is a commit of a repository, not a file of the registry."""
    return hasattr(crate, "commit")


def crate_metadata(
    text: str, where: str, workspace: Mapping[str, Any] | None = None
) -> PackageMetadata:
    """What Cargo.toml of a crate says. Raises `RefusedError`."""
    from pycargoebuild.cargo import get_package_metadata

    try:
        return get_package_metadata(io.BytesIO(text.encode()), dict(workspace or {}))
    except _MALFORMED as error:
        what = f"its Cargo.toml cannot be used: {_line(error)}"
        raise RefusedError(what, where=where, todo="write this ebuild by hand") from error


def in_repository(crate: GitCrate, texts: Mapping[str, str]) -> tuple[str, PackageMetadata]:
    """The directory of a crate in a repository with these Cargo.toml, and what its own one says.

    Keys that a workspace has for its members are those of the nearest one above. Raises
    `RefusedError`.
    """
    label = f"crate {crate.name}-{crate.version}"
    for name, text in sorted(texts.items()):
        directory = name.rpartition("/")[0]
        try:
            found = crate_metadata(text, label, _workspace(directory, texts))
        except RefusedError:  # of another crate, or a workspace alone
            continue
        if (found.name, found.version) == (crate.name, crate.version):
            return directory, found
    what = f"no Cargo.toml in {crate.filename} is of it"
    raise RefusedError(what, where=label, todo="write this ebuild by hand")


def _workspace(directory: str, texts: Mapping[str, str]) -> Mapping[str, Any]:
    parts = directory.split("/") if directory else []
    for depth in range(len(parts), -1, -1):
        text = texts.get("/".join((*parts[:depth], "Cargo.toml")), "")
        try:
            workspace = toml.loads(text).get("workspace")
        except (ValueError, RecursionError):
            continue
        if isinstance(workspace, dict):
            package = workspace.get("package")
            return package if isinstance(package, dict) else {}
    return {}


def git_entry(crate: GitCrate, directory: str) -> str:
    """The value of GIT_CRATES for a crate in a directory. Raises `RefusedError`."""
    from pycargoebuild.cargo import GitCrate

    class Located(GitCrate):  # type: ignore[misc]  # the library has no types
        """Would look for the directory in an archive, without limits."""

        def get_package_directory(self, _: Path) -> PurePosixPath:
            return PurePosixPath(directory)

    made = Located(crate.name, crate.version, crate.repository, crate.commit)
    entry = str(made.get_git_crate_entry(Path()))
    if not _ENTRY.fullmatch(entry):
        what = f"its directory {directory!r} cannot stand in an ebuild"
        raise RefusedError(what, where=f"crate {crate.name}-{crate.version}")
    return entry


def rust_version(text: str) -> str | None:
    """RUST_MIN_VER by the ``rust-version`` of a Cargo.toml."""
    try:
        package = toml.loads(text).get("package")
    except (ValueError, RecursionError):
        return None
    oldest = package.get("rust-version") if isinstance(package, dict) else None
    if not isinstance(oldest, str) or not _RUST.fullmatch(oldest):
        return None
    return f"{oldest}.0" if oldest.count(".") == 1 else oldest


def variables(crates: Sequence[Crate], git: Mapping[GitCrate, str]) -> tuple[str, ...]:
    """CRATES and GIT_CRATES; ``git`` has the entries of those that are commits."""
    from pycargoebuild.ebuild import get_CRATES

    plain = {crate for crate in crates if not is_git(crate)}
    lines = f'CRATES="{get_CRATES(plain)}"'.split("\n")
    if git:
        entries = sorted(f"\t[{crate.name}]='{entry}'" for crate, entry in git.items())
        lines += ["", "declare -A GIT_CRATES=(", *entries, ")"]
    return tuple(lines)


def licence_lines(stated: Mapping[str, str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """LICENSE of crates by what each of them states (SPDX), as few words as say it.

    Raises `RefusedError`, which names the crate.
    """
    from license_expression import ExpressionError, get_spdx_licensing
    from pycargoebuild import license as licences
    from pycargoebuild.format import format_license_var

    licences.MAPPING.clear()
    licences.MAPPING.update({key.lower(): value for key, value in mapping.items()})
    spdx = get_spdx_licensing()
    for crate, text in sorted(stated.items()):
        try:
            licences.spdx_to_ebuild(spdx.parse(text, strict=True))
        except licences.UnmatchedLicense as error:
            what = f"its licence {error.license_key} has no name in metadata/license-mapping.conf"
            raise RefusedError(what, where=f"crate {crate}", todo="add it there") from error
        except (ExpressionError, *_MALFORMED) as error:
            what = f"“{text[:200]}” is not a licence expression (SPDX)"
            raise RefusedError(what, where=f"crate {crate}", todo="tell upstream") from error
    if not stated:
        return ()
    joined = " AND ".join(f"( {text} )" for text in sorted(set(stated.values())))
    words = licences.spdx_to_ebuild(spdx.parse(joined, strict=True).simplify())
    if not _WORDS.fullmatch(words):
        raise RefusedError(f"{words[:100]!r} cannot stand in LICENSE of an ebuild")
    value = format_license_var(words, prefix='LICENSE+=" ')
    value = value if value.startswith("\n") else f" {value}"
    return ("# Dependent crate licenses", *f'LICENSE+="{value}"'.split("\n"))


def library() -> None:
    """See that the library is installed. Raises `ClocheError`."""
    try:
        import pycargoebuild.cargo  # noqa: F401
    except ImportError as error:
        what = f"the Python package {error.name} is not installed"
        todo = "pip install 'cloche[autogen]'"
        raise ClocheError(what, todo=todo, status=Exit.HOST) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def silent(stated: Mapping[str, PackageMetadata]) -> Iterable[str]:
    """What to say of crates that state no licence, or a text of their own."""
    for crate, found in sorted(stated.items()):
        if found.license_file is not None:
            yield f"crate {crate} has a licence of its own, {found.license_file!r}: look at it"
        elif found.license is None:
            yield f"crate {crate} states no licence: look at it, and add to LICENSE"
