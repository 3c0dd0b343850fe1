"""`cloche autogen run`: a whole repository kept up to date."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.cli.autogen_pkgcheck import check_root, declaring, findings_in
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, project_or_none, say
from cloche.cli.usage import NewFile
from cloche.display.text import one_line
from cloche.errors import ClocheError, Exit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloche.autogen.run.listed import Kind, Listing
    from cloche.autogen.run.report import Outcome
    from cloche.autogen.run.upstream import Upstream
    from cloche.config.project import Project
    from cloche.portage.repository import Repository

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
# Parameters that the command of a timer does not repeat.
NOT_OF_TIMERS = ("again", "as_json", "dry_run", "listed", "timer")


@click.command(
    epilog="""\b
Examples:
  cloche autogen run --dry-run
  cloche autogen run overlay/autogen.toml --report /var/log/autogen.json
  cloche autogen run --cache first --pkgcheck checks
  cloche autogen run --print-timer systemd
"""
)
@click.argument(
    "listed",
    metavar="[FILE]",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=False,
)
@click.option("--into", type=DIRECTORY, help="The ebuild repository [the file's].")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    type=DIRECTORY,
    help="Another repository whose packages are used, beside those of the file and the system.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Write nothing; report what would change.")
@click.option("--again", is_flag=True, help="Make anew also what has no new release.")
@click.option("--index-url", metavar="URL", help="The index of packages [pip's].")
@click.option("--api-url", metavar="URL", help="GitHub's API [$GITHUB_API_URL, else GitHub's].")
@click.option("--crates-url", metavar="URL", help="Where Rust crates are [pycargoebuild's].")
@click.option(
    "--distdir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where source archives are kept [~/.cache/cloche/distfiles].",
)
@click.option(
    "--cache",
    "machine",
    metavar="MACHINE",
    shell_complete=complete_machine,
    help="Also write metadata/md5-cache, by the Portage of this machine's seed.",
)
@click.option(
    "--pkgcheck",
    metavar="MACHINE",
    shell_complete=complete_machine,
    help="Also scan the new ebuilds with pkgcheck in the root of this machine.",
)
@click.option("--report", type=NewFile(), help="Write the report to a file, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--print-timer",
    "timer",
    type=click.Choice(("systemd", "cron")),
    help="Print units, or a line for cron, that run this command once a day; and exit.",
)
@click.pass_context
def run(
    context: click.Context,
    /,
    listed: Path | None,
    into: Path | None,
    repos: tuple[Path, ...],
    dry_run: bool,
    again: bool,
    index_url: str | None,
    api_url: str | None,
    crates_url: str | None,
    distdir: Path | None,
    machine: str | None,
    pkgcheck: str | None,
    report: Path | None,
    as_json: bool,
    timer: str | None,
) -> None:
    """Write the ebuilds of new releases of all packages that FILE lists (docs/autogen.md).

    FILE is autogen.toml. A package that fails does not stop the others; then the exit status is 1.
    """
    from cloche.cli import autogen as frame

    frame.require()
    from cloche.autogen.run.listed import read_listing
    from cloche.autogen.run.report import data, lines
    from cloche.config.files import replace_text
    from cloche.portage.repository import found_repository

    if dry_run and (machine or pkgcheck):
        raise click.UsageError("--dry-run cannot be combined with --cache or --pkgcheck")
    options: Options = context.obj
    listed = listed or options.directory / "autogen.toml"
    listing = read_listing(listed)
    given = into or listing.repository
    needed = given is None or machine is not None or pkgcheck is not None
    project = project_or_none(options) if needed else None
    repository = found_repository(frame.target_of(project, given).absolute())
    if timer is not None:
        _print_timer(context, timer, listed, repository)
        return
    for option, name in (("--cache", machine), ("--pkgcheck", pkgcheck)):
        if name is not None:
            project = declaring(project, name, repository, option)
    if pkgcheck is not None and project is not None:
        check_root(options, project, pkgcheck)
    places = (repository.path, *repos, *listing.repos, *frame.places_of(options, project))
    distdir = (distdir or frame.cache_directory() / "distfiles").absolute()
    addresses = (index_url, api_url, crates_url)
    outcomes = _outcomes(listing, repository, places, distdir, addresses, dry_run, again)
    failure = None  # is raised after the report
    if project is not None and pkgcheck is not None:
        try:
            outcomes = _checked(outcomes, options, project, pkgcheck, repository)
        except ClocheError as error:
            failure = error
    text = json.dumps(data(repository.path, outcomes, dry_run=dry_run), indent=2)
    if report is not None:
        replace_text(report.absolute(), f"{text}\n")
    click.echo(text if as_json else "\n".join(map(one_line, lines(outcomes))))
    if failure is not None:
        raise failure
    if project is not None and machine is not None:
        _write_cache(options, project, machine, repository)
    if any(each.is_failure for each in outcomes):
        context.exit(Exit.FAILED)


def _checked(
    outcomes: Sequence[Outcome],
    options: Options,
    project: Project,
    machine: str,
    repository: Repository,
) -> list[Outcome]:
    """The outcomes with pkgcheck's findings in new ebuilds. Raises `ClocheError`."""
    from cloche.autogen.run.report import with_findings

    new = [cpv for each in outcomes if each.files for cpv in each.cpvs]
    return with_findings(outcomes, findings_in(options, project, machine, repository, new))


def _write_cache(options: Options, project: Project, machine: str, repository: Repository) -> None:
    """Write metadata/md5-cache where it differs. Raises `ClocheError`."""
    from cloche.autogen.lock import alone
    from cloche.autogen.repository import cache_changes, write
    from cloche.autogen.trial import cache_entries
    from cloche.cli.options import opened_session
    from cloche.cli.showing import Shown, opened_display

    shown = Shown(opened_display("auto", verbose=False))
    with opened_session(options, project, machine, sink=shown) as session, shown.work_of(session):
        entries = cache_entries(session, project.machine(machine), repository.name)
    with alone(repository.path):
        write(repository.path, [cache_changes(repository, entries)])


def _outcomes(
    listing: Listing,
    repository: Repository,
    places: tuple[Path, ...],
    distdir: Path,
    addresses: tuple[str | None, str | None, str | None],
    dry_run: bool,
    again: bool,
) -> list[Outcome]:
    """Run over the list."""
    from cloche.autogen.github.api import Api, address_of, token_of_environment
    from cloche.autogen.github.mapping import names
    from cloche.autogen.lock import alone
    from cloche.autogen.pypi.index import page_for_people
    from cloche.autogen.run.conditional import KeptIndex
    from cloche.autogen.run.record import Record
    from cloche.autogen.run.running import Run
    from cloche.autogen.run.upstream import Github, Pypi
    from cloche.autogen.trees import Trees
    from cloche.cli import autogen as frame
    from cloche.seeds.debian.pip_config import host_settings

    index_url, api_url, crates_url = addresses
    pip, cache, top = host_settings(), frame.cache_directory(), repository.path
    if index_url is not None:
        pip = replace(pip, indexes=(index_url.rstrip("/") + "/",))
    trees = Trees(tuple(dict.fromkeys(places)))
    with (
        alone(top),
        KeptIndex(pip, cache / "index") as index,
        Api(address_of(api_url), cache / "github", token_of_environment()) as api,
        Record(cache / "autogen", top) as record,
    ):
        pypi = Pypi(index, trees, top, distdir, page_for_people(), say, crates_url)
        github = Github(api, trees, top, distdir, names(listing.names), say, crates_url)
        upstream: Mapping[Kind, Upstream] = {"pypi": pypi, "github": github}
        run = Run(repository, trees, upstream, record, dry_run, again)
        return list(run.outcomes(listing.entries))


def _print_timer(context: click.Context, kind: str, listed: Path, repository: Repository) -> None:
    """Print what runs this command line once a day, as the owner of the repository."""
    from cloche.autogen.run.timer import Setup, timer_text

    words = ["autogen", "run", str(listed.absolute())]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        for each in value if isinstance(value, tuple) else (value,):
            if option.name not in NOT_OF_TIMERS and each is not None:
                text = str(each.absolute()) if isinstance(each, Path) else str(each)
                words += [max(option.opts, key=len), text]
    try:
        user = repository.path.owner()
    except KeyError:
        what = "its owner is not a user of this host"
        raise ClocheError(what, where=repository.path, todo="give it to a user") from None
    setup = Setup(tuple(words), user, listed.absolute().parent)
    click.echo(timer_text(kind, setup), nl=False)  # type: ignore[arg-type]
