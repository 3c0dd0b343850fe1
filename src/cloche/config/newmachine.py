"""A new machine in a project, begun as another one (``cloche machine new``)."""

from __future__ import annotations

from pathlib import Path

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin, unwritable
from cloche.config.project import Project

LONGEST = 100  # characters; names of files, mounts and logs have more besides


def new_machine(project: Project, name: str, like: str) -> Path:
    """Write the file of a machine that is declared as ``like`` is; its path. Raises ConfigError."""
    source = project.machine(like).file
    target = source.parent / f"{name}.toml"
    if not is_name(name) or len(name) > LONGEST:
        shown = name if len(name) <= LONGEST else f"{name[:20]}…"
        what = f"“{shown}” is not a machine's name"
        todo = f"use letters, digits, _ . + -, at most {LONGEST}"
        raise ConfigError(Origin(source.parent), what, todo)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise ConfigError(Origin(target), "it is there already", "choose another name") from error
    except OSError as error:
        raise unwritable(target, str(error.strerror)) from error
    return target
