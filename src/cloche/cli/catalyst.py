"""`cloche catalyst`: catalyst's own command line, and the group of cloche's further commands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import click

from cloche.catalyst.chains import earlier_makers
from cloche.catalyst.conf import Conf
from cloche.catalyst.spec import Spec, snapshot_spec
from cloche.cli.catalyst_lint import lint_command
from cloche.cli.catalyst_options import catalyst_options
from cloche.cli.catalyst_plan import import_command, plan_command
from cloche.cli.catalyst_specs import (
    CONFS,
    FILE,
    OVERRIDES,
    PROVENANCE,
    SET,
    SIGN,
    check_given,
    fates,
    opening,
    read_confs,
    read_to_build,
    signing,
)
from cloche.cli.compare import compare_command
from cloche.cli.options import Options, say, telling_of_long_stages, version_option
from cloche.cli.showing import opened_display, progress_options
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group, Number, refuse_unused
from cloche.config.errors import ConfigError
from cloche.display.text import count, one_line, seconds
from cloche.fetching.signing import Signer
from cloche.plan.names import bare
from cloche.records.events import Summary
from cloche.releng.build import BuiltSpec, build_spec, check_all
from cloche.releng.inputs import check_spec, source_of
from cloche.releng.outputs import Attest
from cloche.releng.preview import fetch_spec, preview_spec
from cloche.releng.purge import purge_spec, to_purge
from cloche.releng.snapshot import find_snapshot, make_snapshot
from cloche.session.choices import Choices


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  cloche catalyst -c catalyst.conf -s stable
  cloche catalyst -c catalyst.conf -f stage1.spec -f stage3.spec
  cloche catalyst -f stage3.spec -C compression_mode=xz --dry-run
  cloche catalyst -f stage3.spec --sign releng@example.org --provenance
  cloche catalyst lint releases/specs
  cloche catalyst plan stage3.spec
  cloche catalyst import stage3.spec ~/stage3
  cloche catalyst compare old.tar.xz new.tar.xz
""",
)
@version_option("-V", "--version", program="cloche catalyst")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="SPEC",
    multiple=True,
    type=FILE,
    help="Build this spec. Repeatable: specs are built in this order.",
)
@click.option(
    "-s",
    "--snapshot",
    "treeish",
    metavar="git-treeish",
    help="Make a snapshot of the ebuild repository, before any spec is built.",
)
@CONFS
@OVERRIDES
@SET
@click.option(
    "--update", is_flag=True, help="Use the current inputs instead of those in SPEC's lock."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be reused, built or removed, and exit.",
)
@SIGN
@PROVENANCE
@click.option(
    "--read-pkgcache",
    is_flag=True,
    help="Use packages from the spec's pkgcache that match its USE, regardless of who built them.",
)
@click.option("-j", "--jobs", type=Number(1), help="Packages to build at once [catalyst.conf's].")
@catalyst_options
@progress_options
@click.pass_context
def catalyst(
    context: click.Context,
    files: tuple[Path, ...],
    treeish: str | None,
    confs: tuple[Path, ...],
    overrides: tuple[str, ...],
    given: tuple[str, ...],
    update: bool,
    dry_run: bool,
    sign: str | None,
    provenance: bool,
    read_pkgcache: bool,
    jobs: int | None,
    fetchonly: bool,
    purge: bool,
    purgeonly: bool,
    purgetmponly: bool,
    debug: bool,
    log_level: str | None,
    log_file: str | None,
    progress: str,
    verbose: bool,
) -> None:
    """Build, check and explain catalyst's spec files (docs/catalyst.md).

    Without a subcommand, this takes catalyst's own command line: `-f SPEC` builds a spec as
    catalyst does, with catalyst's directories and names, but in sandboxes that see nothing of this
    host. Its inputs are pinned in a lock beside it: stage3.lock for stage3.spec. `-s` makes a
    snapshot of the ebuild repository from its git repository below `repos_storedir`.

    Relative paths, in specs and in catalyst.conf, start at the current directory, as in catalyst.
    """
    if context.invoked_subcommand is not None:
        refuse_unused(context)
        return
    if not files and treeish is None:
        raise click.UsageError("name a spec with -f, a tree-ish with -s, or a command", context)
    options: Options = context.obj
    check_given(options, given, files)
    conf = replace(read_confs(options, confs), read_pkgcache=read_pkgcache)
    specs = [read_to_build(options, file, overrides, given) for file in files]
    if treeish is not None:
        specs.insert(0, snapshot_spec(treeish))
    only_purge = purgeonly or purgetmponly
    if only_purge:
        for spec in specs:
            check_spec(spec, conf)
    else:
        check_all(specs, conf)
    todo = _Todo(
        options,
        conf,
        Choices(jobs=jobs or int(conf.text("jobs") or 0) or None),
        update=update,
        dry_run=dry_run,
        progress=progress,
        verbose=verbose or debug or log_level in ("info", "debug"),
        provenance=provenance,
        several=len(specs) > 1,
    )
    with _written_to(log_file), signing(sign) as signer:
        if purge or only_purge:
            for spec in specs:
                _purge(todo, spec)
        if not only_purge:
            _carry_out(replace(todo, signer=signer), specs, fetchonly)


@dataclass(frozen=True, slots=True)
class _Todo:
    """How specs are built, and how progress is shown."""

    options: Options
    conf: Conf
    choices: Choices
    update: bool
    dry_run: bool
    progress: str
    verbose: bool
    provenance: bool
    several: bool
    signer: Signer | None = None

    @property
    def quiet(self) -> bool:
        """Whether standard output is for events."""
        return self.progress == "json"


@contextmanager
def _written_to(file: str | None) -> Iterator[None]:
    """Write standard output and standard error to a file instead."""
    if file is None:
        yield
        return
    with Path(file).open("a") as log, redirect_stdout(log), redirect_stderr(log):
        yield


def _carry_out(todo: _Todo, specs: Sequence[Spec], fetchonly: bool) -> None:
    """Build specs in order, or preview or fetch what can be known now."""
    unbuilt: list[Spec] = []
    for spec, maker in zip(specs, earlier_makers(specs, todo.conf), strict=True):
        if spec.text("target") == "snapshot":
            _snapshot(todo, spec)
        elif (todo.dry_run or fetchonly) and _waits(spec, maker, todo.conf, unbuilt):
            say(one_line(f"{spec.file}: its packages are known when its source is built"))
            unbuilt.append(spec)
        elif todo.dry_run:
            unbuilt += [] if _preview(todo, spec) else [spec]
        elif fetchonly:
            _fetch(todo, spec)
        else:
            _build(todo, spec)


def _snapshot(todo: _Todo, spec: Spec) -> None:
    """Make a snapshot. catalyst-auto looks for the commit in its line."""
    origin = spec.origin("snapshot_treeish")
    treeish = spec.text("snapshot_treeish")
    found = find_snapshot(todo.conf, treeish, origin, fetch=not todo.dry_run)
    click.echo(one_line(f"{'would be: ' if todo.dry_run else ''}{found}"), err=todo.quiet)
    if not todo.dry_run:
        make_snapshot(found, todo.conf, opening(todo.options, telling_of_long_stages()))
        click.echo(one_line(f"snapshot  {found.file}"), err=todo.quiet)


def _purge(todo: _Todo, spec: Spec) -> None:
    if spec.text("target") == "snapshot":
        return
    if todo.dry_run:
        place, said = to_purge(spec, todo.conf), "would be removed"
    else:
        place, said = purge_spec(spec, todo.conf), "removed"
    say(one_line(f"{said}: {place}" if place else f"{spec.file}: nothing to remove"))


def _waits(spec: Spec, maker: Spec | None, conf: Conf, unbuilt: Sequence[Spec]) -> bool:
    """Whether the source of a spec is still to be built by an earlier one, its ``maker``."""
    if maker is None:
        return False
    try:
        source_of(spec, conf)
    except ConfigError:
        return True
    return maker in unbuilt


def _preview(todo: _Todo, spec: Spec) -> bool:
    """Show what would be built; return whether that is nothing."""
    session = opening(todo.options, telling_of_long_stages())
    done = True
    for each in preview_spec(spec, todo.conf, session, todo.choices, update=todo.update):
        done = done and not (each.built or each.perhaps or each.after)
        click.echo(f"{each.machine}: {fates(each)}")
        for fate, names in (("build", each.built), ("perhaps", each.perhaps)):
            for name in names:
                click.echo(one_line(f"  {fate:<8} {bare(name)}"))
    return done


def _fetch(todo: _Todo, spec: Spec) -> None:
    session = opening(todo.options, telling_of_long_stages())
    for name in fetch_spec(spec, todo.conf, session, todo.choices, update=todo.update):
        say(f"{name}: its packages are known when the machine that it is built on is built")


def _build(todo: _Todo, spec: Spec) -> None:
    began = time.monotonic()
    if todo.several and not todo.quiet:
        say(one_line(f"spec {spec.file}"))
    display = opened_display(todo.progress, verbose=todo.verbose)
    try:
        with terminable():
            session = opening(todo.options, display)
            attest = Attest(todo.signer, todo.provenance)
            built = build_spec(
                spec, todo.conf, session, todo.choices, update=todo.update, attest=attest
            )
        summary = _summary(spec, built, time.monotonic() - began)
        display(summary)
    finally:
        display.close()
    if not todo.quiet:
        _print_summary(summary, built.logs)


def _summary(spec: Spec, built: BuiltSpec, took: float) -> Summary:
    return Summary(
        spec=str(spec.file),
        built=sum(result.built for result in built.results),
        reused=sum(result.reused for result in built.results),
        seconds=took,
        outputs=tuple((each.kind, each.path) for each in built.outputs),
    )


def _print_summary(summary: Summary, logs: Path) -> None:
    for kind, path in summary.outputs:
        click.echo(one_line(f"{kind:<9} {path}"))
    click.echo(one_line(f"logs      {logs}"))
    packages = f"{count(summary.built, 'package')} built, {summary.reused} reused"
    click.echo(f"{packages}, {seconds(summary.seconds)} in all")


for command in (compare_command, import_command, lint_command, plan_command):
    catalyst.add_command(command)
