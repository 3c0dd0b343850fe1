"""``cloche init``: a small project to start from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.errors import unwritable


def _files(directory: Traversable, prefix: str = "") -> dict[str, bytes]:
    """All files of the template, by relative name."""
    found: dict[str, bytes] = {}
    for child in directory.iterdir():
        if child.name in ("__pycache__", "__init__.py"):
            continue
        name = f"{prefix}{child.name}"
        if child.is_dir():
            found.update(_files(child, f"{name}/"))
        else:
            found[name] = child.read_bytes()
    return found


def template() -> dict[str, bytes]:
    """The files of a new project: relative name to content, sorted."""
    return dict(sorted(_files(resources.files("cloche.config").joinpath("template")).items()))


def init(directory: Path, changed: Mapping[str, bytes] | None = None) -> tuple[str, ...]:
    """Write a new project into ``directory`` (new, or empty); return the names written.

    ``changed`` files replace those of the template. Raises `ConfigError` before anything is
    written, `ClocheError` where writing fails.
    """
    try:
        taken = directory.is_symlink() or directory.exists()
        if taken and (not directory.is_dir() or any(directory.iterdir())):
            raise ConfigError(
                Origin(directory),
                "not an empty directory",
                "choose a new or an empty directory; nothing was written",
            )
        files = {**template(), **(changed or {})}
        for name, content in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as file:
                file.write(content)
    except OSError as error:
        todo = "choose a directory that you may write to"
        raise unwritable(error.filename or directory, error, todo) from error
    return tuple(files)
