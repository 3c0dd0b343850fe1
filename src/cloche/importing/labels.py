"""Names of machines, fragments and sets, made of other names."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.config.atoms import is_name


def plain_name(name: str) -> str:
    """A name as cloche has them: letters, digits, ``_ . + -``."""
    kept = (char if char.isascii() and (char.isalnum() or char in "_.+-") else "-" for char in name)
    plain = "".join(kept)
    return plain if is_name(plain) else f"x{plain}"


def free_name(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken."""
    others = set(taken)
    number, found = 2, name
    while found in others:
        found, number = f"{name}-{number}", number + 1
    return found
