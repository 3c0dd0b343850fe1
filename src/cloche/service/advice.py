"""Errors as the owner of a target sees them: with advice about a resolution that Portage refuses.

`cloche.building.unresolved` advises the owner of a project, who writes fragments for machines. A
target has an /etc/portage of its own.
"""

from __future__ import annotations

from cloche.errors import ClocheError
from cloche.service.events import NAME

_WORDS = {
    " (`--autounmask-write FRAGMENT` does it)": "",
    "; `--autounmask-write FRAGMENT` does it": "",
    "a fragment's package.": "/etc/portage/package.",
    "the machine's packages or sets": "the request, or in the target's world file",
    "run `cloche manifest": "let the service's administrator run `cloche manifest",
}


def for_owner(todo: str) -> str:
    """What the owner of a target can do, in its own /etc/portage."""
    for words, others in _WORDS.items():
        todo = todo.replace(words, others)
    return todo


def nameless(error: ClocheError, name: str) -> ClocheError:
    """An error that does not say for which target a build ran."""
    data = error.as_data()
    shown = {n: v.replace(name, NAME) if isinstance(v, str) else v for n, v in data.items()}
    if shown.get("todo"):
        shown["todo"] = for_owner(shown["todo"])
    return ClocheError.from_data(shown)
