"""`cloche catalyst`: catalyst's spec files, built, checked and explained."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from cloche.catalyst.conf import PLACE, Conf, read_conf
from cloche.catalyst.lint import Finding, lint
from cloche.catalyst.plan import Plan, plan_spec
from cloche.catalyst.spec import Spec, read_spec
from cloche.catalyst.tokens import TOKENS, fill
from cloche.cli.build import opened_display, progress_options
from cloche.cli.options import Options, opened_session, telling_of_long_stages
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group, Number
from cloche.config.errors import ConfigError, Origin
from cloche.display.text import count, one_line
from cloche.errors import ClocheError, Exit
from cloche.records.events import Sink
from cloche.releng.build import Opening, build_spec, import_spec
from cloche.session.choices import Choices

PATH = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_RELENG = Path("tools/catalyst-auto")  # what the root of a releng checkout has


def complete_token(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Tokens that catalyst-auto fills in."""
    return [f"{name}=" for name in TOKENS if name.startswith(begun)]


SET = click.option(
    "--set",
    "given",
    metavar="TOKEN=VALUE",
    multiple=True,
    shell_complete=complete_token,
    help="Fill in a token, such as TIMESTAMP. Repeatable.",
)


CONFS = click.option(
    "-c", "--conf", "confs", multiple=True, type=FILE, help=f"Read it, not {PLACE}."
)
OVERRIDES = click.option(
    "-C", "overrides", metavar="KEY=VALUE", multiple=True, help="Replace a value of the spec."
)


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  cloche catalyst -c catalyst.conf -f stage3.spec
  cloche catalyst -f stage3.spec -C compression_mode=xz
  cloche catalyst lint releases/specs
  cloche catalyst plan stage3.spec
  cloche catalyst import stage3.spec ~/stage3
""",
)
@click.option("-f", "--file", "file", metavar="SPEC", type=FILE, help="Build this spec.")
@CONFS
@OVERRIDES
@SET
@click.option("--update", is_flag=True, help="Take inputs as they are now, not as in SPEC's lock.")
@click.option("-j", "--jobs", type=Number(1), help="Packages to build at once [catalyst.conf's].")
@progress_options
@click.pass_context
def catalyst(
    context: click.Context,
    file: Path | None,
    confs: tuple[Path, ...],
    overrides: tuple[str, ...],
    given: tuple[str, ...],
    update: bool,
    jobs: int | None,
    progress: str,
    verbose: bool,
) -> None:
    """Build, check and explain catalyst's spec files (docs/catalyst.md).

    Without a subcommand, `-f SPEC` builds a spec as catalyst does, with catalyst's directories and
    names, but in sandboxes that see nothing of this host. Its inputs are pinned in a lock beside
    it: stage3.lock for stage3.spec.
    """
    if context.invoked_subcommand is not None:
        return
    if file is None:
        raise click.UsageError("name a spec with -f, or a command", context)
    options: Options = context.obj
    spec, conf = _read(options, file, confs, overrides, given)
    choices = Choices(jobs=jobs or _jobs(conf))
    display = opened_display(progress, verbose=verbose)
    try:
        with terminable():
            stage = build_spec(spec, conf, _opening(options, display), choices, update=update)
    finally:
        display.close()
    if progress != "json":
        for each in stage.outputs:
            click.echo(one_line(f"{each.kind:<9} {each.path}"))
        built = sum(result.built for result in stage.results)
        reused = sum(result.reused for result in stage.results)
        click.echo(f"{count(built, 'package')} built, {reused} reused")


def _jobs(conf: Conf) -> int | None:
    """``jobs`` of catalyst.conf. Raises `ConfigError`."""
    if not (text := conf.text("jobs")):
        return None
    if not (text.isdecimal() and int(text)):
        raise ConfigError(conf.origins["jobs"], f"jobs is “{text}”", "write a number from 1")
    return int(text)


def _opening(options: Options, sink: Sink) -> Opening:
    """Opens sessions for the projects of specs, with the store and engine of the command line."""
    return lambda project: opened_session(options, project, sink=sink)


def _read(
    options: Options,
    file: Path,
    confs: Sequence[Path],
    overrides: Sequence[str],
    given: Sequence[str],
) -> tuple[Spec, Conf]:
    """A spec with its tokens filled in, and the configuration. Raises `ConfigError`."""
    file = _short(options.directory / file)
    wanted = confs or ((PLACE,) if PLACE.is_file() else ())
    conf = read_conf(options.directory / each for each in wanted)
    return _filled(file, _tokens(given, [file])).overridden(overrides), conf


@catalyst.command(
    "import",
    epilog="""\b
Examples:
  cloche catalyst import stage3.spec ~/stage3
  cloche -C ~/stage3 plan stage3
""",
)
@click.argument("file", metavar="SPEC", type=FILE)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@CONFS
@OVERRIDES
@SET
@click.pass_obj
def import_command(
    options: Options,
    file: Path,
    directory: Path,
    confs: tuple[Path, ...],
    overrides: tuple[str, ...],
    given: tuple[str, ...],
) -> None:
    """Write the machines of cloche that equal SPEC to DIR, a project of its own.

    The source tarball and the snapshot have to be there. Nothing is built.
    """
    spec, conf = _read(options, file, confs, overrides, given)
    place = options.directory / directory
    machines = import_spec(spec, conf, place, _opening(options, telling_of_long_stages()))
    click.echo(f"{one_line(str(directory))}: {', '.join(machines)}")
    click.echo(f"Next: cloche -C {one_line(str(directory))} plan {machines[-1]}")


@catalyst.command(
    "lint",
    epilog="""\b
Examples:
  cloche catalyst lint stage1.spec stage3.spec
  cloche catalyst lint releases/specs --errors
  cloche catalyst lint releases/specs --json

\b
Exit status: 0 without errors (warnings do not count), 1 with errors.
""",
)
@click.argument("specs", metavar="SPEC|DIR...", nargs=-1, required=True, type=PATH)
@SET
@click.option("--errors", "only_errors", is_flag=True, help="Leave out warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def lint_command(
    options: Options,
    specs: tuple[Path, ...],
    given: tuple[str, ...],
    only_errors: bool,
    as_json: bool,
) -> None:
    """Find what is wrong with spec files, without building anything.

    Of a directory, all files below it whose names end with .spec are read. An error is
    something that catalyst fails at or silently drops, a warning something that works but is rarely
    intended.

    Several specs are also compared with each other: sources that none of them makes, outputs that
    two of them write. The token @REPO_DIR@ is the releng checkout around the first file.
    """
    files = _specs_in(options, specs)
    found = lint(files, _tokens(given, files))
    if only_errors:
        found = tuple(each for each in found if each.severity == "error")
    errors = sum(each.severity == "error" for each in found)
    if as_json:
        click.echo(json.dumps({"specs": len(files), "findings": [*map(_data, found)]}, indent=2))
    else:
        for each in found:
            click.echo(one_line(str(each)))
        warnings = count(len(found) - errors, "warning")
        click.echo(f"{count(len(files), 'spec')}: {count(errors, 'error')}, {warnings}")
    sys.exit(Exit.FAILED if errors else Exit.DONE)


def _data(found: Finding) -> dict[str, object]:
    place = {"file": str(found.origin.file), "line": found.origin.line}
    return {**place, **{k: v for k, v in asdict(found).items() if k != "origin"}}


def _specs_in(options: Options, paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and those below directories, each once. Raises `ConfigError`."""
    found = dict[Path, None]()
    for path in paths:
        place = options.directory / path
        inside = sorted(place.rglob("*.spec")) if place.is_dir() else [place]
        if not inside:
            todo = "name a directory with spec files"
            raise ConfigError(Origin(path), "no file below it ends with .spec", todo)
        found |= dict.fromkeys(inside)
    return [_short(file) for file in found]


def _short(file: Path) -> Path:
    """As a user would name it from the current directory."""
    return file.relative_to(here) if file.is_relative_to(here := Path.cwd()) else file


def _tokens(given: Sequence[str], files: Sequence[Path]) -> Mapping[str, str]:
    """The values of ``--set``, and REPO_DIR where the first file is in a releng checkout."""
    values = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ClocheError(f"--set: “{each}” is not TOKEN=VALUE", todo="write --set NAME=VALUE")
        values[name] = value
    above = files[0].absolute().parents if files else ()
    releng = next((str(place) for place in above if (place / _RELENG).is_file()), None)
    return {"REPO_DIR": releng, **values} if releng else values


@catalyst.command(
    "plan",
    epilog="""\b
Examples:
  cloche catalyst plan stage3.spec
  cloche catalyst plan stage3.spec -c catalyst.conf --set TIMESTAMP=20260426T191549Z
  cloche catalyst plan stage3.spec -C compression_mode=zstd --json
""",
)
@click.argument("file", metavar="SPEC", type=FILE)
@CONFS
@OVERRIDES
@SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan_command(
    options: Options,
    file: Path,
    confs: tuple[Path, ...],
    overrides: tuple[str, ...],
    given: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what catalyst would do with SPEC, and from where each value comes.

    Lists the steps in catalyst's order, what is read, what is written, under catalyst's own names,
    and each value with its place. Nothing is built and nothing has to exist. The spec that makes
    the source is looked for among the specs of the same directory.
    """
    spec, conf = _read(options, file, confs, overrides, given)
    plan = plan_spec(spec, conf, _siblings(spec.file, _tokens(given, [spec.file])))
    if as_json:
        click.echo(json.dumps({"spec": str(spec.file), **asdict(plan)}, indent=2))
    else:
        _show(plan)


def _filled(file: Path, tokens: Mapping[str, str]) -> Spec:
    return read_spec(file, lambda text: fill(text, tokens))


def _siblings(file: Path, tokens: Mapping[str, str]) -> list[Spec]:
    """The other specs of the directory that can be read."""
    found = []
    for each in sorted(file.parent.glob("*.spec")):
        try:
            found += [_filled(each, tokens)] if each.name != file.name else []
        except ClocheError:  # `lint` says what is wrong with it
            continue
    return found


def _show(plan: Plan) -> None:
    lines = [f"{plan.target}:", *(_step(each.name, each.does, each.idle) for each in plan.steps)]
    lines += ["reads:"]
    for read in plan.inputs:
        made = f", made by {read.made_by}" if read.made_by else ""
        lines.append(f"  {read.kind:<20} {read.path}  ({read.source}{made})")
    lines += ["writes:", *(f"  {each.kind:<20} {each.path}" for each in plan.outputs), "values:"]
    for value in plan.values:
        text = value.value if isinstance(value.value, str) else _words(value.value)
        lines.append(f"  {value.key:<28} {text}  ({value.source})")
    if plan.tokens:
        lines.append(f"open tokens: {', '.join(plan.tokens)} (fill them in with --set)")
    for line in lines:
        click.echo(one_line(line))


def _step(name: str, does: str, idle: bool) -> str:
    return f"  {name:<20} {'nothing to do' if idle else does}"


def _words(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else "none" if value is None else str(value)
