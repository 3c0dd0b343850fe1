"""Finds steps of a machine's finish that remove what earlier ones write. A pure function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from cloche.config.errors import ConfigError, Origin
from cloche.config.finish_steps import FinishStep

_OF_ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
#: What steps write (passwd(5), localtime(5), hostname(5)).
_WRITES = {
    **dict.fromkeys(("user", "users", "group", "groups"), _OF_ACCOUNTS),
    "timezone": ("/etc/localtime",),
    "hostname": ("/etc/hostname",),
}


def check_removals(steps: Sequence[FinishStep]) -> None:
    """Refuse to remove what an earlier step writes or sets permissions of. Raises `ConfigError`."""
    written: dict[str, Origin] = {}
    for step in steps:
        written |= dict.fromkeys(_written(step), step.origin)
        if step.kind not in ("remove", "empty"):
            continue
        for word in step.words:
            pattern = f"{word.rstrip('/')}/*" if step.kind == "empty" else word
            path = next((each for each in written if _covers(pattern, each)), None)
            if path is not None:
                what = f"“{word}” removes {path}, which {written[path]} asks for"
                raise ConfigError(step.origin, what, "remove one of the two lines")


def _written(step: FinishStep) -> Iterator[str]:
    yield from _WRITES.get(step.kind, ())
    if step.kind == "permission":
        yield from (word.split(" ", 2)[2].rstrip("/") for word in step.words)


def _covers(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path, or a directory that it is in.

    In a shell no wildcard matches a slash, nor the dot that a name begins with.
    """
    wanted, parts = PurePosixPath(pattern).parts, PurePosixPath(path).parts
    return len(wanted) <= len(parts) and all(
        fnmatchcase(part, each) and (part[0] != "." or each[0] == ".")
        for each, part in zip(wanted, parts, strict=False)
    )
