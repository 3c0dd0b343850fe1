"""Changes of targets: the same for the API and for pages."""

from __future__ import annotations

import time
from dataclasses import replace

from cloche.service.core import Service
from cloche.service.problems import ProblemError
from cloche.service.values import Target
from cloche.service.views import ChangedTarget

_LONGEST_NAME = 100


def checked_name(name: str) -> str:
    """The name of a target. Raises ProblemError."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        what = f"a target's name is 1 to {_LONGEST_NAME} printable characters"
        raise ProblemError(422, what, todo="use its host name")
    return name.strip()


def change_target(service: Service, target: Target, wish: ChangedTarget) -> Target:
    """Give a target another name or level, and an index for that. Raises ProblemError."""
    name = target.name if wish.name is None else checked_name(wish.name)
    level = wish.level or target.level
    changed = replace(target, name=name, level=level, changed=time.time())
    service.database.change_target(changed)
    if level != target.level:
        service.prover.later_of(changed)
    return changed
