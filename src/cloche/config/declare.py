"""Appends a declaration to cloche.toml, leaving the rest unchanged."""

from __future__ import annotations

from cloche.config import toml
from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable, replace_text
from cloche.config.project import Project, SeedSpec, load_project


def check_declaration(project: Project, spec: SeedSpec) -> None:
    """Check that a seed can be declared, before any work on it.

    An identical declaration may exist. Raises `ConfigError` for a different one, for an invalid
    name, and if the file cannot be written.
    """
    there = project.seeds.get(spec.name)
    if there is None:
        if not is_name(spec.name):
            raise ConfigError(
                Origin(project.file),
                f"“{spec.name}” is not a name for a seed",
                "use letters, digits, _ . + -",
            )
        check_writable(project.file)
        _with(project, spec)
    elif (there.type, dict(there.options)) != (spec.type, dict(spec.options)):
        raise ConfigError(
            there.origin,
            f"the seed “{spec.name}” is declared already, with other settings",
            "choose another --name",
        )


def declare_seed(project: Project, spec: SeedSpec) -> None:
    """Declare a seed in the project, unless it is declared. Raises as `check_declaration`."""
    project = load_project(project.root)  # it may have been changed while the seed was made
    check_declaration(project, spec)
    if spec.name not in project.seeds:
        replace_text(project.file, _with(project, spec))


def _with(project: Project, spec: SeedSpec) -> str:
    """The file's text with the declaration. Raises `ConfigError` if it cannot be appended."""
    text = project.file.read_bytes().decode()
    table = toml.dumps({"seeds": {spec.name: {"type": spec.type, **spec.options}}})
    gap = "" if not text or text.endswith("\n") else "\n"
    whole = f"{text}{gap}\n{table}"
    try:
        toml.loads(whole)
        whole.encode()
    except ValueError as error:
        raise ConfigError(
            Origin(project.file),
            f"a table [seeds.{spec.name}] cannot be added: {error}",
            "write each seed as a separate table, with names and values in UTF-8",
        ) from error
    return whole
