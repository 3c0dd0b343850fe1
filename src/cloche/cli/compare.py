"""`cloche catalyst compare`: shows how two outputs differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from cloche.archives import Limits
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_store, project_or_none
from cloche.cli.progress import ChangingLine
from cloche.cli.terminable import terminable
from cloche.cli.usage import Number
from cloche.comparison.comparison import Tree, compare
from cloche.comparison.guard import limited_memory
from cloche.comparison.inventory import LIMITS, Watch
from cloche.comparison.outputs import read_layers, read_output
from cloche.comparison.rules import NAMES
from cloche.display.comparison import as_data, by_rule, summary
from cloche.display.comparison_page import page
from cloche.display.text import one_line, size
from cloche.errors import ClocheError, Exit, unwritable
from cloche.output.inventory import inventories
from cloche.records.builds import not_built

MACHINE = "machine:"


def complete_output(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Files, and finished machines with their prefix."""
    if begun and MACHINE.startswith(begun):
        return [CompletionItem(MACHINE), CompletionItem(begun, type="file")]
    if begun.startswith(MACHINE):
        names = complete_machine(context, parameter, begun.removeprefix(MACHINE))
        return [CompletionItem(MACHINE + name) for name in names]
    return [CompletionItem(begun, type="file")]


@click.command(
    "compare",
    epilog="""\b
Examples:
  cloche catalyst compare old/stage3-amd64.tar.xz new/stage3-amd64.tar.xz
  cloche catalyst compare old.iso new.iso --html report.html
  cloche catalyst compare old.tar.xz new.tar.xz --rule lost --rule etc
  cloche catalyst compare stage4.tar.zst machine:router --json

\b
Exit status: 0 if all differences are harmless, 1 otherwise, 2 if an output cannot be
read.
""",
)
@click.argument("old", shell_complete=complete_output)
@click.argument("new", shell_complete=complete_output)
@click.option(
    "--rule",
    "rules",
    metavar="NAME",
    type=click.Choice(NAMES),
    multiple=True,
    help="Show all differences that this rule judges. Repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="Show all differences.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; with --all, also what is left out."
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a report as one HTML file.",
)
@click.option(
    "--max-size",
    metavar="GIB",
    type=Number(1, 1 << 20),
    default=LIMITS.bytes >> 30,
    show_default=True,
    help="Refuse an output with a tree that has more content.",
)
@click.pass_obj
def compare_command(
    options: Options,
    old: str,
    new: str,
    rules: tuple[str, ...],
    everything: bool,
    as_json: bool,
    html: Path | None,
    max_size: int,
) -> None:
    """Compare two outputs, and judge their differences.

    OLD and NEW are stage tarballs, directories, squashfs, ISO or disk images (qcow2, or with a
    GPT), or finished machines of the project (machine:NAME). File systems in an image are compared
    as separate trees. Nothing is unpacked or run.

    This compares packages (version, USE, slot, dependencies, flags), files (type, mode, owner,
    capabilities, attributes, content), the libraries that programs need, and texts below /etc, line
    by line. Differences between any two builds, such as times, are left out and counted. A rule
    judges each other difference: harmless, to look at, or wrong (docs/comparison.md).
    """
    limits = replace(LIMITS, bytes=max_size << 30)
    with terminable(), limited_memory():
        found = compare(*(_trees(options, name, limits) for name in (old, new)))
    if html is not None:
        try:
            html.write_text(page(found, old, new), encoding="utf-8")
        except OSError as error:
            raise unwritable(html, error, "choose a file that you may write") from error
    if as_json:
        click.echo(json.dumps(as_data(found, old, new, everything=everything), indent=2))
    else:
        for line in (*summary(found, old, new), *by_rule(found, rules, everything=everything)):
            click.echo(one_line(line))
    sys.exit(Exit.DONE if found.passed else Exit.FAILED)


def _trees(options: Options, name: str, limits: Limits) -> Sequence[Tree]:
    """Read an output or a machine. Raises ClocheError, OSError."""
    line = ChangingLine()
    watch = _progress(line, name) if sys.stderr.isatty() else _quiet
    try:
        if name.startswith(MACHINE):
            return _machine(options, name, limits, watch)
        path = options.directory / name
        if not path.exists():
            raise ClocheError(
                "not found", where=name, todo="name a file, a directory or machine:NAME"
            )
        return read_output(path, limits, watch)
    finally:
        line.end()


def _quiet(_: int, __: int) -> None:
    """Show no progress."""


def _progress(line: ChangingLine, name: str) -> Watch:
    short = Path(name).name or name  # the line is cut at its end
    return lambda done, names: line(f"{short}: {size(done)}, {names:,} names")


def _machine(options: Options, name: str, limits: Limits, watch: Watch) -> Sequence[Tree]:
    machine = name.removeprefix(MACHINE)
    project = project_or_none(options)
    with opened_store(options, project) as store:
        held = inventories(store, project.place if project is not None else None, machine)
        if not held:
            raise not_built(f"machine {machine}", f"cloche build {machine}")
        return read_layers([layer.path for layer in held[0].lowers], name, limits, watch)
