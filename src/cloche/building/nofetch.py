"""Sources that the user has to fetch (RESTRICT=fetch): their names, target, pkg_nofetch's text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloche.building.context import BuildContext
from cloche.building.package_tasks import Seen, build_task
from cloche.building.stages import stage_call
from cloche.plan.depgraph import Distfile, Package
from cloche.records.logs import new_log
from cloche.tasks.build import package_binds
from cloche.tasks.errors import (
    GuestError,
    StepError,
)
from cloche.tasks.guestcall import call

# DISTDIR inside: the sandbox's, and Portage's shadow of it below a build directory of its own.
_INSIDE = re.compile(r"/run/cloche/distdir\b|/var/tmp/\S*?/distdir\b")
_LONGEST = 8000  # characters of an ebuild's text


def by_hand(context: BuildContext, package: Package, absent: Sequence[Distfile]) -> StepError:
    """The error for files that RESTRICT=fetch leaves to the user, with pkg_nofetch's text.

    Runs that phase in a sandbox without network access.
    """
    directory = str(context.policy.distfiles[0]) if context.policy.distfiles else None
    log = new_log(context.store, package.cpv, "fetch")
    with context.store.workspace("nofetch") as workspace:
        wanted = stage_call(
            context,
            "nofetch",
            {"cpv": package.cpv, "repo": package.repo},
            workspace,
            log,
            binds=package_binds(build_task(context, package, Seen()), context.worker),
            package=package.id,
        )
        try:
            result, _ = call(context.engine, context.running, wanted)
            text = str(result.get("text") or "")
        except GuestError as error:
            text = error.detail or ""
    place = directory or "the directory of `[build] distfiles`"
    shown = _INSIDE.sub(lambda _: place, text[:_LONGEST])
    into = directory or "a directory, and name it in cloche.toml: [build] distfiles"
    return StepError(
        package.id,
        "fetch",
        f"to be fetched by hand: {', '.join(file.name for file in absent)}",
        log=str(log),
        todo=f"put {'it' if len(absent) == 1 else 'them'} into {into}",
        detail=shown,
    )
