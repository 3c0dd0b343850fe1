"""Checks a spec against its tree and its source, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.making import profile_of
from cloche.catalyst.spec import Spec
from cloche.config.atoms import name_of
from cloche.config.errors import ConfigError, nearest, unknown_name
from cloche.config.project import Project
from cloche.portage.profiles import stacked_profiles, variable
from cloche.portage.repository import Repository, check_profile, read_repository
from cloche.session.session import Session
from cloche.trees.stored import places

MERGED = Path("features/merged-usr")  # the parent of all profiles (23.0) with a merged /usr
SPLIT = "split-usr"  # a part of the path of the others
_MUSL = ("lib/ld-musl-*", "usr/lib/ld-musl-*")
_GLIBC = ("lib*/ld-linux*", "usr/lib*/ld-linux*", "lib/*/ld-linux*", "usr/lib/*/ld-linux*")


def check_inputs(spec: Spec, conf: Conf, session: Session) -> Mapping[str, Repository]:
    """See that a spec fits its tree and its source, which this unpacks; return the repositories.

    Raises ClocheError.
    """
    found = places(session.store, session.project)
    repos = {name: read_repository(name, path) for name, path in found.items()}
    repo, path = profile_of(spec, conf)
    if repo not in repos:
        raise unknown_name(spec.origin("profile"), "repository", repo, repos)
    check_profile(repos[repo], path, spec.origin("profile"))
    source = session.seed("source").seed
    check_source(spec, conf, repos, source.about.arch, session.store.tree(source.layer).path)
    return repos


def check_source(
    spec: Spec, conf: Conf, repos: Mapping[str, Repository], arch: str, root: Path
) -> None:
    """See that a source, whose ARCH and root these are, fits the profile. Raises `ConfigError`.

    It has to be for the same ARCH, with the same C library, and both with a merged /usr or not.
    """
    repo, path = profile_of(spec, conf)
    directories = [directory for _, directory in stacked_profiles(repos, repo, path)]
    merged = any(directory.match(str(MERGED)) for directory in directories)
    libc = {"musl": _has(root, _MUSL), "glibc": _has(root, _GLIBC)}
    facts = (
        ("ARCH", variable(repos, repo, path, "ARCH"), arch),
        ("ELIBC", variable(repos, repo, path, "ELIBC"), _only(libc)),
        ("/usr", "merged" if merged else "split" if SPLIT in path else "", _usr(root)),
    )
    for what, wanted, found in facts:
        if wanted and found and wanted != found:
            raise ConfigError(
                spec.origin("profile"),
                f"the source does not fit the profile {path}: {what} is {wanted} in the profile, "
                f"but {found} in {spec.text('source_subpath')}",
                "choose another profile or source",
            )


def _has(root: Path, patterns: tuple[str, ...]) -> bool:
    return any(next(root.glob(pattern), None) is not None for pattern in patterns)


def _only(libc: Mapping[str, bool]) -> str:
    """The C library, if there is exactly one."""
    found = [name for name, there in libc.items() if there]
    return found[0] if len(found) == 1 else ""


def _usr(root: Path) -> str:
    return "merged" if (root / "bin").is_symlink() else "split"


def check_packages(project: Project, machine: str, repos: Mapping[str, Repository]) -> None:
    """See that a repository has each package that a machine asks for. Raises `ConfigError`."""
    for asked in project.machine(machine).atoms:
        name = name_of(asked.atom)
        if name is None or any((repo.path / name).is_dir() for repo in repos.values()):
            continue
        category = name.partition("/")[0]
        known = {
            f"{category}/{each.name}"
            for repo in repos.values()
            for each in (repo.path / category).glob("*/")
        }
        near = nearest(name, known)
        there_is = f"correct the name; the repositories are {', '.join(repos)}"
        todo = f"did you mean “{near}”?" if near else there_is
        raise ConfigError(asked.origin, f"no repository has “{name}”", todo)
