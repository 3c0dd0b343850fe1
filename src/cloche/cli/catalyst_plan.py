"""`cloche catalyst plan` and `import`: show a spec as a list of steps, write it as a project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from cloche.catalyst.plan import Plan, plan_spec
from cloche.catalyst.spec import Spec
from cloche.cli.catalyst_specs import (
    CONFS,
    FILE,
    OVERRIDES,
    SET,
    check_given,
    filled,
    opening,
    read_confs,
    read_one,
    read_to_build,
    tokens_of,
)
from cloche.cli.options import Options, telling_of_long_stages
from cloche.display.text import one_line
from cloche.errors import ClocheError
from cloche.releng.build import import_spec


@click.command(
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
    """Write the machines that correspond to SPEC to DIR, as a project of cloche.

    The source tarball and the snapshot must exist. Nothing is built.
    """
    check_given(options, given, [file])
    spec, conf = read_to_build(options, file, overrides, given), read_confs(options, confs)
    place = options.directory / directory
    machines = import_spec(spec, conf, place, opening(options, telling_of_long_stages()))
    click.echo(f"{one_line(str(directory))}: {', '.join(machines)}")
    first, *others = machines
    click.echo(f"Next: cloche -C {one_line(str(directory))} plan {first}")
    if others:
        click.echo(f"Then build {first} and run `cloche seed bootstrap {first}`, for {others[0]}.")


@click.command(
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
    """Show what catalyst would do with SPEC, and where each value comes from.

    Lists the steps in catalyst's order, the files that catalyst would read and write, and each
    value with its origin. Nothing is built, and the files need not exist. The spec that makes the
    source is searched for among the specs of the same directory.
    """
    check_given(options, given, [file])
    spec, conf = read_one(options, file, overrides, given), read_confs(options, confs)
    plan = plan_spec(spec, conf, _siblings(spec.file, tokens_of(given, [spec.file])))
    if as_json:
        click.echo(json.dumps({"spec": str(spec.file), **asdict(plan)}, indent=2))
    else:
        _show(plan)


def _siblings(file: Path, tokens: Mapping[str, str]) -> list[Spec]:
    """The other specs of the directory that can be read."""
    found = []
    for each in sorted(file.parent.glob("*.spec")):
        try:
            found += [filled(each, tokens)] if each.name != file.name else []
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
