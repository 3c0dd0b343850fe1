"""Errors of synced repositories. ``repo`` is a repository's name."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.errors import NO_ROOM, ClocheError, Exit, says_full


class TreeError(ClocheError):
    """A repository cannot be synced, or used."""

    status = Exit.FAILED

    def __init__(
        self,
        repo: str,
        what: str,
        *,
        todo: str | None = None,
        detail: str | None = None,
        status: Exit | None = None,
    ) -> None:
        super().__init__(what, where=f"[repos.{repo}]", todo=todo, detail=detail, status=status)


class SyncProgramError(TreeError):
    """git, rsync or unsquashfs failed; ``words`` are its own."""

    def __init__(self, repo: str, program: str, source: str, words: str) -> None:
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        # git says what is wrong first and gives advice after it; the others end with it.
        fatal = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
        said = fatal or (lines[-1] if lines else "no error message")
        full = says_full(words)
        check = "check sync_uri, the network and permissions; the next sync resumes"
        super().__init__(
            repo,
            f"{program} could not fetch {source}: {said}",
            todo=NO_ROOM if full else check,
            detail=words.strip() if len(lines) > 1 else None,
            status=Exit.HOST if full else None,
        )


class TreeDriftError(TreeError):
    """A synced repository is not what the lock pins."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, locked: str, found: str) -> None:
        super().__init__(
            repo,
            f"not what cloche.lock pins: {locked} is locked, {found} is there",
            todo=f"accept it with `cloche repo sync {repo}`, or use another mirror",
        )


class ManifestError(TreeError):
    """A tree does not match its signed Manifest (GLEP 74); ``words`` are gemato's."""

    status = Exit.BAD_INPUT

    def __init__(self, repo: str, words: str) -> None:
        super().__init__(
            repo,
            f"the tree does not match its Manifest: {' '.join(words.split())}",
            todo="sync again, perhaps from another mirror; do not use this tree",
        )


def missing_tree(repo: str, *, locked: bool) -> TreeError:
    """A declared repository is not in the store yet; ``locked``: cloche.lock pins it."""
    which = " as cloche.lock pins it" if locked else ""
    return TreeError(
        repo,
        f"the repository “{repo}” is not in the store yet{which}",
        todo=f"run `cloche repo sync {repo}{' --locked' if locked else ''}`",
        status=Exit.BAD_INPUT,
    )


def missing_program(repo: str, program: str, package: str) -> TreeError:
    """The host lacks a program that this type of sync needs."""
    todo = f"install {package}"
    return TreeError(repo, f"this host has no {program}", todo=todo, status=Exit.HOST)


def unknown_repository(repo: str, known: Iterable[str]) -> ClocheError:
    """The project has no repository of this name."""
    return ClocheError(
        f"no repository “{repo}” is declared",
        where="cloche.toml",
        todo=f"there is: {', '.join(known) or 'none'}",
    )
