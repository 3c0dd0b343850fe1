"""`cloche overlay`, also `olm`: single packages out of overlays."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cloche.cli.complete import complete_overlay_file, complete_overlay_pair
from cloche.cli.options import Options, say
from cloche.cli.overlay_taking import opened, placed, take
from cloche.cli.usage import Group
from cloche.config.errors import Origin
from cloche.display.text import count, one_line
from cloche.errors import ClocheError, Exit
from cloche.overlays import checking, record, wishes, work
from cloche.overlays.errors import offered
from cloche.overlays.places import Place
from cloche.overlays.wishes import Wish

_ROOT = "Root of the Gentoo system [the project around the directory; without one, /]."
_LIST = "repositories.xml that names the overlays: a file or an address [Gentoo's]."

Function = Callable[..., Any]

_root = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_ROOT,
)
_list = click.option("--list", "listed", metavar="FILE|URL", help=_LIST)
_dry_run = click.option("-n", "--dry-run", is_flag=True, help="Only show what would change.")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche overlay add app-misc/foo::guru
  cloche overlay add app-misc/foo::mine https://example.org/mine.git
  cloche overlay list
  cloche overlay update --dry-run
  cloche overlay why eclass/foo.eclass
""",
)
def overlay() -> None:
    """Take single packages out of overlays, with all that they need of them.

    Each overlay becomes a small repository of the same name. In a project it is below `overlays/`;
    on a Gentoo system below /var/lib/overlayman, by /etc/overlayman/packages. `olm` is the same.
    """


@overlay.command(
    "add",
    epilog="""\b
Examples:
  cloche overlay add app-misc/foo::guru dev-libs/bar::guru
  cloche overlay add app-misc/foo::mine https://example.org/mine.git --branch stable
  cloche overlay add app-misc/foo::mine /srv/mine.git --keyring /etc/mine.asc
  cloche overlay add app-misc/foo::mine --deps guru
""",
)
@click.argument("what", nargs=-1, required=True, metavar="CATEGORY/PN::OVERLAY... [ADDRESS]")
@click.option("--branch", default="", help="Branch of the overlay [its default one].")
@click.option("--keyring", default="", help="OpenPGP keys, one of which must sign its commits.")
@click.option("--deps", multiple=True, help="Overlay that dependencies may come from, too.")
@_list
@_root
@_dry_run
@click.pass_obj
def add_command(
    options: Options,
    what: tuple[str, ...],
    branch: str,
    keyring: str,
    deps: tuple[str, ...],
    listed: str | None,
    root: Path | None,
    dry_run: bool,
) -> None:
    """Add packages of overlays to the list, and take them.

    ADDRESS is that of the overlay's git repository; without it, the overlay is looked up by name.
    Comes along: eclasses, licences, data of profiles, and dependencies that no configured
    repository has. An overlay that is there stays at its commit; `update` takes a newer one.
    """
    lines = _lines(what, branch, keyring, deps)
    with opened(options, root, listed, making=not dry_run) as shop:
        there = wishes.read(shop.place.lists)
        new = [line for line in lines if line.pair not in {each.pair for each in there}]
        for line in lines:
            if line not in new:
                _check_as_listed(line, there)
                say(f"{line.pair}: on the list already")
        texts = wishes.added(shop.place.lists, new)
        names = {each.overlay for each in lines}
        take(shop, (*there, *new), names, texts, dry_run=dry_run)


@overlay.command(
    "update",
    epilog="""\b
Examples:
  cloche overlay update --dry-run
  cloche overlay update guru
  cloche overlay update --yes
""",
)
@click.argument("names", nargs=-1, metavar="[OVERLAY]...")
@_list
@_root
@_dry_run
@_yes
@click.pass_obj
def update_command(
    options: Options,
    names: tuple[str, ...],
    listed: str | None,
    root: Path | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Take the newest commits of overlays, after showing what would change.

    Local edits are kept. Where an overlay has changed the same file, nothing of it is taken.
    """
    with opened(options, root, listed, making=not dry_run) as shop:
        there = wishes.read(shop.place.lists)
        known = {*(each.overlay for each in there), *work.there(shop.place)}
        _check_names(names, known, shop.place)
        if not known:
            say(f"no packages are listed in {shop.place.lists}; see `cloche overlay add --help`")
        chosen = set(names) or known
        take(shop, there, chosen, {}, newest=True, ask=not yes, dry_run=dry_run)


@overlay.command(
    "rm",
    epilog="""\b
Examples:
  cloche overlay rm app-misc/foo::guru
  cloche overlay rm app-misc/foo::guru --dry-run
""",
)
@click.argument(
    "pairs",
    nargs=-1,
    required=True,
    metavar="CATEGORY/PN::OVERLAY...",
    shell_complete=complete_overlay_pair,
)
@_list
@_root
@_dry_run
@click.pass_obj
def rm_command(
    options: Options, pairs: tuple[str, ...], listed: str | None, root: Path | None, dry_run: bool
) -> None:
    """Remove packages from the list, and all that only they needed.

    With its last package, the repository of an overlay goes. Local edits are never removed.
    """
    with opened(options, root, listed, making=not dry_run) as shop:
        there = wishes.read(shop.place.lists)
        known = {each.pair for each in there}
        for pair in pairs:
            if pair not in known:
                where = Origin(shop.place.lists)
                raise ClocheError(f"“{pair}” is not there", where=where, todo=offered(pair, known))
        left = wishes.left(there, pairs)
        texts = wishes.removed(shop.place.lists, pairs)
        gone = [each for each in there if each.pair in pairs]
        names = {name for each in gone for name in (each.overlay, *each.deps)}
        take(shop, left, names, texts, dry_run=dry_run)


@overlay.command(
    "list",
    epilog="""\b
Examples:
  cloche overlay list
  cloche overlay list --json | jq -r '.[].commit'
""",
)
@_root
@_json
@click.pass_obj
def list_command(options: Options, root: Path | None, as_json: bool) -> None:
    """List the packages, their overlays with the commits, and why each is there."""
    rows: list[dict[str, Any]] = []
    with placed(options, root) as place:
        there, ours = wishes.read(place.lists), work.records(place)
        wanted = {each.overlay for each in there}
        for name in sorted({*wanted, *work.there(place)}):
            found = record.read(place.repository(name))
            packages = dict.fromkeys((e.package for e in there if e.overlay == name), "")
            rows.append(
                {
                    "overlay": name,
                    "address": found.address if found else "",
                    "commit": found.commit if found else "",
                    "path": str(place.repository(name)),
                    "packages": {**packages, **(found.packages if found else {})},
                    "lacking": dict(work.still_lacking(found, ours.values())) if found else {},
                }
            )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        state = row["commit"][:12] or f"not taken: run `cloche overlay update {row['overlay']}`"
        click.echo(one_line(f"{row['overlay']:<16} {state}  {row['address']}".rstrip()))
        for package, why in row["packages"].items():
            click.echo(one_line(f"  {package}" + (f"  needed by {why}" if why else "")))
        for atom, who in row["lacking"].items():
            click.echo(one_line(f"  no repository has {atom}, needed by {', '.join(who)}"))
    if not rows:
        say("no packages of overlays; see `cloche overlay add --help`")


@overlay.command(
    "why",
    epilog="""\b
Examples:
  cloche overlay why eclass/foo.eclass
  cloche overlay why /var/lib/overlayman/guru/licenses/foo
""",
)
@click.argument("file", metavar="FILE", shell_complete=complete_overlay_file)
@_root
@click.pass_obj
def why_command(options: Options, file: str, root: Path | None) -> None:
    """Tell which package brought FILE: a path, or one in the repositories."""
    with placed(options, root) as place:
        known: set[str] = set()
        found = 0
        for name in work.there(place):
            made = record.read(place.repository(name))
            path = _inside(file, place.repository(name))
            for each, why in _why(made.files if made else {}, path):
                found += 1
                click.echo(one_line(f"{name}: {each}: {', '.join(why) or 'the repository'}"))
            known |= set(made.files if made else ())
        if not found:
            todo = offered(file, known)
            raise ClocheError(f"no overlay brought “{file}”", where=place.top, todo=todo)


@overlay.command(
    "check",
    epilog="""\b
Examples:
  cloche overlay check
  cloche overlay check guru
""",
)
@click.argument("names", nargs=-1, metavar="[OVERLAY]...")
@_root
@click.pass_obj
def check_command(options: Options, names: tuple[str, ...], root: Path | None) -> None:
    """Check the repositories: local edits, Manifests, masters, and that nothing is missing.

    The exit status is 1 if there is anything to tell.
    """
    with placed(options, root) as place:
        wanted = wishes.by_overlay(wishes.read(place.lists))
        ours = work.records(place)
        known = {*wanted, *ours}
        _check_names(names, known, place)
        wrong = 0
        for name in sorted(names or known):
            for line in checking.faults(place, name, wanted.get(name), ours):
                wrong += 1
                click.echo(one_line(f"{name}: {line}"))
    if wrong:
        sys.exit(Exit.FAILED)
    say(f"{count(len(names or known), 'overlay')}: nothing is wrong")


def _lines(what: Sequence[str], branch: str, keyring: str, deps: Sequence[str]) -> tuple[Wish, ...]:
    """The lines of the arguments; an address is that of all of them. Raises ClocheError."""
    origin = Origin(Path("overlay add"))
    pairs = [word for word in what if "::" in word]
    rest = [word for word in what if "::" not in word]
    if len(rest) > 1 or not pairs:
        wrong = rest[0] if not pairs else rest[1]
        raise click.UsageError(f"“{wrong}” is not CATEGORY/PN::OVERLAY")
    options = {"branch": branch, "keyring": keyring and str(Path(keyring).absolute())}
    options["deps"] = ",".join(deps)
    if rest and "://" not in rest[0] and Path(rest[0]).exists():
        rest = [str(Path(rest[0]).absolute())]
    words = [*rest, *(f"{name}={value}" for name, value in options.items() if value)]
    return tuple(wishes.parse(" ".join((pair, *words)), origin) for pair in pairs)


def _check_as_listed(line: Wish, there: Sequence[Wish]) -> None:
    """See that what is said of a package that is listed is what its overlay has already."""
    if key := wishes.contradicted(there, line):
        where = next(each.origin for each in there if each.pair == line.pair)
        what = f"“{line.pair}” is on the list already, with another {key} or none"
        todo = "change the line, then run `cloche overlay update`"
        raise ClocheError(what, where=where, todo=todo)


def _check_names(names: Sequence[str], known: set[str], place: Place) -> None:
    for name in names:
        if name not in known:
            todo = offered(name, known)
            raise ClocheError(f"no package of “{name}” is there", where=place.lists, todo=todo)


def _inside(file: str, repository: Path) -> str:
    """A path as it is in a repository, whether it is given so or as a path of the host."""
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 - without `..`, but links are not followed
    if absolute.is_relative_to(repository.absolute()):
        return str(absolute.relative_to(repository.absolute()))
    return file.strip("/")


def _why(files: Any, path: str) -> Iterator[tuple[str, Sequence[str]]]:
    for each, made in files.items():
        if each == path or each.startswith(f"{path}/"):
            yield each, made.why
