"""What `cloche patch` does in sandboxes: sources as user patches find them, checks, trial builds.

Nothing of it enters the store's index: a machine's builds never find it. A trial's root is kept
beside those of failed builds, for the next trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from cloche.building import fetch
from cloche.building.context import BuildContext
from cloche.building.forecast import forecast
from cloche.building.package_tasks import build_task, kept_as
from cloche.building.packages import Builder
from cloche.decoding import NOT_DECODABLE
from cloche.plan.depgraph import Package
from cloche.plan.keys import build_key
from cloche.records.events import Note, Started
from cloche.records.logs import new_log, put_away
from cloche.sandbox.base import Bind
from cloche.store import remove_tree
from cloche.tasks import kept_roots
from cloche.tasks.build import (
    PORTAGE_TMP,
    build_binds,
    jobs,
    package_binds,
    request_of,
    sandbox_of,
    step_error,
)
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import Call
from cloche.tasks.task import BuildTask
from cloche.tasks.watch import watched
from cloche.tasks.worker import make_directory

_SCRIPT = "patching"
_TRIED = "tried.json"
_PATCHES = "/run/cloche/patches"


@dataclass(frozen=True, slots=True)
class Ready:
    """A package whose build dependencies are built: its build as a task, and that build's key.

    The key leaves patches out: a `Trial` names all of the sources.
    """

    context: BuildContext
    package: Package
    task: BuildTask
    key: str

    @property
    def work(self) -> PurePosixPath:
        """WORKDIR, below the directory that a step has for PORTAGE_TMPDIR."""
        return PurePosixPath(self.package.category, self.package.pf, "work")


class Trial(msgspec.Struct, frozen=True):
    """What a kept trial was made of: the key of its build, and the tree of its sources in git."""

    key: str
    tree: str


class Change(msgspec.Struct, frozen=True):
    """A changed file of the sources: its path, and the SHA-256 that the trial has of it.

    ``old`` is None for a new file.
    """

    path: str
    old: str | None


class Applied(msgspec.Struct, frozen=True):
    """How patch(1) went: whether it fits, what it said, and what it said while merging."""

    fits: bool
    said: str
    merged: str


class StaleTrialError(Exception):
    """The last trial's root cannot be used: the build changed a file in it, or it is in use."""


def unbuilt(builder: Builder, package: Package) -> tuple[str, ...]:
    """Ids of packages that the package's build sees and that are not built yet."""
    known = {name for name, each in forecast(builder).items() if each.made is not None}
    return tuple(name for name in builder.plan.visible[package.id].build if name not in known)


def ready(builder: Builder, package: Package) -> Ready:
    """Fetch what the package needs; its build dependencies are built. Raises ClocheError."""
    context = builder.context
    known = {name: each.made for name, each in forecast(builder).items() if each.made is not None}
    seen = builder.seen_by_build(package, known)
    fetch.fetch(context, package)
    sources = builder.live_sources(package, seen)
    task = msgspec.structs.replace(build_task(context, package, seen, sources), kept_as=None)
    inputs = {
        name: digest
        for name, digest in builder.inputs_of[package.id].items()
        if not name.startswith("patch/")
    }
    key = build_key(
        package,
        inputs=inputs,
        layers=[(layer.label, layer.id) for layer in seen.layers],
        root=None if seen.root is None else [(layer.label, layer.id) for layer in seen.root],
        base=context.inputs.key_ground,
        live=sources.layer.id if sources else None,
    )
    return Ready(context, package, task, key.digest)


def source(ready: Ready, workspace: Path, *, patches: Mapping[str, bytes] | None = None) -> Path:
    """Unpack and prepare up to the user's patches; the directory where they are applied.

    With ``patches``, by their paths below /etc/portage, all of the package's are applied, these
    among them. Raises StepError, LookupError for an ebuild that applies none.
    """
    mode = "source" if patches is None else "check"
    result = _run(ready, workspace, {"mode": mode}, patches or {})
    directory = result.get("directory")
    if directory is None:
        raise LookupError(ready.package.cpv)
    top = workspace / "tmp" / ready.work
    inner = PurePosixPath(str(directory))
    place = top / inner
    # An ebuild may have put a link in the place of WORKDIR; the guest's answer has none in it.
    plain = workspace.resolve() / "tmp" / ready.work / inner
    if inner.is_absolute() or ".." in inner.parts or place.resolve() != plain:
        raise StepError(ready.package.id, "patch", f"its sources are not below WORKDIR: {inner}")
    return place


def build_anew(
    ready: Ready, patches: Mapping[str, bytes], trial: Trial, *, tests: bool
) -> dict[str, Any]:
    """Build as far as the image, and keep the root for `build_again`. Raises StepError."""
    context = ready.context
    with context.store.workspace("patch") as workspace:
        try:
            return _run(ready, workspace, {"mode": "try", "test": tests}, patches)
        finally:
            if (workspace / "tmp" / ready.work.parent / ".prepared").exists():
                _keep(ready, workspace, trial)


def build_again(
    ready: Ready, directory: str, changes: tuple[Change, ...], files: Path, trial: Trial, *,
    tests: bool,
) -> dict[str, Any]:  # fmt: skip
    """Put changed files, which lie in ``files``, into the kept trial, and go on from compile.

    ``directory`` is that of the sources below WORKDIR. Raises StepError, StaleTrialError.
    """
    context, task = ready.context, ready.task
    place = context.store.failed / _kept_as(context, ready.package)
    with context.store.hold(place) as alone, context.store.workspace("patch") as workspace:
        if not alone:
            raise StaleTrialError("another one runs in it")
        if (place / "work").exists():
            remove_tree(place / "work")  # overlayfs does not take a volatile one twice
        (place / _TRIED).unlink()  # whatever ends this, the root is none that is known
        request = {
            "mode": "again",
            "test": tests,
            "directory": directory,
            "changed": [msgspec.structs.asdict(each) for each in changes],
        }
        binds = (
            *package_binds(task, context.worker),
            Bind(make_directory(workspace, "out"), "/run/cloche/out", writable=True),
            Bind(place / kept_roots.SOURCES["build"], "/run/cloche/distdir"),
            Bind(place / "tmp", PORTAGE_TMP, writable=True),
            Bind(files, "/run/cloche/changed"),
            *context.worker.jobserver_bind(),
        )
        try:
            result = _run(ready, workspace, request, {}, upper=place, binds=binds)
        except StepError:
            _note(context, ready.package, trial)
            raise
        if "stale" in result:
            raise StaleTrialError(f"the build changed {result['stale']} itself")
        _note(context, ready.package, trial)
        return result


def apply(ready: Ready, tree: Path, patch: bytes, *, merge: bool) -> Applied:
    """Apply a patch to a work tree as the build would; with ``merge``, leave marks of a conflict.

    Without it, a tree into which it does not fit stays as it is. Raises StepError.
    """
    with ready.context.store.workspace("patch") as workspace:
        # A patch may name any file, but not one of the repository.
        hidden = Bind(make_directory(workspace, "hidden"), "/run/cloche/tree/.git")
        binds = (Bind(tree, "/run/cloche/tree", writable=True), hidden)
        request = {"mode": "apply", "merge": merge, "patch": "0"}
        result = _run(ready, workspace, request, {"patch": patch}, binds=binds)
    return msgspec.convert(result, Applied)


def last_trial(context: BuildContext, package: Package) -> Trial | None:
    """What the package's kept trial was made of."""
    try:
        text = (context.store.failed / _kept_as(context, package) / _TRIED).read_bytes()
        return msgspec.json.decode(text, type=Trial)
    except (FileNotFoundError, *NOT_DECODABLE):
        return None


def forget_trial(context: BuildContext, package: Package) -> None:
    """Remove the root of the package's last trial."""
    kept_roots.forget(context.store, _kept_as(context, package))


def _keep(ready: Ready, workspace: Path, trial: Trial) -> None:
    """Keep the root of a trial, if there is room for it."""
    context, name = ready.context, _kept_as(ready.context, ready.package)
    task = msgspec.structs.replace(ready.task, kept_as=name)
    try:
        kept_roots.keep(task, context.store, "build", workspace)
        _note(context, ready.package, trial)
    except OSError as error:
        context.store.discard(context.store.failed / name)
        text = f"{task.cpv}: its root is not kept: {error.strerror or error}"
        context.bus(Note(text=text, level="warning"))


def _kept_as(context: BuildContext, package: Package) -> str:
    return f"{kept_as(context, package)}@try"


def _note(context: BuildContext, package: Package, trial: Trial) -> None:
    place = context.store.failed / _kept_as(context, package)
    (place / _TRIED).write_bytes(msgspec.json.encode(trial))


def _run(
    ready: Ready,
    workspace: Path,
    request: Mapping[str, Any],
    patches: Mapping[str, bytes],
    *,
    upper: Path | None = None,
    binds: tuple[Bind, ...] | None = None,
) -> dict[str, Any]:
    """Run the guest's script in the sandbox of the build. Raises StepError."""
    context, task = ready.context, ready.task
    step = "try" if request["mode"] in ("try", "again") else "patch"
    files = make_directory(workspace, "patches")
    names = {}
    for number, (name, content) in enumerate(patches.items()):
        (files / str(number)).write_bytes(content)
        names[name] = str(number)
    log = new_log(context.store, task.log_name, step)
    context.bus(Started(package=task.package, step=step, log=str(log)))
    if binds is None:
        binds = build_binds(task, context.worker, workspace)
    wanted = Call(
        script=_SCRIPT,
        step=step,
        request={**request_of(task), "ccache": None, **request, "patches": names},
        sandbox=sandbox_of(
            task,
            context.worker,
            upper=upper or make_directory(workspace, "root"),
            binds=(*binds, Bind(files, _PATCHES)),
        ),
        workspace=workspace,
        log=log,
        environment=task.environment | jobs(task),
        package=task.package,
    )
    result = watched(task, context.worker, wanted)
    if result.get("status") != "ok":
        raise step_error(task.package, step, result, log)
    put_away(context.store, task.log_name, log)
    return result
