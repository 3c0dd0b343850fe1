"""The Manifests of the project's own repositories: which are not right, and writing them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.building.inputs import check_categories
from cloche.building.manifest import Manifest, manifests
from cloche.config.errors import Origin, no_machines, unknown_name, unwritable
from cloche.config.project import Project
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.opened import Opened


@dataclass(frozen=True, slots=True)
class WrongManifest:
    """A Manifest that is not, or was not, what it has to be; ``what`` says how."""

    path: Path
    what: str


def wrong_manifests(
    opened: Opened, packages: Sequence[str], machine: str | None, *, check: bool, force: bool
) -> Iterator[WrongManifest]:
    """Manifests that are not right, of all packages or of those named; they are written.

    ``packages`` are names of repositories, CATEGORY/PN or PN. With ``check`` nothing is written or
    fetched; with ``force`` sources are fetched again whatever the digests say. ``machine`` is whose
    seed and configuration are used, the first one's where it is None. Raises `ClocheError`.
    """
    project = opened.project
    if not project.machines:
        raise no_machines(Origin(project.root))
    chosen = dict(_packages(project, packages))
    used = project.machine(machine or min(project.machines))
    context = context_of(opened, used, Choices(offline=check))
    names = (each for listed in chosen.values() for each in listed)
    check_categories(context.inputs, (each.partition("/")[0] for each in names))
    for repo, listed in chosen.items():
        place = project.repos[repo].path
        if place is None or not listed:
            continue
        for made in manifests(context, repo, listed, anew=force):
            path, text = _current(place, made)
            wrong = _what_is_wrong(made, text)
            if wrong is not None and not check:
                wrong = _write(path, made) if made.text is not None else None
            if wrong is not None:
                yield WrongManifest(path, wrong)


def _packages(project: Project, what: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The packages that are meant, by repository. Raises `ConfigError`."""
    own = {name: repo.path for name, repo in project.repos.items() if repo.path is not None}
    there = {name: _directories(path) for name, path in own.items()}
    all_names = {name for names in there.values() for name in names}
    for word in what:
        if word not in own and not any(_means(word, name) for name in all_names):
            kind = "package or repository of its own"
            raise unknown_name(Origin(project.root), kind, word, {*own, *all_names})
    for repo, names in there.items():
        whole = not what or repo in what
        yield repo, [n for n in names if whole or any(_means(word, n) for word in what)]


def _means(word: str, name: str) -> bool:
    """Whether a word of the command line is the package ``category/pn``, or its ``pn``."""
    return word in (name, name.partition("/")[2])


def _directories(path: Path) -> list[str]:
    """``category/pn`` of all ebuilds."""
    return sorted({f"{e.parent.parent.name}/{e.parent.name}" for e in path.glob("*/*/*.ebuild")})


def _current(place: Path, made: Manifest) -> tuple[Path, str | None]:
    """The Manifest's path, which has to lie in the repository, and its text."""
    path = place / made.cp / "Manifest"
    if path.parent.resolve() != place.resolve() / made.cp or path.is_symlink():
        raise unwritable(path, "a link leads elsewhere")
    return path, path.read_text(errors="surrogateescape") if path.exists() else None


def _what_is_wrong(made: Manifest, text: str | None) -> str | None:
    if made.absent:
        return f"no digest of {', '.join(made.absent)}"
    if made.text is None or (text or "") == made.text:
        return None
    return "out of date" if text is not None else "missing"


def _write(path: Path, made: Manifest) -> str:
    """Write a Manifest; one without a line is removed, as Portage does."""
    try:
        if made.text:
            with tempfile.TemporaryDirectory(prefix=".cloche-", dir=path.parent) as room:
                file = Path(room, path.name)
                file.write_text(made.text)
                file.chmod(0o644)
                file.rename(path)
        else:
            path.unlink()
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    return "written" if made.text else "removed"
