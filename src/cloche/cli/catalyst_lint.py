"""`cloche catalyst lint`: what is wrong with spec files."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from cloche.catalyst.lint import Finding, lint
from cloche.cli.catalyst_specs import PATH, SET, specs_in, tokens_of
from cloche.cli.options import Options
from cloche.display.text import count, one_line
from cloche.errors import Exit


@click.command(
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
    files = specs_in(options, specs)
    found = lint(files, tokens_of(given, files))
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
