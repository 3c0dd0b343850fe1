"""What a caller may choose when a machine is planned or built; none of it is in the project."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Choices:
    """How to plan or build.

    ``jobs`` packages are built at once (None: as the project says, or as many as there are cores).
    ``keep_going`` goes on after a failure with all that can be done. ``offline`` fetches nothing.
    ``strict`` hides all of the seed but a named toolchain from builds, ``locked`` refuses what is
    not as in cloche.lock, ``strict_hooks`` and ``strict_config`` make errors of warnings. ``live``
    lets live ebuilds fetch. ``autounmask_write`` is the fragment that takes what Portage proposes.
    With ``packages`` only these and what they need are built, and nothing is delivered; packages of
    ``rebuild`` are built although they are known.

    Raises TypeError for a value of a wrong type, ValueError for ``jobs`` below 1.
    """

    jobs: int | None = None
    keep_going: bool = False
    offline: bool = False
    strict: bool = False
    locked: bool = False
    strict_hooks: bool = False
    strict_config: bool = False
    live: bool = False
    autounmask_write: str | None = None
    packages: tuple[str, ...] = ()
    rebuild: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, such as a string in the place of a tuple of strings."""
        for name, value in ((each.name, getattr(self, each.name)) for each in fields(self)):
            kind, fits = _EXPECTED.get(name, _FLAG)
            if not fits(value):
                raise TypeError(f"Choices: {name} is {kind}, not {value!r}")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"Choices: jobs is at least 1, not {self.jobs}")


def _are_strings(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


_Kind = tuple[str, Callable[[object], bool]]
_FLAG: _Kind = ("True or False", lambda value: isinstance(value, bool))
_STRINGS: _Kind = ("a tuple of strings", _are_strings)
_EXPECTED: dict[str, _Kind] = {
    "jobs": ("a number or None", lambda value: value is None or type(value) is int),
    "autounmask_write": ("a string or None", lambda value: value is None or isinstance(value, str)),
    "packages": _STRINGS,
    "rebuild": _STRINGS,
}
