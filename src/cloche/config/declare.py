"""Writing a declaration into cloche.toml: at its end, all that is there already left as it is."""

from __future__ import annotations

from collections.abc import Mapping

from cloche.config import toml
from cloche.config.atoms import is_name
from cloche.config.errors import MalformedError, Origin
from cloche.config.project import Option, Project, SeedSpec, load_project


def declare_seed(
    project: Project, name: str, kind: str, options: Mapping[str, Option]
) -> tuple[Project, SeedSpec]:
    """Have the project declare a seed, and read it again.

    One that says the same already stays. Raises `MalformedError` for one of that name that says
    something else, and for what is no name.
    """
    there = project.seeds.get(name)
    if there is None:
        if not is_name(name):
            raise MalformedError(
                Origin(project.file),
                f"“{name}” is no name for a seed",
                "use letters, digits, _ . + -",
            )
        text = project.file.read_text(encoding="utf-8")
        table = toml.dumps({"seeds": {name: {"type": kind, **options}}})
        gap = "" if not text or text.endswith("\n") else "\n"
        project.file.write_text(f"{text}{gap}\n{table}", encoding="utf-8")
        project = load_project(project.root)
    elif (there.type, dict(there.options)) != (kind, dict(options)):
        raise MalformedError(
            there.origin,
            f"the seed “{name}” is declared already, otherwise",
            "choose another --name",
        )
    return project, project.seeds[name]
