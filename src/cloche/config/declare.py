"""Writing a declaration into cloche.toml: at its end, all that is there already left as it is."""

from __future__ import annotations

from cloche.config import toml
from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable, replace_text
from cloche.config.project import Project, SeedSpec, load_project


def check_declaration(project: Project, spec: SeedSpec) -> None:
    """See that a seed could be declared, before any work on it.

    One that is declared already, and says the same, may be. Raises `ConfigError` for one that
    says something else, for what is no name, and where the file cannot be written.
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
            f"the seed “{spec.name}” is declared already, otherwise",
            "choose another --name",
        )


def declare_seed(project: Project, spec: SeedSpec) -> None:
    """Have the project declare a seed, unless it does. Raises as `check_declaration`."""
    project = load_project(project.root)  # it may have been changed while the seed was made
    check_declaration(project, spec)
    if spec.name not in project.seeds:
        replace_text(project.file, _with(project, spec))


def _with(project: Project, spec: SeedSpec) -> str:
    """The file's text with the declaration. Raises `ConfigError` where it cannot have one."""
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
            "have each seed in a table of its own, with names and values in UTF-8",
        ) from error
    return whole
