"""Makes Manifests of a repository's packages in a sandbox, after fetching their distfiles."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.building.context import BuildContext
from cloche.building.fetch import NotFetchedError, fetch_into
from cloche.building.metadata import shown_repositories
from cloche.building.stages import stage_call
from cloche.building.unresolved import refusal
from cloche.plan.depgraph import Distfile
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.store.incoming import take_content
from cloche.tasks import distfiles
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import call
from cloche.tasks.worker import make_directory

_HINT = "put it into the directory that `[build] distfiles` names, then run the command again"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A package's new Manifest; ``text`` is None if ``absent`` files are needed."""

    cp: str
    text: str | None
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of one version, for a fetch."""

    id: str
    cpv: str
    restrict: tuple[str, ...]
    distfiles: tuple[Distfile, ...]


def manifests(
    context: BuildContext,
    repo: str,
    packages: Sequence[str],
    *,
    anew: bool = False,
) -> Iterator[Manifest]:
    """The Manifest of each package (``category/pn``) of a repository.

    Files without a digest, with ``anew`` all files, are fetched and stored under their new digests,
    unless the policy is to work offline. Raises ResolutionError for an unreadable ebuild, StepError
    if a file cannot be fetched.
    """
    with context.store.workspace("manifest") as workspace:
        known = make_directory(workspace, "known")
        answers = _ask(context, repo, packages, known, make_directory(workspace, "ask"), anew=anew)
        for number, answer in enumerate(answers):
            if answer["absent"] and not context.policy.offline:
                room = make_directory(workspace, f"package-{number}")
                files = make_directory(room, "files")
                _fetch(context, answer["absent"], files, room)
                (answer,) = _ask(context, repo, [answer["cp"]], files, room, anew=anew)
                _keep(context, answer, files)
            names = tuple(file["name"] for file in answer["absent"])
            yield Manifest(answer["cp"], answer.get("text"), names)


def _ask(
    context: BuildContext,
    repo: str,
    packages: Sequence[str],
    files: Path,
    workspace: Path,
    *,
    anew: bool,
) -> Sequence[Any]:
    """The guest's answer about the packages, with these distfiles present."""
    wanted = stage_call(
        context,
        "manifest",
        {"repo": repo, "packages": list(packages), "anew": anew},
        workspace,
        new_log(context.store, f"repository/{repo}", "manifest"),
        binds=(*shown_repositories(context), Bind(files, "/run/cloche/distdir")),
    )
    result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        kind = "broken" if result.get("file") else "other"
        raise refusal(context.inputs.machine, {"kind": kind, **result}, context.inputs.own)
    answers: Sequence[Any] = result["packages"]
    return answers


def _fetch(
    context: BuildContext,
    absent: Sequence[Mapping[str, Any]],
    files: Path,
    workspace: Path,
) -> None:
    """Get the files from the user's own directories or over the network."""
    for number, each in enumerate(absent):
        name = str(each["name"])
        if "/" in name or name in ("", ".", ".."):
            raise StepError(each["cpv"], "fetch", f"{name!r} is not a file name")
        own = next((d / name for d in context.own_files if (d / name).is_file()), None)
        if own is None:
            file = Distfile(name, 0, {}, tuple(each["uris"]))
            sources = _Sources(each["cpv"], each["cpv"], tuple(each["restrict"]), (file,))
            room = make_directory(workspace, f"fetch-{number}")
            try:
                directory, _ = fetch_into(context, sources, (file,), room)
            except NotFetchedError as error:
                error.failed.todo = _HINT if error.by_hand else error.failed.todo
                raise error.failed from error
            own = directory / name
        else:
            own = own.resolve()
        try:
            take_content(own, files / name, mode=0o644)
        except OSError as error:
            raise StepError(each["cpv"], "fetch", f"{name}: {error.strerror}") from error


def _keep(context: BuildContext, answer: Mapping[str, Any], files: Path) -> None:
    """Store what was fetched, so that a build does not fetch it again."""
    for name, entry in answer.get("distfiles", {}).items():
        if (files / name).exists():
            digests = {key: str(value) for key, value in entry.items() if key != "size"}
            with contextlib.suppress(distfiles.BadDistfileError):  # digests of other kinds alone
                distfiles.keep(context.store, files / name, Distfile(name, entry["size"], digests))
