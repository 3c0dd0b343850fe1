"""What clients see of targets, builds and packages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from cloche.service.values import Build, BuildState, Fault, Outcome, Package, Role, Target
from cloche.targets.levels import Level
from cloche.targets.results import Cost


class NewTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target that enrols. ``description`` is what `cloche-client describe` prints."""

    name: str
    description: msgspec.Raw
    level: Level | None = None


class ChangedTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to change in a target."""

    name: str | None = None
    level: Level | None = None


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A target that has enrolled. The token is shown this once. ``binhost`` is a path."""

    id: str
    token: str
    digest: str
    binhost: str
    level: Level
    notes: tuple[str, ...]
    public_key: str | None = None


class TokenView(msgspec.Struct, frozen=True):
    """A token, without its secret. One with a ``target`` is for it alone."""

    id: str
    name: str
    role: Role
    target: str | None
    inject: bool
    quota: int | None


class DescriptionTaken(msgspec.Struct, frozen=True):
    """A description that replaced the one before."""

    digest: str
    notes: tuple[str, ...]


class TargetView(msgspec.Struct, frozen=True, kw_only=True):
    """A target. Times are seconds since the epoch.

    ``packages`` are ready for it; unless that is ``proven``, more may be in a moment. ``owner`` is
    the token that enrolled it, which is the administrator's to know. ``faults`` say why it cannot
    be proven what it takes.
    """

    id: str
    name: str
    digest: str
    level: Level
    arch: str
    chost: str
    profile: str
    notes: tuple[str, ...]
    made: float
    changed: float
    packages: int
    proven: bool
    binhost: str
    public_key: str | None = None
    owner: str | None = None
    faults: tuple[str, ...] = ()


class Targets(msgspec.Struct, frozen=True):
    """The targets that a token may see."""

    targets: tuple[TargetView, ...]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request. ``position`` is how many builds are before this one.

    Without a ``build`` all packages that were named are ready.
    """

    ready: bool
    build: str | None = None
    state: BuildState | None = None
    events: str | None = None
    position: int = 0
    notes: tuple[str, ...] = ()


class PackageOf(msgspec.Struct, frozen=True, kw_only=True):
    """A package that a build made. ``words`` say why the target does not take it."""

    cpv: str
    built: bool
    accepted: bool
    words: str = ""
    seconds: float = 0.0


class RefusedOf(msgspec.Struct, frozen=True):
    """A package that a build did not make, and why. ``log`` is a path, if there is one."""

    cpv: str
    words: str
    log: str | None = None


class ErrorOf(msgspec.Struct, frozen=True):
    """What ended a build."""

    what: str
    where: str | None = None
    todo: str | None = None
    detail: str | None = None


class BuildView(msgspec.Struct, frozen=True, kw_only=True):
    """A build. ``targets`` are those that the token may see, of those that asked for it."""

    id: str
    state: BuildState
    atoms: tuple[str, ...]
    options: tuple[str, ...]
    level: Level
    targets: tuple[str, ...]
    asked: float
    started: float | None
    ended: float | None
    seconds: float
    position: int
    attempts: int
    notes: tuple[str, ...]
    error: ErrorOf | None
    packages: tuple[PackageOf, ...]
    refused: tuple[RefusedOf, ...]
    events: str


class Builds(msgspec.Struct, frozen=True):
    """Builds, the newest first. ``next`` is the value of `before` for those that follow."""

    builds: tuple[BuildView, ...]
    next: int | None = None


class PackageView(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the pool. ``targets`` are those it is offered to that the token may see."""

    cpv: str
    repository: str
    use: tuple[str, ...]
    path: str
    number: int
    size: int
    arch: str
    chost: str
    made: float
    build: str | None
    levels: tuple[Level, ...]
    targets: tuple[str, ...]


class Packages(msgspec.Struct, frozen=True):
    """Packages of the pool."""

    packages: tuple[PackageView, ...]


class CostView(msgspec.Struct, frozen=True, kw_only=True):
    """What a level costs: environments, packages to build in them, those ready, bytes of all."""

    level: Level
    meaning: str
    environments: int
    builds: int
    ready: int
    bytes: int


class Costs(msgspec.Struct, frozen=True):
    """What each level costs for what a target asks for, and the default with its reason."""

    atoms: tuple[str, ...]
    levels: tuple[CostView, ...]
    default: Level
    reason: str


class Health(msgspec.Struct, frozen=True):
    """The service is there. ``proofs_failing`` are those of targets with ``faults``."""

    state: str
    version: str
    queued: int
    running: int
    proofs_failing: int


SHOWN = (
    BuildView, Builds, Costs, DescriptionTaken, Enrolled, Health, Packages, TargetView, Targets,
    TokenView, Wanted,
)  # fmt: skip


def answer(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def target_view(
    target: Target,
    *,
    packages: int,
    proven: bool,
    public_key: str | None = None,
    owner: str | None = None,
    faults: Iterable[Fault] = (),
) -> TargetView:
    """A target as clients see it: not its description."""
    return TargetView(
        id=target.id,
        name=target.name,
        digest=target.digest,
        level=target.level,
        arch=target.arch,
        chost=target.chost,
        profile=target.profile,
        notes=target.notes,
        made=target.made,
        changed=target.changed,
        packages=packages,
        proven=proven,
        binhost=f"/t/{target.id}",
        public_key=public_key,
        owner=owner,
        faults=tuple(each.words for each in faults),
    )


def build_view(
    build: Build,
    outcomes: Collection[Outcome],
    position: int,
    seen: Collection[str],
    verdicts: Mapping[int, str | None],
    logs: Collection[str],
) -> BuildView:
    """A build as clients see it that may see the targets ``seen``.

    ``verdicts`` are of the packages that it made: None for those that are offered.
    """
    base = f"/api/v1/builds/{build.id}"
    made, refused = [], []
    for each in outcomes:
        if each.state == "failed" or each.package is None:
            log = f"{base}/log/{each.cpv}" if each.cpv in logs else None
            refused.append(RefusedOf(each.cpv, each.words or "it was removed", log))
            continue
        words = verdicts.get(each.package, "")
        made.append(
            PackageOf(
                cpv=each.cpv,
                built=each.built,
                accepted=words is None,
                words=words or "",
                seconds=each.seconds,
            )
        )
    return BuildView(
        id=build.id,
        state=build.state,
        atoms=build.atoms,
        options=build.work.options,
        level=build.work.level,
        targets=tuple(each for each in build.targets if each in seen),
        asked=build.asked,
        started=build.started,
        ended=build.ended,
        seconds=build.seconds,
        position=position,
        attempts=build.attempts,
        notes=build.notes,
        error=None if build.error is None else error_of(build.error),
        packages=tuple(made),
        refused=tuple(refused),
        events=f"{base}/events",
    )


def error_of(error: Mapping[str, Any]) -> ErrorOf:
    """What clients see of an error (`ClocheError.as_data`)."""
    return ErrorOf(
        str(error.get("what")), error.get("where"), error.get("todo"), error.get("detail")
    )


def package_view(
    package: Package, build: str | None, levels: Collection[Level], targets: Collection[str]
) -> PackageView:
    """A package as clients see it."""
    return PackageView(
        cpv=package.cpv,
        repository=package.repository,
        use=package.use,
        path=package.path,
        number=package.number,
        size=package.size,
        arch=package.arch,
        chost=package.chost,
        made=package.made,
        build=build,
        levels=tuple(sorted(set(levels), key=lambda level: level.rank)),
        targets=tuple(targets),
    )


def cost_view(cost: Cost) -> CostView:
    """What a level costs."""
    return CostView(
        level=cost.level,
        meaning=cost.level.meaning,
        environments=cost.environments,
        builds=cost.builds,
        ready=cost.ready,
        bytes=cost.bytes,
    )
