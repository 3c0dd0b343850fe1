"""README.md of an imported project's directories: those of `cloche init`, with its own names."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from cloche.config import toml
from cloche.config.template import template
from cloche.importing.outcome import Imported, ProjectFile

NAME = "README.md"
_KEYS = ("seed", "profile", "portage", "sets")
_EXAMPLE = 'seed = "debian"'  # how that of a machine's file begins


def readmes(imported: Imported) -> dict[str, ProjectFile]:
    """The texts for each directory of `cloche init` that the project has, too."""
    tops = {name.partition("/")[0] for name in imported.files if "/" in name}
    return {
        f"{top}/{NAME}": ProjectFile(_with_names(top, text.decode(), imported).encode())
        for top, text in _of_template()
        if top in tops and f"{top}/{NAME}" not in imported.files
    }


def _of_template() -> Iterator[tuple[str, bytes]]:
    for name, text in template().items():
        top, slash, file = name.partition("/")
        if slash and file == NAME:
            yield top, text


def _with_names(top: str, text: str, imported: Imported) -> str:
    """A text in which what the template calls its own is replaced by names of the project."""
    machine = imported.machines[0]
    said = _said(imported.files, machine)
    if top == "machines":
        own: dict[str, Any] = {key: said[key] for key in _KEYS if key in said}
        begin, end = text.index(_EXAMPLE), text.index('hostname = "second"')
        text = f"{text[:begin]}{toml.dumps(own).rstrip()}\n\n{text[end:]}"
        return text.replace("--like first", f"--like {machine}").replace(
            "diff first", f"diff {machine}"
        )
    if top == "portage" and said.get("portage"):
        fragment = said["portage"][-1]
        return text.replace('"base"', f'"{fragment}"').replace("write base", f"write {fragment}")
    if top == "sets" and (name := _first_set(imported.files)):
        text = text.replace("@basics\n", f"@{name}\n")
        atoms = [atom for atom in said.get("packages", ()) if not atom.startswith("@")]
        return text.replace("app-misc/greeting", atoms[0]) if atoms else text
    return text


def _said(files: Mapping[str, ProjectFile], machine: str) -> dict[str, Any]:
    return tomllib.loads(files[f"machines/{machine}.toml"].content.decode())


def _first_set(files: Mapping[str, ProjectFile]) -> str | None:
    names = (name.removeprefix("sets/") for name in sorted(files) if name.startswith("sets/"))
    return next((name for name in names if "/" not in name and not name.startswith("README")), None)
