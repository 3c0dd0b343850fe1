"""`cloche catalyst lint`: what is wrong with spec files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Literal

import click

from cloche.catalyst.lint import Finding, Trees, lint
from cloche.cli.catalyst_specs import CONFS, PATH, SET, read_confs, specs_in, tokens_of
from cloche.cli.options import Options
from cloche.config.errors import ConfigError, Origin
from cloche.display.text import count, one_line
from cloche.errors import Exit
from cloche.releng.repository import commit_of, git_directory, has_snapshot


@click.command(
    "lint",
    epilog="""\b
Examples:
  cloche catalyst lint stage1.spec stage3.spec
  cloche catalyst lint releases/specs --errors
  cloche catalyst lint releases/specs --json
  cloche catalyst lint -c catalyst.conf stage3.spec

\b
Exit status: 0 without errors (warnings do not count), 1 with errors.
""",
)
@click.argument("specs", metavar="SPEC|DIR...", nargs=-1, required=True, type=PATH)
@CONFS
@SET
@click.option("--errors", "only_errors", is_flag=True, help="Leave out warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def lint_command(
    options: Options,
    specs: tuple[Path, ...],
    confs: tuple[Path, ...],
    given: tuple[str, ...],
    only_errors: bool,
    as_json: bool,
) -> None:
    """Find what is wrong with spec files, without building anything.

    Of a directory, all files below it whose names end with .spec are read. An error is
    something that catalyst fails at or silently drops, a warning something that works but is rarely
    intended.

    Several specs are also compared with each other: sources that none of them makes, outputs that
    two of them write. The token @REPO_DIR@ is the releng checkout around the first file. With -c,
    tree-ishes are searched for among the snapshots and in the git repository.
    """
    files = specs_in(options, specs)
    found = lint(files, tokens_of(given, files), _trees(options, confs) if confs else None)
    if only_errors:
        found = tuple(each for each in found if each.severity == "error")
    errors = sum(each.severity == "error" for each in found)
    if as_json:
        click.echo(json.dumps({"specs": len(files), "findings": [*map(_data, found)]}, indent=2))
    else:
        for each in found:
            click.echo(one_line(str(each)))
        warnings = "" if only_errors else f", {count(len(found) - errors, 'warning')}"
        click.echo(f"{count(len(files), 'spec')}: {count(errors, 'error')}{warnings}")
    sys.exit(Exit.FAILED if errors else Exit.DONE)


def _trees(options: Options, confs: Sequence[Path]) -> Trees:
    """Searches for tree-ishes where a configuration keeps them."""
    conf = read_confs(options, confs)

    @lru_cache
    def look(treeish: str) -> Literal["snapshot", "commit"] | None:
        if has_snapshot(conf, treeish):
            return "snapshot"
        try:
            commit_of(git_directory(conf), treeish, Origin(Path(treeish)))
        except ConfigError:
            return None
        return "commit"

    return look


def _data(found: Finding) -> dict[str, object]:
    place = {"file": str(found.origin.file), "line": found.origin.line}
    return {**place, **{k: v for k, v in asdict(found).items() if k != "origin"}}
