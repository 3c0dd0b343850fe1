"""Reads the files of a project that was made of a spec."""

from __future__ import annotations

import tomllib
from typing import Any

from cloche.catalyst.making import Project


def text(made: Project, file: str) -> str:
    content = made.files[file]
    assert isinstance(content, str)
    return content


def declared(made: Project) -> dict[str, Any]:
    """``cloche.toml``."""
    return tomllib.loads(text(made, "cloche.toml"))


def machine(made: Project, name: str) -> dict[str, Any]:
    return tomllib.loads(text(made, f"machines/{name}.toml"))


def conf_of(made: Project, fragment: str) -> str:
    """make.conf of a fragment."""
    return text(made, f"portage/{fragment}/make.conf")
