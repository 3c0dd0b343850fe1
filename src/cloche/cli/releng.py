"""`cloche releng`: builds catalyst-auto's configuration as one plan; stages and prunes results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cloche.catalyst.conf import PLACE
from cloche.cli.catalyst_specs import FILE, PROVENANCE, SET, SIGN, fates, given_tokens, signing
from cloche.cli.options import Options, engine_name, say, store_path
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group, Number
from cloche.display.releng import SpecJson, SpecLines
from cloche.display.releng_page import page
from cloche.display.text import count, one_line, visible
from cloche.errors import ClocheError, Exit, unwritable
from cloche.releng.auto import Run, carry_out, foreseen, foreseen_packages, last_run, open_run
from cloche.releng.calls import Place
from cloche.releng.mail import Mail, check_mail, send
from cloche.releng.report import Report, as_json, report_of
from cloche.releng.report_text import as_text
from cloche.releng.settings import Settings
from cloche.releng.staging import KEPT, prune, stage, to_copy, to_prune
from cloche.session.choices import Choices

TARGET = click.Path(dir_okay=False, path_type=Path)
CONF = click.argument("files", metavar="CONF...", nargs=-1, required=True, type=FILE)
Function = Callable[..., Any]


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche releng run tools/catalyst-auto-amd64.conf --treeish stable
  cloche releng status tools/catalyst-auto-amd64.conf
  cloche releng stage /var/tmp/catalyst/builds/23.0-default /srv/mirror/amd64
  cloche releng prune /srv/mirror/amd64
""",
)
def releng() -> None:
    """Build the releases of an architecture, as catalyst-auto does (docs/releng.md)."""


def _which_run(function: Function) -> Function:
    """Options that select a run."""
    for option in (
        click.option(
            "-c", "--conf", "confs", multiple=True, type=FILE,
            help=f"catalyst.conf [that of CONF, {PLACE}].",
        ),
        click.option("--treeish", help="The tree: a snapshot's, or a commit, tag or branch."),
        SET,
        click.option(
            "--only", metavar="SPEC|SET", multiple=True, help="Only this spec or set. Repeatable.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def _settings(options: Options, values: dict[str, Any], **more: Any) -> Settings:
    return Settings(
        here=options.directory,
        files=tuple((options.directory / file).absolute() for file in values["files"]),
        confs=tuple((options.directory / file).absolute() for file in values["confs"]),
        treeish=values["treeish"],
        tokens=given_tokens(values["given"]),
        only=values["only"],
        **more,
    )


@releng.command(
    "run",
    epilog="""\b
Examples:
  cloche releng run tools/catalyst-auto-amd64.conf --treeish stable
  cloche releng run catalyst-auto-x86.conf -c catalyst.conf --dry-run
  cloche releng run catalyst-auto-x86.conf --only i686_openrc_23 -j 16
  cloche releng run catalyst-auto-x86.conf --mail-to releng@example.org -X
  cloche releng run catalyst-auto-x86.conf --also catalyst --html report.html

\b
Exit status: 0 if all specs are built (those of OPTIONAL_SPECS do not count), 1 if a spec or a
hook failed, 2 if the configuration or a spec is wrong.
""",
)
@CONF
@_which_run
@click.option("-j", "--jobs", type=Number(1), help="Packages to build at once [number of cores].")
@click.option(
    "-k", "--keep-going", is_flag=True, help="If a package fails, build the others of its spec."
)
@click.option("--offline", is_flag=True, help="Fetch nothing; report what is missing.")
@click.option(
    "-X",
    "--no-network",
    is_flag=True,
    help="Upload nothing (log/post_build.log has what would be), mail only with --mail-to.",
)
@click.option("--update", is_flag=True, help="Use the current inputs, not those pinned before.")
@SIGN
@PROVENANCE
@click.option(
    "--also", metavar="PROGRAM", help="Also build with PROGRAM (`catalyst`), and compare."
)
@click.option(
    "-n", "--dry-run", is_flag=True, help="Show the specs in order, with their state, and exit."
)
@click.option(
    "--packages",
    is_flag=True,
    help="With -n: also count the packages to build (runs Portage's resolver).",
)
@click.option("--mail-to", metavar="ADDRESS", help="Send the report to ADDRESS [EMAIL_TO of CONF].")
@click.option(
    "--smtp", metavar="HOST[:PORT]", help="Send the report through this server [sendmail]."
)
@click.option("--html", "html_file", type=TARGET, help="Also write the report to this file.")
@click.option(
    "--progress", type=click.Choice(("plain", "json")), default="plain", help="Form of progress."
)
@click.option("-v", "--verbose", is_flag=True, help="Also show the phases.")
@click.pass_obj
def run_command(
    options: Options,
    /,
    jobs: int | None,
    keep_going: bool,
    offline: bool,
    no_network: bool,
    update: bool,
    sign: str | None,
    provenance: bool,
    also: str | None,
    dry_run: bool,
    packages: bool,
    mail_to: str | None,
    smtp: str | None,
    html_file: Path | None,
    progress: str,
    verbose: bool,
    **values: Any,
) -> None:
    """Build all specs of catalyst-auto's CONF as one plan, with its hooks.

    Bash runs CONF on this host: use only a file that you trust, as with a Makefile. Packages that
    specs share are built once. An interrupted run continues where it stopped. The report, logs and
    locks are in STOREDIR/cloche/releng.
    """
    slots = jobs or len(os.sched_getaffinity(0))
    choices = Choices(jobs=slots, keep_going=keep_going, offline=offline)
    settings = _settings(
        options,
        values,
        slots=slots,
        choices=choices,
        network=not no_network,
        update=update,
        also=also,
        provenance=provenance,
    )
    run = open_run(settings, fetch=not dry_run)
    if dry_run:
        _show_order(run)
        place = Place(store_path(options, None), engine_name(options))
        sys.exit(Exit.DONE if not packages or _show_packages(run, place) else Exit.FAILED)
    mail = _mail(run, mail_to, smtp)
    if mail is not None:
        check_mail(mail)
    display = SpecJson(sys.stdout) if progress == "json" else SpecLines(sys.stderr, verbose=verbose)
    place = Place(store_path(options, None), engine_name(options), proxies=_proxies())
    try:
        with terminable(), signing(sign) as signer:
            report = carry_out(run, place, display, signer)
    finally:
        display.close()
    if progress != "json":
        click.echo(visible(as_text(report)), nl=False)
    _write_html(run, report, html_file)
    if mail is not None:
        send(report, mail)
    sys.exit(report.status)


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def _mail(run: Run, to: str | None, server: str | None) -> Mail | None:
    values = run.auto.values
    to = to or (values.get("EMAIL_TO") if run.settings.network else None)
    if not to:
        return None
    return Mail(to, values["EMAIL_FROM"], values["EMAIL_SUBJECT_PREPEND"], server)


def _show_order(run: Run) -> None:
    """Print the specs in their order, each with its state."""
    order = foreseen(run)
    width = max(len(each.name) for each in order)
    for each in order:
        state = "refused" if each.refused else "built" if each.done else "to build"
        source = f", from {each.needs}" if each.needs else ""
        optional = ", optional" if each.optional else ""
        reason = f": {each.refused}" if each.refused else ""
        click.echo(one_line(f"{each.name:<{width}}  {state}{source}{optional}{reason}"))


def _show_packages(run: Run, place: Place) -> bool:
    """Print how many packages would be built, one line for each machine of a spec.

    Return whether no spec is refused that is not optional.
    """
    optional = {each.name for each in run.wanted() if each.optional}
    fine = True
    for name, each in foreseen_packages(run, place):
        if isinstance(each, ClocheError):
            fine = fine and name in optional
            say(one_line(f"{name}: {each}"))
        else:
            click.echo(one_line(f"{name}: {each.machine}: {fates(each)}"))
    return fine


def _write_html(run: Run, report: Report, file: Path | None) -> None:
    for each in (run.room / "report.html", *([file] if file else [])):
        try:
            each.write_text(page(report), encoding="utf-8")
        except OSError as error:
            raise unwritable(each, error, "choose another file with --html") from error
        say(one_line(f"report    {each}"))


@releng.command(
    "status",
    epilog="""\b
Examples:
  cloche releng status catalyst-auto-x86.conf
  cloche releng status catalyst-auto-x86.conf --set TIMESTAMP=20260426T191549Z --json
""",
)
@CONF
@_which_run
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def status_command(options: Options, /, as_json_: bool, **values: Any) -> None:
    """Show the state of a run, by default of the last one. It may still be in progress."""
    report = report_of(_begun(options, values).entries())
    click.echo(as_json(report) if as_json_ else visible(as_text(report)), nl=False)


@releng.command(
    "report",
    epilog="""\b
Examples:
  cloche releng report catalyst-auto-x86.conf
  cloche releng report catalyst-auto-x86.conf --html report.html
""",
)
@CONF
@_which_run
@click.option("--html", "html_file", type=TARGET, help="Also write it to this file.")
@click.pass_obj
def report_command(options: Options, /, html_file: Path | None, **values: Any) -> None:
    """Write the report of a run, by default of the last one, as one HTML file.

    The file loads nothing from elsewhere. A run also writes it when it ends.
    """
    run = _begun(options, values)
    _write_html(run, report_of(run.entries()), html_file)


def _begun(options: Options, values: dict[str, Any]) -> Run:
    run = last_run(_settings(options, values))
    if not run.journal.exists():
        raise ClocheError("no such run", where=run.room, todo="start it with `cloche releng run`")
    return run


@releng.command(
    "stage",
    epilog="""\b
Examples:
  cloche releng stage /var/tmp/catalyst/builds/23.0-default /srv/mirror/amd64 --dry-run
  cloche releng stage /var/tmp/catalyst/builds/23.0-default /srv/mirror/amd64 --sign KEYID
""",
)
@click.argument("incoming", metavar="BUILDS", type=click.Path(exists=True, file_okay=False))
@click.argument("outgoing", metavar="MIRROR", type=click.Path(file_okay=False))
@click.option("--sign", metavar="KEYID", help="Sign the lists with this key of gpg.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be copied.")
@click.pass_obj
def stage_command(
    options: Options, /, incoming: str, outgoing: str, sign: str | None, dry_run: bool
) -> None:
    """Copy results from BUILDS to MIRROR, into a directory for each date, and write the lists.

    latest-VARIANT.txt and current-VARIANT/ are as on Gentoo's mirrors. A file appears under its
    name only when it is complete. Nothing is removed; see `cloche releng prune`.
    """
    source, target = options.directory / incoming, options.directory / outgoing
    if dry_run:
        for place in to_copy(source, target):
            click.echo(one_line(str(place)))
        return
    with signing(sign) as signer:
        written = stage(source, target, time.time(), signer.cleartext if signer else None)
    for path in written:
        click.echo(one_line(str(path)))


@releng.command(
    "prune",
    epilog="""\b
Examples:
  cloche releng prune /srv/mirror/amd64
  cloche releng prune /srv/mirror/amd64 --keep 8 --yes
""",
)
@click.argument("outgoing", metavar="MIRROR", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--keep", type=Number(0), default=KEPT, show_default=True, help="Number of other dates to keep."
)
@click.option("--yes", is_flag=True, help="Remove the dates; without it, they are only shown.")
@click.pass_obj
def prune_command(options: Options, /, outgoing: str, keep: int, yes: bool) -> None:
    """Show or remove old dates in MIRROR. Dates with the latest file of a variant are kept.

    A date that contains anything but results of that date is kept, too.
    """
    place = options.directory / outgoing
    for each in prune(place, keep) if yes else to_prune(place, keep):
        if each.unknown:
            say(
                one_line(
                    f"{each.directory}: kept, with unknown files: {', '.join(each.unknown[:5])}"
                )
            )
        else:
            files = count(len(each.files), "file")
            click.echo(
                one_line(f"{each.directory}  {'removed' if yes else 'would be removed'}, {files}")
            )
