"""`cloche patch`: user patches of packages, from the source to a file of the project."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from cloche.building.errors import BuildError
from cloche.cli.complete import (
    complete_machine,
    complete_package,
    complete_patch,
    complete_work_tree,
)
from cloche.cli.options import Options, opened_session, say
from cloche.cli.showing import tell_failures
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group
from cloche.config.project import Project, load_project
from cloche.display.text import count, one_line, seconds
from cloche.errors import ClocheError
from cloche.records.events import Done, Event, Note, Phase
from cloche.session.session import Session
from cloche.workflows import (
    patch_list,
    patch_prep,
    patch_rebase,
    patch_save,
    patch_try,
    work_tree,
)
from cloche.workflows.patch_headers import Header


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche patch prep app-misc/jq
  cloche patch try --test
  cloche patch save --subject 'Answer in colour' --why 'Our terminals are dark.'
  cloche patch list
  cloche patch rebase app-misc/jq 1.7
""",
)
def patch() -> None:
    """Change packages by user patches: edit the source, try it, save the difference.

    See docs/patches.md. Nothing of a source is executed outside of a sandbox.
    """


@contextmanager
def _session(options: Options, project: Project, *machines: str) -> Iterator[Session]:
    """A session that shows which phase runs, and the failures of build dependencies."""
    with terminable(), opened_session(options, project, *machines, sink=_sink) as session:
        try:
            yield session
        except BuildError as error:
            tell_failures(error)
            error.detail = None
            raise


def _sink(event: Event) -> None:
    if isinstance(event, Note):
        say(f"warning: {event.text}" if event.level == "warning" else event.text)
    elif isinstance(event, Phase) and event.state == "start":
        say(f"{event.package.partition('::')[0]}: {event.phase}")
    elif isinstance(event, Done) and event.how == "built":
        say(f"{event.package.partition('::')[0]}: built")


_machine = click.option(
    "--machine", metavar="MACHINE", shell_complete=complete_machine,
    help="The machine whose package is meant [the first that has it].",
)  # fmt: skip


@patch.command(
    epilog="""\b
Examples:
  cloche patch prep app-misc/jq
  cloche patch prep =app-misc/jq-1.6 --machine workbench
  cloche patch prep jq --force
"""
)
@click.argument("atom", shell_complete=complete_package)
@_machine
@click.option("--force", is_flag=True, help="Make it again, and lose a change that is not saved.")
@click.pass_obj
def prep(options: Options, atom: str, machine: str | None, force: bool) -> None:
    """Lay out the source of ATOM in work/CATEGORY/PF, as user patches find it.

    The package is unpacked and prepared in its sandbox, up to where Portage applies user patches.
    The result is a git repository; saved patches are applied, each as a commit.
    """
    project = load_project(options.directory)
    with _session(options, project, *([machine] if machine else [])) as session:
        done = patch_prep.prep(session, atom, machine, force=force)
    click.echo(done.tree.path)
    if done.empty:
        say("note: the package unpacks nothing; its files are in its repository's files/")
    say(
        f"{done.tree.name} as machine {done.machine} builds it, "
        f"{count(len(done.patches), 'saved patch', 'saved patches')} applied; "
        "edit it, then `cloche patch try`"
    )


@patch.command(
    "try",
    epilog="""\b
Examples:
  cloche patch try
  cloche patch try --test
  cloche patch try jq --clean
""",
)
@click.argument("atom", required=False, shell_complete=complete_work_tree)
@click.option("--clean", is_flag=True, help="Begin with unpacking, not with the last compilation.")
@click.option("--test", "tests", is_flag=True, help="Run the package's tests.")
@click.pass_obj
def try_(options: Options, atom: str | None, clean: bool, tests: bool) -> None:
    """Build the package of a work tree with its change, as far as the image to install.

    ATOM names the work tree; without it, the one around the current directory is meant, or the only
    one. The first try begins with unpacking, a later one with compiling again what changed.
    The result is thrown away: no machine gets it.
    """
    project = load_project(options.directory)
    tree = work_tree.find(project, atom, Path.cwd())
    with _session(options, project) as session:
        done = patch_try.attempt(session, tree, clean=clean, tests=tests)
    how = f"from the start: {done.anew}" if done.anew else "from the last try"
    what = "builds with the change" if done.changed else "builds; the work tree has no change"
    click.echo(f"{tree.name} {what} ({seconds(done.seconds)}, {how})")
    if tests and done.tests == "restricted":
        say("note: its ebuild restricts tests, so none ran (RESTRICT=test)")


@patch.command(
    epilog="""\b
Examples:
  cloche patch save
  cloche patch save --subject 'Fix the build with musl' --why 'It uses a macro of glibc.' \\
      --upstream https://example.org/bugs/12
  cloche patch save --this-version
  cloche patch save --fragment desktop
  cloche patch save --skip
"""
)
@click.argument("atom", required=False, shell_complete=complete_work_tree)
@click.option("--subject", metavar="TEXT", help="What the patch does, in one line.")
@click.option("--why", metavar="TEXT", help="Why it is needed.")
@click.option("--upstream", metavar="URL", help="Where upstream knows of it.")
@click.option("--name", metavar="WORD", help="What follows the number in its name [the subject].")
@click.option("--this-version", is_flag=True, help="For this version alone [all versions].")
@click.option(
    "--fragment", metavar="NAME", help="Into this fragment of the machine [the project's patches/]."
)
@click.option("--skip", is_flag=True, help="In a rebase: leave the patch out of this version.")
@click.pass_obj
def save(
    options: Options,
    atom: str | None,
    subject: str | None,
    why: str | None,
    upstream: str | None,
    name: str | None,
    this_version: bool,
    fragment: str | None,
    skip: bool,
) -> None:
    """Save the change of a work tree as a patch, and check that it applies to clean sources.

    It goes to patches/CATEGORY/PN of the project, for all machines and versions. It is checked in
    the real step: for this version and all others that machines of the project have.

    In a rebase, the conflict is taken as resolved: the patch keeps its name and, without other
    options, its header. A rebase whose end failed goes on from there.
    """
    project = load_project(options.directory)
    tree = work_tree.find(project, atom, Path.cwd())
    if tree.note().rebasing:
        if this_version or fragment or name:
            what = "--this-version, --fragment and --name do not count in a rebase"
            raise click.UsageError(what)
        header = _header(subject, why, upstream) if subject or why or upstream else None
        with _session(options, project) as session:
            _tell(patch_rebase.go_on(session, tree, header, skip=skip))
        return
    if skip:
        raise click.UsageError("--skip is for a rebase, and this is none")
    patch_save.check_changed(tree)
    header = _header(subject, why, upstream)
    to = patch_save.Destination(this_version=this_version, fragment=fragment, name=name)
    with _session(options, project) as session:
        done = patch_save.save(session, tree, header, to)
    click.echo(done.path)
    say(f"it applies to {', '.join(done.versions)}")


def _header(subject: str | None, why: str | None, upstream: str | None) -> Header:
    """The header from options, and on a terminal from answers. Raises ClocheError."""
    if sys.stdin.isatty():
        subject = subject or click.prompt("What does it do (one line)", err=True)
        why = why or click.prompt("Why is it needed", err=True)
        if upstream is None:
            asked = "Where does upstream know of it (URL, or nothing)"
            upstream = click.prompt(asked, default="", show_default=False, err=True)
    for option, value in (("--subject", subject), ("--why", why)):
        if value is None:
            raise ClocheError("the patch needs a header", todo=f"say it with {option}")
    return Header(subject or "", why or "", upstream or "")


@patch.command(
    "list",
    epilog="""\b
Examples:
  cloche patch list
  cloche patch list --json | jq -r '.[] | select(.machines == []) | .patch'
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(options: Options, as_json: bool) -> None:
    """List the patches of the project: what each is for, and which machines build with it.

    These are the versions that the machines would build now.
    """
    project = load_project(options.directory)
    with opened_session(options, project) as session:
        found, unknown = patch_list.rows(session)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
    elif found:
        lines = [("patch", "used for", "machines", "subject")]
        for each in found:
            used, by = (" ".join(words) or "-" for words in (each.versions, each.machines))
            lines.append((each.patch, used, by, each.subject))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            click.echo(one_line("  ".join(cells).rstrip()))
    else:
        say("the project has no patches; `cloche patch prep ATOM` begins one")
    for name, error in unknown.items():
        say(f"machine {name}: not known what it builds: {one_line(str(error))}")


@patch.command(
    epilog="""\b
Examples:
  cloche patch drop 0001-answer-in-colour.patch
  cloche patch drop patches/app-misc/jq/0001-answer-in-colour.patch --yes
"""
)
@click.argument(
    "patches", metavar="PATCH...", nargs=-1, required=True, shell_complete=complete_patch
)
@click.option("--yes", is_flag=True, help="Remove the files; without it, they are only shown.")
@click.pass_obj
def drop(options: Options, patches: tuple[str, ...], yes: bool) -> None:
    """Show or remove patches of the project, each named by its file's name or path."""
    project = load_project(options.directory)
    found = patch_list.meant(project, patches, Path.cwd())
    if yes:
        patch_list.drop(found)
    for path in found:
        click.echo(f"{patch_list.shown(project, path)}  {'removed' if yes else 'would be removed'}")
    if not yes:
        say("nothing is removed without --yes")


@patch.command(
    epilog="""\b
Examples:
  cloche patch rebase app-misc/jq 1.7
  cloche patch rebase =app-misc/jq-1.6 1.7-r1
  cloche patch rebase --back
"""
)
@click.argument("atom", required=False, shell_complete=complete_package)
@click.argument("version", required=False)
@_machine
@click.option("--back", is_flag=True, help="Go back to the patch that was changed last.")
@click.option("--force", is_flag=True, help="Make the work tree again, and lose its change.")
@click.pass_obj
def rebase(
    options: Options,
    atom: str | None,
    version: str | None,
    machine: str | None,
    back: bool,
    force: bool,
) -> None:
    """Bring the patches of ATOM to another VERSION of it.

    A patch that does not apply is shown with its hunks, and left as a conflict in the work tree of
    that version, in work/CATEGORY/PF. Resolve it there, then `cloche patch save`. What had to be
    changed is saved for that version alone.

    If a resolution was wrong, --back returns to it, also after the end of the rebase. ATOM then
    names the work tree, as for `save`.
    """
    project = load_project(options.directory)
    if back:
        if version or machine:
            raise click.UsageError("--back takes no version and no machine")
        _go_back(options, project, atom, force=force)
        return
    if atom is None or version is None:
        raise click.UsageError("name a package and a version, or --back")
    with _session(options, project, *([machine] if machine else [])) as session:
        _tell(patch_rebase.rebase(session, atom, version, machine, force=force))


def _go_back(options: Options, project: Project, atom: str | None, *, force: bool) -> None:
    tree = work_tree.find(project, atom, Path.cwd())
    with _session(options, project) as session:
        done = patch_rebase.go_back(session, tree, force=force)
    for path in done.removed:
        say(f"removed {path}")
    say(f"{tree.name} is at {done.patch} again: resolve it, then `cloche patch save`")


def _tell(done: patch_rebase.Rebased) -> None:
    """Say what became of a rebase's patches."""
    for path in done.written:
        click.echo(path)
    for line in patch_rebase.in_words(done.outcomes):
        say(f"{done.tree.name}: {line}")
