"""`cloche kernel`: the configuration of a machine's kernel, checked, changed, carried over."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import click

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say
from cloche.cli.running import run_in
from cloche.cli.showing import Shown, opened_display
from cloche.cli.terminable import terminable
from cloche.cli.usage import Group
from cloche.config.atoms import at_version
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable, replace_text
from cloche.config.kernel_changes import changed_files, check_place
from cloche.config.kernel_files import statement
from cloche.config.kernel_signing import TABLE
from cloche.config.machine import Machine
from cloche.config.project import Project, load_project
from cloche.config.sets import check_member
from cloche.display.text import count, one_line
from cloche.errors import ClocheError
from cloche.session.kernels import PROGRAM, KernelRoot
from cloche.session.session import Session

machine_ = click.argument("machine", shell_complete=complete_machine)
as_json_ = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche kernel check web
  cloche kernel config web
  cloche kernel update web 6.12.60
""",
)
def kernel() -> None:
    """Check, change and carry over the configuration of a machine's kernel (docs/kernels.md)."""


@kernel.command(
    epilog="""\b
Examples:
  cloche kernel check web && cloche build web
  cloche kernel check web --json | jq -r .config
"""
)
@machine_
@as_json_
@click.pass_obj
def check(options: Options, machine: str, as_json: bool) -> None:
    """Merge the configuration of MACHINE's kernel and check it; nothing is compiled."""
    project = load_project(options.directory)
    declared = project.machine(machine)
    with _opened(options, project, declared) as (session, place):
        _run(session, place, "check", declared)
        merged = _settings(place.result("config"))
    if as_json:
        data = {"machine": machine, "version": place.version, "config": merged}
        click.echo(json.dumps(data, indent=2))
        return
    on = count(len(merged), "option")
    click.echo(f"{machine}: {place.version}, {on} set, all as asked for")


@kernel.command(
    epilog="""\b
Example:
  cloche kernel config web
"""
)
@machine_
@click.pass_obj
def config(options: Options, machine: str) -> None:
    """Open menuconfig for MACHINE's kernel, and save what changes to the project's files.

    An option is changed in the last file that says it. Any other one is added to the file that
    `config` names, or if that is not a file, to the last fragment.
    """
    project = load_project(options.directory)
    declared = project.machine(machine)
    if declared.kernel is not None and declared.kernel.sources is not None:
        check_place(declared.kernel)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ClocheError("menuconfig needs a terminal", todo="edit the files, or use a terminal")
    with _opened(options, project, declared) as (session, place):
        _run(session, place, "config", declared)
        changes, unmet = (place.result(each).splitlines() for each in ("changes", "unmet"))
    assert declared.kernel is not None  # noqa: S101 - the session refuses others
    files = changed_files(declared.kernel, changes)
    for path, text in files.items():
        replace_text(path, text)
    for line in changes:
        click.echo(line)
    names = ", ".join(str(path.relative_to(project.root)) for path in files)
    say(f"{count(len(changes), 'option')} changed: {names}" if files else "nothing changed")
    for line in unmet:
        say(f"warning: {one_line(line)}")


@kernel.command(
    epilog="""\b
Examples:
  cloche kernel update web            to the version that `sources` takes now
  cloche kernel update web 6.12.60
  cloche kernel update web 6.18.1 --ask
"""
)
@machine_
@click.argument("version", required=False)
@click.option("--ask", is_flag=True, help="Answer the questions of `make oldconfig` yourself.")
@click.option("--dry-run", is_flag=True, help="Only show questions and what is gone.")
@as_json_
@click.pass_obj
def update(
    options: Options, machine: str, version: str | None, ask: bool, dry_run: bool, as_json: bool
) -> None:
    """Carry the `config` file of MACHINE's kernel to another VERSION of its sources.

    It shows the options that are new there with their help, and those that are gone. Each new one
    gets its default, or your answer.
    """
    if ask and as_json:
        raise click.UsageError("--ask and --json exclude each other")
    project = load_project(options.directory)
    declared = _at_version(project.machine(machine), version)
    file = declared.kernel.config if declared.kernel else None
    if declared.kernel is not None and file is None:
        what = "“config” is not a file of the project, so there is nothing to carry over"
        raise ConfigError(declared.kernel.origin, what, f"see `cloche kernel check {machine}`")
    if file is not None and not dry_run:
        check_writable(file.path)
    with _opened(options, project, declared) as (session, place):
        _run(session, place, "ask" if ask and not dry_run else "update", declared)
        questions, gone = place.result("questions"), place.result("gone").splitlines()
        text = place.result("config")
    assert file is not None  # noqa: S101 - the session refuses machines without a kernel
    if as_json:
        new = [{"option": name, "help": text} for name, text in _questions(questions)]
        data = {"machine": machine, "version": place.version, "new": new, "gone": gone}
        click.echo(json.dumps({**data, "written": not dry_run}, indent=2))
    else:
        _show(questions, gone)
    if not dry_run:
        if not text.strip():
            raise ClocheError("it has made no configuration", where=f"the kernel of {machine}")
        replace_text(file.path, text)
        _advise(project, declared, place.version, file.name, changed=version is not None)


def _settings(text: str) -> dict[str, str]:
    """The options of a .config that are set, as they are written there."""
    found = filter(None, map(statement, text.splitlines()))
    return {f"CONFIG_{name}": value for name, value in found if value != "n"}


def _questions(text: str) -> Iterator[tuple[str, str]]:
    """Options with their help, as `make helpnewconfig` prints them between lines of hyphens."""
    for part in re.split(r"(?m)^-----$", text):
        name, colon, more = part.strip().partition(":\n")
        if colon and name.startswith("CONFIG_"):
            yield name, more.strip()


@contextmanager
def _opened(
    options: Options, project: Project, machine: Machine
) -> Iterator[tuple[Session, KernelRoot]]:
    """The root of a machine's kernel. What is built for it is shown as by `cloche build`."""
    shown = Shown(opened_display("auto", verbose=False))
    with (
        terminable(),
        opened_session(options, project, machine.name, sink=shown) as session,
        ExitStack() as stack,
    ):
        with shown.work_of(session):
            place = stack.enter_context(session.kernel(machine))
        say(f"{machine.name}: configuring {place.version}")
        yield session, place


def _at_version(machine: Machine, version: str | None) -> Machine:
    """The machine with another version of its kernel's sources. Raises `ConfigError`."""
    kernel = machine.kernel
    if version is None or kernel is None or kernel.sources is None:
        return machine
    text = at_version(kernel.sources.atom, version)
    asked = check_member(text, Origin(machine.file, kernel.sources.origin.line))
    return replace(machine, kernel=replace(kernel, sources=asked))


def _show(questions: str, gone: list[str]) -> None:
    """What is new, with its help, and what is gone."""
    if questions.strip():
        click.echo(questions.rstrip())
    for line in gone:
        click.echo(f"gone: {one_line(line)}")


def _advise(project: Project, machine: Machine, version: str, name: str, *, changed: bool) -> None:
    """What was written, and what has to be for the version."""
    say(f"{name} is now that of {version}")
    kernel = machine.kernel
    if changed and kernel and kernel.sources:
        where = machine.file.relative_to(project.root)
        say(f'write sources = "{kernel.sources.atom}" in {where}, unless it takes that version')


def _run(session: Session, place: KernelRoot, mode: str, machine: Machine) -> None:
    """Run the program that configures. Raises `ClocheError` with its own line."""
    status = run_in(session.engine, place.root, ("/bin/bash", PROGRAM, mode))
    if status:
        fault = one_line(place.result("fault").strip())
        if fault.startswith(TABLE) and machine.kernel and machine.kernel.signing:
            fault = f"{machine.kernel.signing.origin}, {fault}"
        fault = fault or f"the program ended with status {status}"
        raise ClocheError(fault, where=f"the kernel of {machine.name}")
