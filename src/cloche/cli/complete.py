"""Completion of names on the command line; it must be quick and never fail.

Every command loads this file, so what completes loads what it needs by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.errors import ClocheError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cloche.config.project import Project


def complete_machine(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Machines of the project around the current directory."""
    try:
        project = _project(context)
        return [name for name in project.machines if name.startswith(begun)]
    except (ClocheError, OSError):
        return []


def complete_boot(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Machines, images of a machine behind its name and a slash, and files."""
    from click.shell_completion import CompletionItem

    names = complete_machine(context, parameter, begun)
    name, slash, _ = begun.partition("/")
    try:
        if slash:
            images = _project(context).machine(name).images
            names = [f"{name}/{each.name}" for each in images]
    except (ClocheError, OSError):
        names = []
    found = [CompletionItem(each) for each in names if each.startswith(begun)]
    return found or [CompletionItem(begun, type="file")]


def complete_fragment(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Fragments of the machine that precedes it on the command line."""
    try:
        machine = _project(context).machine(context.params["machine"])
        return [part.name for part in machine.fragments if part.name.startswith(begun)]
    except (ClocheError, OSError, KeyError, TypeError):
        return []


def complete_seed(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Seeds that the project declares."""
    try:
        return [n for n in _project(context).seeds if n.startswith(begun)]
    except (ClocheError, OSError):
        return []


def complete_repo(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Repositories that the project declares."""
    try:
        return [n for n in _project(context).repos if n.startswith(begun)]
    except (ClocheError, OSError):
        return []


def complete_profile(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Profiles of the repositories that precede it on the command line."""
    from cloche.portage.repository import found_repository, profiles_of

    try:
        repos = [found_repository(Path(path)) for path in context.params.get("repos") or ()]
        names = [f"{repo.name}:{each.path}" for repo in repos for each in profiles_of(repo)]
        return [name for name in names if name.startswith(begun)]
    except (ClocheError, OSError, TypeError):
        return []


def complete_package(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Packages that builds in the project delivered, with and without their category."""
    from cloche.plan.names import cp_of

    try:
        root = _project(context).root
        texts = [p.read_text("utf-8") for p in root.glob("out/*/binpkgs/Packages")]
    except (ClocheError, OSError, UnicodeError):
        return []
    lines = (line for text in texts for line in text.splitlines())
    names = {cp_of(line.removeprefix("CPV: ")) for line in lines if line.startswith("CPV: ")}
    names |= {name.partition("/")[2] for name in names}
    return sorted(name for name in names if name.startswith(begun))


def complete_work_tree(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Packages with a work tree of `cloche patch prep`, each with an equals sign."""
    try:
        root = _project(context).root
        found = sorted(root.glob("work/*/*/.git"))
    except (ClocheError, OSError):
        return []
    names = [f"={each.parent.parent.name}/{each.parent.name}" for each in found]
    return [name for name in names if name.startswith(begun)]


def complete_patch(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Names of the files of patches in the project and its fragments."""
    try:
        root = _project(context).root
        found = [*root.glob("patches/*/*/*"), *root.glob("portage/*/patches/*/*/*")]
    except (ClocheError, OSError):
        return []
    names = {each.name for each in found if each.suffix in (".patch", ".diff")}
    return sorted(name for name in names if name.startswith(begun))


def complete_overlay_pair(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Packages of overlays that the project, or the system, lists."""
    from cloche.overlays import wishes

    try:
        return sorted(w.pair for w in wishes.read(_overlays(context)) if w.pair.startswith(begun))
    except (ClocheError, OSError):
        return []


def complete_overlay_file(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Eclasses, licences and packages in the repositories that are made of overlays."""
    try:
        tops = sorted(each for each in _overlays(context, lists=False).iterdir() if each.is_dir())
        names = {
            str(path.relative_to(top))
            for top in tops
            for pattern in ("eclass/*", "licenses/*", "*-*/*")
            for path in top.glob(pattern)
        }
    except (ClocheError, OSError):
        return []
    return sorted(name for name in names if name.startswith(begun))


def complete_build(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The word for a build besides its number."""
    return [word for word in ("last-built",) if word.startswith(begun)]


def complete_engine(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Engines, available or not."""
    from cloche.engines import choice

    return [name for name in choice.NAMES if name.startswith(begun)]


def _overlays(context: click.Context, *, lists: bool = True) -> Path:
    """Where packages of overlays are listed, or taken to."""
    from cloche.overlays import places

    root = context.params.get("root")
    try:
        top = None if root else _project(context).root
    except ClocheError:
        top = None
    return places.lists(root or Path("/"), top) if lists else places.top(root or Path("/"), top)


def _project(context: click.Context) -> Project:
    """The project around the directory of the command line. Raises ConfigError."""
    from cloche.config.project import load_project

    return load_project(Path(context.find_root().params.get("directory") or "."))
