"""`cloche releng`: catalyst-auto's configuration, carried out as one plan; staging of results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import click

from cloche.catalyst.conf import PLACE
from cloche.cli.catalyst_specs import complete_token
from cloche.cli.options import Options, engine_name, say, store_path
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group, Number
from cloche.display.releng import SpecJson, SpecLines
from cloche.display.releng_page import page
from cloche.display.text import count, one_line
from cloche.errors import ClocheError, unwritable
from cloche.releng.auto import Run, carry_out, foreseen, foreseen_packages, last_run, open_run
from cloche.releng.calls import Place
from cloche.releng.mail import Mail, send
from cloche.releng.report import Report, as_json, report_of
from cloche.releng.settings import Settings
from cloche.releng.signing import Signer, opened_signer
from cloche.releng.staging import KEPT, prune, stage, to_copy, to_prune
from cloche.releng.words import as_text
from cloche.session.choices import Choices

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
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
    """Options that say which run is meant."""
    for option in (
        click.option(
            "-c", "--conf", "confs", multiple=True, type=FILE,
            help=f"catalyst.conf [as CONF says, {PLACE}].",
        ),
        click.option("--treeish", help="The tree: that of a snapshot, or a commit, tag or branch."),
        click.option(
            "--set", "given", metavar="TOKEN=VALUE", multiple=True, shell_complete=complete_token,
            help="Fill in a token, such as TIMESTAMP. Repeatable.",
        ),
        click.option(
            "--only", metavar="SPEC|SET", multiple=True, help="Only this spec or set. Repeatable.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def _settings(options: Options, values: dict[str, Any], **more: Any) -> Settings:
    tokens = {}
    for each in values["given"]:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ClocheError(f"--set: “{each}” is not TOKEN=VALUE", todo="write --set NAME=VALUE")
        tokens[name] = value
    return Settings(
        here=options.directory,
        files=tuple((options.directory / file).absolute() for file in values["files"]),
        confs=tuple((options.directory / file).absolute() for file in values["confs"]),
        treeish=values["treeish"],
        tokens=tokens,
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
Exit status: 0 if all specs are built (those of OPTIONAL_SPECS do not count), 1 if one or a hook
failed, 2 if the configuration or a spec is wrong.
""",
)
@CONF
@_which_run
@click.option("-j", "--jobs", type=Number(1), help="Packages to build at once [number of cores].")
@click.option("-k", "--keep-going", is_flag=True, help="Of a spec that fails, build what else can.")
@click.option("--offline", is_flag=True, help="Fetch nothing; report what is missing.")
@click.option("-X", "--no-network", is_flag=True, help="Upload nothing; say what would be.")
@click.option("--update", is_flag=True, help="Take inputs as they are now, not as when it began.")
@click.option("--sign", metavar="KEYID", help="Write FILE.asc of outputs by gpg, with this key.")
@click.option(
    "--provenance", is_flag=True, help="Write FILE.intoto.json: what outputs were made from (SLSA)."
)
@click.option(
    "--also", metavar="PROGRAM", help="Build with catalyst, too, and compare: `catalyst`."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show the order of what is left to build.")
@click.option(
    "--packages", is_flag=True, help="With -n: which packages are reused (this resolves)."
)
@click.option("--mail-to", metavar="ADDRESS", help="Send the report there [EMAIL_TO of CONF].")
@click.option("--smtp", metavar="HOST[:PORT]", help="Send it through this server [sendmail].")
@click.option("--html", "html_file", type=TARGET, help="Also write the report there.")
@click.option("--progress", type=click.Choice(("plain", "json")), default="plain", help="Lines.")
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

    CONF is read by bash on this host, like a Makefile: it is your own program. What specs share is
    built once. A run that was interrupted goes on where it was. The report, logs and locks are in
    STOREDIR/cloche/releng.
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
        if packages:
            _show_packages(run, Place(store_path(options, None), engine_name(options)))
        return
    mail = _mail(run, mail_to, smtp)
    display = SpecJson(sys.stdout) if progress == "json" else SpecLines(sys.stderr, verbose=verbose)
    place = Place(store_path(options, None), engine_name(options), proxies=_proxies())
    try:
        with terminable(), _signing(sign) as signer:
            report = carry_out(run, place, display, signer)
    finally:
        display.close()
    if progress != "json":
        click.echo(as_text(report))
    _write_html(run, report, html_file)
    if mail is not None:
        send(report, mail)
    sys.exit(report.status)


def _signing(key: str | None) -> AbstractContextManager[Signer | None]:
    return opened_signer(key) if key is not None else nullcontext()


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def _mail(run: Run, to: str | None, server: str | None) -> Mail | None:
    values = run.auto.values
    to = to or values.get("EMAIL_TO")
    if not to:
        return None
    return Mail(to, values["EMAIL_FROM"], values["EMAIL_SUBJECT_PREPEND"], server)


def _show_order(run: Run) -> None:
    """Print the specs in their order, with what becomes of each."""
    order = foreseen(run)
    width = max(len(each.name) for each in order)
    for each in order:
        state = f"refused: {each.refused}" if each.refused else "built" if each.done else "to build"
        source = f", from {each.needs}" if each.needs else ""
        optional = ", optional" if each.optional else ""
        click.echo(one_line(f"{each.name:<{width}}  {state}{source}{optional}"))


def _show_packages(run: Run, place: Place) -> None:
    """Print what would become of the packages, one line for each machine of a spec."""
    for name, each in foreseen_packages(run, place):
        if each.after is not None:
            line = f"known when {each.after} is built"
        else:
            perhaps = f", {len(each.perhaps)} perhaps" if each.perhaps else ""
            built = count(len(each.built), "package")
            line = f"{built} to build{perhaps}, {len(each.reused)} reused"
        click.echo(one_line(f"{name}: {each.machine}: {line}"))


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
    """Show what became of a run so far, the last one by default; it may still be going on."""
    report = report_of(_begun(options, values).entries())
    click.echo(as_json(report) if as_json_ else as_text(report), nl=False)


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
@click.option("--html", "html_file", type=TARGET, help="Write it there, too.")
@click.pass_obj
def report_command(options: Options, /, html_file: Path | None, **values: Any) -> None:
    """Write the report of a run as one HTML file, of the last run by default.

    The file loads nothing from elsewhere. A run writes it at its end by itself.
    """
    run = _begun(options, values)
    _write_html(run, report_of(run.entries()), html_file)


def _begun(options: Options, values: dict[str, Any]) -> Run:
    run = last_run(_settings(options, values))
    if not run.journal.exists():
        raise ClocheError("no such run", where=run.room, todo="`cloche releng run` begins it")
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
@click.option("--sign", metavar="KEYID", help="Sign the lists by gpg, with this key.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be copied.")
@click.pass_obj
def stage_command(
    options: Options, /, incoming: str, outgoing: str, sign: str | None, dry_run: bool
) -> None:
    """Copy results from BUILDS to MIRROR, into a directory for each date, and write the lists.

    latest-VARIANT.txt and current-VARIANT/ are as Gentoo's mirrors have them. A file is there under
    its name only when it is whole. Nothing is removed; see `cloche releng prune`.
    """
    source, target = options.directory / incoming, options.directory / outgoing
    if dry_run:
        for place in to_copy(source, target):
            click.echo(one_line(str(place)))
        return
    with _signing(sign) as signer:
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
    "--keep", type=Number(0), default=KEPT, show_default=True, help="Dates to keep besides those."
)
@click.option("--yes", is_flag=True, help="Remove them; without it, they are only shown.")
@click.pass_obj
def prune_command(options: Options, /, outgoing: str, keep: int, yes: bool) -> None:
    """Show or remove old dates of MIRROR, but for those with the latest file of a variant.

    A date in which there is anything else than results of that date stays as it is.
    """
    place = options.directory / outgoing
    for each in prune(place, keep) if yes else to_prune(place, keep):
        if each.unknown:
            say(one_line(f"{each.directory}: stays; unknown there: {', '.join(each.unknown[:5])}"))
        else:
            files = count(len(each.files), "file")
            click.echo(one_line(f"{each.directory}  {'removed' if yes else 'would go'}, {files}"))
