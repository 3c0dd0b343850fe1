"""`cloche try`: a variant of a machine, built, run in a disposable root, compared."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import click

from cloche.cli.complete import complete_fragment, complete_machine
from cloche.cli.machine import line_of
from cloche.cli.options import Options, opened_session, say
from cloche.cli.running import run_in
from cloche.cli.showing import Shown, opened_display
from cloche.cli.terminable import terminable
from cloche.config import autounmask
from cloche.config.errors import ConfigError
from cloche.config.machine import Fragment, Machine
from cloche.config.project import Project, load_project
from cloche.display.text import count, seconds, size
from cloche.output.holdings import between, files_of, holding

_FLAGS, _COMMAND = "cloche.flags", "cloche.command"
_FILES = 20  # that are listed without --files


class Try(click.Command):
    """A command line with flags of packages, which begin with + or -, and a command after --."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, after the flags and the command were taken out."""
        at = args.index("--") if "--" in args else len(args)
        words, ctx.meta[_COMMAND] = args[:at], tuple(args[at + 1 :])
        ctx.meta[_FLAGS] = tuple(word for word in words if _is_flag(word))
        return super().parse_args(ctx, [word for word in words if not _is_flag(word)])


def _is_flag(word: str) -> bool:
    return word.startswith("+") or (word[:1] == "-" and word[:2] != "--" and word != "-h")


@click.command(
    "try",
    cls=Try,
    options_metavar="[OPTIONS]",
    epilog="""\b
Examples:
  cloche try workbench app-misc/jq -oniguruma -- jq --version
  cloche try workbench app-editors/ed --files
  cloche try workbench app-misc/jq -oniguruma --save base -- jq -n 1

\b
Exit status: that of COMMAND, as for `cloche shell`.
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.argument("atom", metavar="ATOM [+FLAG|-FLAG]... [-- COMMAND...]")
@click.option(
    "--save", "fragment", metavar="FRAGMENT", shell_complete=complete_fragment,
    help="Write the flags to this fragment of the machine at the end, if COMMAND succeeds.",
)  # fmt: skip
@click.option("--files", is_flag=True, help=f"List all files, not only {_FILES} of a package.")
@click.pass_context
def try_(
    context: click.Context, machine: str, atom: str, fragment: str | None, files: bool
) -> None:
    """Build MACHINE with ATOM and these flags of it, and run COMMAND in a disposable root with it.

    Then it shows what differs from the machine as last built: packages, USE flags, sizes, files.
    The machine's files stay as they are, unless --save is given.
    """
    from cloche.workflows import variants

    options = context.find_object(Options)
    if options is None:
        raise RuntimeError("no options")
    wanted = variants.variant(atom, context.meta[_FLAGS])
    command: tuple[str, ...] = context.meta[_COMMAND]
    project = load_project(options.directory)
    declared = project.machine(machine)
    target = autounmask.fragment_of(declared, fragment) if fragment else None
    began, status = time.monotonic(), 0
    shown = Shown(opened_display("auto", verbose=False))
    with ExitStack() as stack:
        stack.enter_context(terminable())
        session = stack.enter_context(opened_session(options, project, machine, sink=shown))
        before = holding(session.store, project.place, machine)
        with shown.work_of(session):
            tried = stack.enter_context(variants.tried(session, declared, wanted))
        took = seconds(time.monotonic() - began)
        say(f"{count(tried.built, 'package')} built, {tried.reused} reused, {took} in all")
        if command:
            status = run_in(session.engine, tried.root, command)
        found = between(before.packages, tried.packages)
        say(f"compared with {machine}, build {before.run.number}:" if found else "no differences")
        for each in found:
            say(line_of(each))
            listed = files_of(session.store, each)
            lines = listed.text().splitlines() if listed is not None else []
            for line in lines if files else lines[:_FILES]:
                say(f"    {line}")
            if len(lines) > _FILES and not files:
                say(f"    {len(lines) - _FILES} more: --files lists them")
        grown = sum(held.size or 0 for held in tried.packages.values()) - before.size
        say(f"size: {'+' if grown >= 0 else '-'}{size(abs(grown))}")
    if target is not None and status == 0:
        _save(project, declared, target, wanted.changes)
        if not tried.asked:
            say(f"{declared.file.relative_to(project.root)} does not ask for {atom}: add it there")
    sys.exit(status)


def _save(
    project: Project, machine: Machine, fragment: Fragment, changes: Sequence[autounmask.Change]
) -> None:
    """Write lines into a fragment, and say whose it is as well. Raises ConfigError."""
    written = autounmask.write(changes, fragment)
    for path in written:
        say(f"written: {path.relative_to(project.root)}")
    if not written:
        say(f"the fragment {fragment.name} has that line already")
        return
    others = []
    for name in project.machines:
        with suppress(ConfigError):  # another machine's file may be wrong
            parts = project.machine(name).fragments
            if name != machine.name and fragment.directory in [each.directory for each in parts]:
                others.append(name)
    if others:
        say(f"{fragment.name} is also a fragment of {', '.join(others)}")
