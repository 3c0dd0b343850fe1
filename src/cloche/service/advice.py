"""Advice about a resolution that Portage refuses, for the owner of a target.

`cloche.building.unresolved` advises the owner of a project, who writes fragments for machines. A
target has an /etc/portage of its own.
"""

from __future__ import annotations

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
