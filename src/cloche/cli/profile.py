"""`cloche profile`: the profiles that machines can use."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cloche.cli.complete import complete_repo
from cloche.cli.options import Options, opened_store, say
from cloche.cli.usage import Group
from cloche.config.errors import nearest
from cloche.config.project import Project, load_project
from cloche.errors import ClocheError
from cloche.portage.repository import Profile, profiles_of, read_repository
from cloche.trees.errors import unknown_repository
from cloche.trees.stored import place


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche profile list
  cloche profile list gentoo --arch amd64
""",
)
def profile() -> None:
    """List the profiles of repositories."""


@profile.command(
    "list",
    epilog="""\b
Examples:
  cloche profile list
  cloche profile list gentoo --arch amd64 --status stable
  cloche profile list --json | jq -r '.[].profile'
""",
)
@click.argument("name", metavar="[REPO]", required=False, shell_complete=complete_repo)
@click.option("--arch", help="Only profiles of this architecture.")
@click.option("--status", help="Only profiles of this status: stable, dev or exp.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_command(
    options: Options, name: str | None, arch: str | None, status: str | None, as_json: bool
) -> None:
    """List profiles as used in a machine file, with ARCH and status from profiles.desc.

    An asterisk marks profiles that a machine of the project uses.
    """
    project = load_project(options.directory)
    if name is not None and name not in project.repos:
        raise unknown_repository(name, project.repos)
    found = [
        (repo, each)
        for repo in ([name] if name else project.repos)
        for each in _profiles(options, project, repo)
    ]
    _check_word("architecture", arch, {each.arch for _, each in found})
    _check_word("status", status, {each.status for _, each in found})
    shown = [
        (f"{repo}:{each.path}", each)
        for repo, each in found
        if (arch in (None, each.arch)) and (status in (None, each.status))
    ]
    used = _used(project)
    if as_json:
        rows = [{"profile": text, **asdict(each), "used": text in used} for text, each in shown]
        click.echo(json.dumps(rows, indent=2))
        return
    wide = max((len(text) for text, _ in shown), default=0)
    for text, each in shown:
        mark = "*" if text in used else " "
        click.echo(f"{mark} {text:<{wide}}  {each.arch:<8} {each.status}".rstrip())
    if not shown:
        say("no profiles")


def _profiles(options: Options, project: Project, name: str) -> tuple[Profile, ...]:
    spec = project.repos[name]
    if spec.path is not None:
        return profiles_of(read_repository(name, spec.path, spec.origin))
    with opened_store(options, project) as store:
        return profiles_of(read_repository(name, place(store, project, spec), spec.origin))


def _check_word(kind: str, word: str | None, known: set[str]) -> None:
    if word is None or word in known:
        return
    close = nearest(word, known)
    offer = f"did you mean “{close}”? " if close else ""
    there_is = ", ".join(sorted(filter(None, known))) or "none"
    raise click.UsageError(f"no profile has the {kind} “{word}”; {offer}there is: {there_is}")


def _used(project: Project) -> set[str]:
    """The profiles of the project's machines. A broken machine file is reported by its build."""
    used = set()
    for name in project.machines:
        try:
            chosen = project.machine(name).profile
        except ClocheError:
            continue
        used.add(f"{chosen.repo}:{chosen.path}")
    return used
