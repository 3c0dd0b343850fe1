"""Secrets lie apart from what cloche copies: the store would have a copy, which all can read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.machine import Machine

Copied = tuple[Path, Origin]
"""A file or directory of the project that is copied, and where that is said."""


def check_apart(machine: Machine, repos: Iterable[Copied] = ()) -> None:
    """Refuse a secret's or signing key's file that is copied as something else, too.

    ``repos`` are repositories in directories. Raises `ConfigError`.
    """
    signing = machine.kernel.signing if machine.kernel else None
    secrets = (*machine.secrets, *((signing.key,) if signing else ()))
    files = [(each, os.path.realpath(each.file)) for each in secrets if each.file is not None]
    for place, origin in (*copied(machine), *repos) if files else ():
        real = os.path.realpath(place)
        for secret, file in files:
            if os.path.commonpath((real, file)) == real:
                where = "which is" if real == file else f"which lies in {place}, and that is"
                what = f"{secret.title} is {secret.file}, {where} copied because of {origin}"
                todo = "keep it outside of the project, or in a directory that nothing names"
                raise ConfigError(secret.origin, what, todo)


def copied(machine: Machine) -> Iterator[Copied]:
    """What of the project gets into builds, the machine's root or its images."""
    for fragment in machine.fragments:
        yield fragment.directory, fragment.origin
    for name in ("patches", "sets"):
        yield machine.root / name, Origin(machine.root / name)
    for step in machine.finish:
        for path in (step.path, step.inputs):
            if path is not None:
                yield path, step.origin
    if (kernel := machine.kernel) is not None:
        certificate = (kernel.signing.certificate,) if kernel.signing else ()
        for file in (*((kernel.config,) if kernel.config else ()), *kernel.fragments, *certificate):
            yield file.path, kernel.origin
    for image in machine.images:
        for field in fields(image.format):
            value = getattr(image.format, field.name)
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path):
                    yield path, image.origin
