"""`cloche freshroot list`, `rm`, `diff`, `save`: roots that were kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.cli.options import Options, opened_store, say
from cloche.config.errors import ConfigError
from cloche.config.fragments import machine_files
from cloche.config.project import Project, load_project
from cloche.display.text import SIGNS, count, date, one_line, size
from cloche.layers.compare import printable
from cloche.store import Store
from cloche.workflows import freshroot_kept as kept

if TYPE_CHECKING:
    from cloche.output.holdings import How
    from cloche.workflows.freshroot_changes import Changes

_MOST = 40  # files of a kind that are listed without --files


def shown(text: str) -> str:
    """A line with names of a root: they are untrusted, and any bytes."""
    return one_line(printable(text))


def complete_kept(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Kept roots, as far as they can be seen without opening the store."""
    try:
        options = context.find_object(Options)
        project = load_project(options.directory if options else Path())
        from cloche.cli.options import store_path

        place = store_path(options or Options(Path(), None), project) / "freshroots"
        names = (path.name for path in place.glob(f"{project.place}@*"))
        return sorted(n for each in names if (n := each.partition("@")[2]).startswith(begun))
    except Exception:
        return []


as_json_ = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("list", epilog="\b\nExample:\n  cloche freshroot list\n")
@as_json_
@click.pass_obj
def list_(options: Options, as_json: bool) -> None:
    """List the kept roots of the project: over what, since when, how large."""
    from cloche.cli.machine import table
    from cloche.store.usage import disk_usage

    project = load_project(options.directory)
    with opened_store(options, project) as store:
        rows = [
            {
                "name": each.name,
                "over": each.about.ground,
                "made": each.about.made,
                "size": disk_usage([each.place]),
            }
            for each in kept.kept(store, project)
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say("no freshroots are kept; `cloche freshroot SEED|MACHINE --keep NAME` makes one")
        return
    lines = [("root", "over", "made", "size")]
    for row in rows:
        when = date(float(str(row["made"])))
        lines.append((str(row["name"]), str(row["over"]), when, size(int(str(row["size"])))))
    for line in table(lines):
        click.echo(line)


@click.command(
    "rm",
    epilog="""\b
Examples:
  cloche freshroot rm experiment --dry-run
  cloche freshroot rm experiment
""",
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_kept)
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be removed.")
@click.pass_obj
def rm(options: Options, names: tuple[str, ...], dry_run: bool) -> None:
    """Remove kept roots with all that was done in them. Built packages stay in the store."""
    from cloche.store.usage import disk_usage

    project = load_project(options.directory)
    with opened_store(options, project) as store:
        for name in names:
            _check_there(store, project, name)
        for name in names:
            bytes_ = disk_usage([kept.place_of(store, project, name)])
            if not dry_run:
                kept.remove(store, project, name)
            click.echo(f"{'would remove' if dry_run else 'removed'} {name}  ({size(bytes_)})")


def _check_there(store: Store, project: Project, name: str) -> None:
    """See that there is a kept root, perhaps a damaged one. Raises ClocheError."""
    if "/" in name or not kept.place_of(store, project, name).is_dir():
        kept.known(store, project, name)


@click.command(
    "diff",
    epilog="""\b
Examples:
  cloche freshroot diff experiment
  cloche freshroot diff experiment --files
""",
)
@click.argument("name", shell_complete=complete_kept)
@click.option(
    "--files",
    is_flag=True,
    help=f"List all files: those of packages, and of your own not only {_MOST} of a kind.",
)
@as_json_
@click.pass_obj
def diff(options: Options, name: str, files: bool, as_json: bool) -> None:
    """Show what was done in a kept root: packages, versions, USE flags, files.

    Files that packages brought are counted by package; others are your own.
    """
    from cloche.cli.machine import line_of
    from cloche.workflows.freshroot_changes import changes, views

    project = load_project(options.directory)
    with opened_store(options, project) as store:
        found = kept.known(store, project, name)
        with kept.alone(store, found.place):
            done = changes(views(store, found))
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
        return
    for each in done.packages:
        click.echo(shown(line_of(each)))
    own = [(how, path) for how, path in done.files if path not in done.owners]
    for line in _listed(own, "", most=None if files else _MOST):
        click.echo(line)
    for line in _of_packages(done, files=files):
        click.echo(line)
    differing = count(len(done.packages), "package differs", "packages differ")
    packaged = count(len(done.owners), "file")
    more = ", which --files lists" if done.owners and not files else ""
    yours = count(len(own), "file")
    say(f"{name} and {found.about.ground}: {differing}, with {packaged}{more}; {yours} of your own")


def _of_packages(done: Changes, *, files: bool) -> Iterator[str]:
    """Lines for the files that packages brought or took away, with or without their names."""
    found: dict[str, list[tuple[How, str]]] = {}
    for how, path in done.files:
        if owner := done.owners.get(path):
            found.setdefault(owner, []).append((how, path))
    for owner, each in sorted(found.items()):
        number: Counter[str] = Counter(how for how, _ in each)
        counted = ", ".join(f"{number[how]} {how}" for how in SIGNS if number[how])
        yield shown(f"files of {owner}: {counted}")
        if files:
            yield from _listed(each, "    ", most=None)


def _listed(files: Sequence[tuple[How, str]], indent: str, most: int | None) -> Iterator[str]:
    """Lines for files with their signs, of each sign at most so many."""
    for wanted, sign in SIGNS.items():
        names = [name for how, name in files if how == wanted]
        for path in names[:most]:
            yield shown(f"{indent}{sign} /{path}")
        if most is not None and len(names) > most:
            yield f"{indent}{sign} {len(names) - most} more: --files lists them"


@click.command(
    "save",
    epilog="""\b
Example:
  cloche freshroot save experiment --as web2
""",
)
@click.argument("name", shell_complete=complete_kept)
@click.option("--as", "machine", required=True, metavar="MACHINE", help="Name of the new machine.")
@click.pass_obj
def save(options: Options, name: str, machine: str) -> None:
    """Make a machine of a kept root: its world file, and its changes of /etc/portage.

    They become machines/MACHINE.toml and the fragment portage/MACHINE. The root stays as it is.
    """
    from cloche.cli.machine import tell_hostname
    from cloche.workflows.freshroot import ground
    from cloche.workflows.freshroot_changes import portage_files, unmerged, views, world
    from cloche.workflows.freshroot_saving import nothing_to_save, saved, write

    project = load_project(options.directory)
    with opened_store(options, project) as store:
        found = kept.known(store, project, name)
        with kept.alone(store, found.place):
            view = views(store, found)
            atoms, etc, gone = world(view), portage_files(view), unmerged(view)
    if not atoms:
        raise nothing_to_save(name)
    made = saved(project, ground(project, found.about.ground), machine, atoms, etc)
    write(made.files)
    for path in made.files:
        click.echo(shown(str(path.relative_to(project.root))))
    for line in made.left:
        say(shown(f"not saved: {line}"))
    for cp in gone:
        say(shown(f"not saved: {cp} was unmerged; take it out of the machine's packages or sets"))
    say(f"other files are not part of it: `cloche freshroot diff {name}` shows them")
    try:
        new = load_project(options.directory).machine(machine)
        machine_files(new)
    except ConfigError as error:
        say(f"it contradicts what {machine} already says, correct it first: {error}")
        return
    tell_hostname(new, found.about.ground)
    say(f"see what it would build: `cloche plan {machine}`")
