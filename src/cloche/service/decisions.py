"""What the queue decides: which build is next, which one answers a request. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from cloche.service.values import Build, Candidate, Judged


def next_builds(queued: Sequence[Build], running: Sequence[Build], lanes: int) -> list[Build]:
    """The builds to start now: the oldest first, one of a target at a time."""
    busy = {target for build in running for target in build.targets}
    started: list[Build] = []
    for build in sorted(queued, key=lambda each: each.number):
        if len(running) + len(started) >= lanes:
            break
        if busy.isdisjoint(build.targets):
            started.append(build)
            busy |= set(build.targets)
    return started


def answering(
    builds: Iterable[Build],
    target: str,
    atoms: Collection[str],
    repositories: str,
    offered: Collection[int],
    made: Mapping[str, Collection[int]],
) -> Build | None:
    """The build that answers a target's request, of those of equal work; None: a new one has to.

    One in the queue that is for this target alone takes more atoms. One that runs, or ended without
    being stopped while the ``repositories`` were the same, answers for its own atoms; what it
    ``made`` must still be ``offered``, and one that failed answers for whole requests only. Builds
    of other targets answer if they were asked for exactly the same: neither learns anything of the
    other.
    """
    wanted = set(atoms)
    for build in builds:
        alone, has = build.targets == (target,), set(build.atoms)
        if build.state == "stopped" or not (alone or wanted == has):
            continue
        if build.state == "queued":
            return build
        if not wanted <= has:
            continue
        if build.state == "failed" and wanted not in (has, *map(set, build.parts)):
            continue  # some of it may succeed without the rest
        if build.state == "running":
            return build
        if build.repositories == repositories and set(made.get(build.id, ())) <= set(offered):
            return build
    return None


def rounds(
    candidates: Sequence[Candidate], own: Collection[str], accepted: Collection[int] = ()
) -> list[Candidate]:
    """One candidate of each CPV, in the order in which they should be tried.

    Those that were accepted before come first, then those that were built for the target itself
    (``own`` digests), then the newest.
    """
    best: dict[str, Candidate] = {}
    for each in candidates:
        other = best.get(each.cpv)
        if other is None or _rank(each, own, accepted) > _rank(other, own, accepted):
            best[each.cpv] = each
    return list(best.values())


def _rank(
    each: Candidate, own: Collection[str], accepted: Collection[int]
) -> tuple[bool, bool, int]:
    return each.id in accepted, each.digest in own, each.id


def left_over(candidates: Sequence[Candidate], judged: Iterable[Judged]) -> list[Candidate]:
    """The candidates to try next: those of CPVs that were refused, without those that were."""
    by_id = {each.candidate: each for each in judged}
    taken = {each.cpv for each in candidates if each.id in by_id and by_id[each.id].accepted}
    return [each for each in candidates if each.id not in by_id and each.cpv not in taken]
