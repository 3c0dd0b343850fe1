"""Sources that a person has to fetch: which, where they go, and what the ebuild says about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cloche.build import views
from cloche.build.errors import FetchByHandError, GuestError
from cloche.build.guestcall import Call, call
from cloche.build.logs import new_log
from cloche.build.workshop import Workshop, make_directory
from cloche.plan.depgraph import Distfile, Package

# DISTDIR inside: the sandbox's, and Portage's shadow of it below a build directory of its own.
_INSIDE = re.compile(r"/run/cloche/distdir\b|/var/tmp/\S*?/distdir\b")
_LONGEST = 8000  # characters of an ebuild's words


def by_hand(shop: Workshop, package: Package, absent: Sequence[Distfile]) -> FetchByHandError:
    """The error for files that RESTRICT=fetch leaves to a person, with pkg_nofetch's words.

    That phase runs here, in a sandbox without a network.
    """
    directory = str(shop.policy.distfiles[0]) if shop.policy.distfiles else None
    log = new_log(shop.store, package.cpv, "fetch")
    with shop.store.workspace("nofetch") as workspace:
        wanted = Call(
            script="nofetch",
            request={"cpv": package.cpv, "repo": package.repo},
            sandbox=shop.sandbox(
                (),
                upper=make_directory(workspace, "root"),
                binds=views.for_build(shop.inputs, package),
            ),
            workspace=workspace,
            log=log,
            environment=shop.environment(),
            timeout=shop.policy.phase_seconds,
            package=package.id,
        )
        try:
            result, _ = call(shop.engine, shop.running, wanted)
            text = str(result.get("text") or "")
        except GuestError as error:
            text = error.tail
    place = directory or "the directory of `[build] distfiles`"
    shown = _INSIDE.sub(lambda _: place, text[:_LONGEST])
    return FetchByHandError(
        package.id, tuple(file.name for file in absent), directory, str(log), shown
    )
