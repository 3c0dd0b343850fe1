"""`cloche build`, and the options that it shares with `cloche plan`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloche.building.errors import BuildError
from cloche.cli.cluster_options import (
    ClusterChoice,
    cluster_options,
    opened_cluster,
)
from cloche.cli.complete import complete_fragment, complete_machine, complete_package
from cloche.cli.options import Options, opened_session, say
from cloche.cli.showing import Shown, opened_display, progress_options, tell_failures
from cloche.cli.target_options import TargetChoice, check_alone, target_options
from cloche.cli.terminable import terminable
from cloche.cli.usage import Number
from cloche.config.machine import Machine
from cloche.config.project import Project, load_project
from cloche.display.text import count, one_line, seconds, size
from cloche.errors import ClocheError
from cloche.output.deliver import check_outputs
from cloche.output.sealed import Revealed
from cloche.output.secrets import reveal
from cloche.session.building import Result
from cloche.session.choices import Choices

if TYPE_CHECKING:
    from cloche.session.session import Session

STRICT = "Hide the seed from builds, except for a named toolchain."

Function = Callable[..., Any]


live_option = click.option(
    "--live",
    is_flag=True,
    help="Let live ebuilds fetch their sources, as `live = true` in the machine file does.",
)


def common(function: Function) -> Function:
    """Options that planning and building share.

    The function gets them as one `Choices`, together with its own options that are fields of it.
    """

    @wraps(function)
    def with_choices(*arguments: Any, **values: Any) -> Any:
        own = {each.name: values.pop(each.name) for each in fields(Choices) if each.name in values}
        return function(*arguments, choices=Choices(**own), **values)

    return _with_options(with_choices)


def _with_options(function: Function) -> Function:
    for option in (
        click.option("--strict", is_flag=True, help=STRICT),
        click.option("--offline", is_flag=True, help="Fetch nothing; report what is missing."),
        click.option(
            "--strict-hooks",
            is_flag=True,
            help="Refuse packages whose hooks change files of other packages.",
        ),
        click.option(
            "--strict-config",
            is_flag=True,
            help="Refuse configuration that has no effect.",
        ),
        click.option(
            "--autounmask-write",
            metavar="FRAGMENT",
            shell_complete=complete_fragment,
            help="If Portage proposes changes (USE, keywords, licences, masks), write them to this "
            "fragment of the machine and stop.",
        ),
        click.option(
            "--locked", is_flag=True, help="Refuse anything that differs from cloche.lock."
        ),
        live_option,
        click.option(
            "-j",
            "--jobs",
            type=Number(1),
            help="Packages to build at once [number of cores].",
        ),
    ):
        function = option(function)
    return function


@click.command(
    epilog="""\b
Examples:
  cloche build workbench
  cloche build workbench --jobs 2 --keep-going
  cloche build desktop server router --keep-going
  cloche build --all --keep-going
  cloche build workbench --package jq --package 'dev-libs/*'
  cloche build workbench --rebuild jq
  cloche build workbench --offline --locked
  cloche build workbench --strict-hooks
  cloche build workbench --strict-config
  cloche build workbench --live
  cloche build web --secrets
  cloche build workbench --cluster tcp://127.0.0.1:8786
  cloche build workbench --progress json > events.jsonl
  cloche build --target ssh://root@larry app-editors/vim
  cloche build --target ssh://larry:2222 '=dev-lang/python-3.13*' @world --jobs 4
"""
)
@click.argument(
    "machines",
    metavar="MACHINE...",
    nargs=-1,
    shell_complete=complete_machine,
)
@click.option("--all", "everything", is_flag=True, help="Build all machines of the project.")
@common
@click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="Continue as far as possible after a failure, with the other machines, too.",
)
@click.option(
    "--package",
    "packages",
    metavar="ATOM",
    multiple=True,
    shell_complete=complete_package,
    help="Build only this package and what it needs; write no output. May be repeated.",
)
@click.option(
    "--rebuild",
    metavar="ATOM",
    multiple=True,
    shell_complete=complete_package,
    help="Build this package again and compare its layer. May be repeated.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Directory for the tarball and the packages, with a subdirectory for each of several "
    "machines [PROJECT/out/MACHINE]. An existing `binpkgs` is replaced if cloche made it.",
)
@click.option(
    "--secrets",
    "with_secrets",
    is_flag=True,
    help="Put the machines' secrets into their tarballs, and sign their modules; this runs the "
    "commands that give secrets and keys.",
)
@target_options
@progress_options
@cluster_options
@click.pass_obj
def build(
    options: Options,
    machines: tuple[str, ...],
    everything: bool,
    choices: Choices,
    output: Path | None,
    with_secrets: bool,
    progress: str,
    verbose: bool,
    cluster: ClusterChoice,
    target: TargetChoice,
) -> None:
    """Build each MACHINE, or with --target each ATOM for a machine that is reached by ssh.

    This makes its packages, its layers, the stage4 tarball and the package directory. Several
    machines are one plan: what they have in common is built once.

    With --target the packages are built by the target's Portage and its /etc/portage in a root that
    equals its own. The target needs an ssh login without questions, python3, tar and Portage.
    """
    if everything and (machines or target.address is not None):
        raise click.UsageError("--all is all there is: name nothing beside it")
    if not everything and not machines:
        raise click.UsageError("name a MACHINE, or give --all")
    project = load_project(options.directory)
    machines = machines or tuple(project.machines)
    if target.address is not None:
        from cloche.cli.build_target import build_for_target

        check_alone(choices, cluster)
        place = output or project.root / "out" / target.address.host
        display = opened_display(progress, verbose=verbose)
        build_for_target(options, project, target, machines, choices, place.absolute(), display)
        return
    wanted = [project.machine(name) for name in dict.fromkeys(machines)]
    places = [_directory(project, machine, output, alone=len(wanted) == 1) for machine in wanted]
    if len(wanted) == 1 or not choices.keep_going:  # else it is only that machine's error
        for machine, place in zip(wanted, places, strict=True):
            check_outputs(machine, place)
    directories = {machine.name: place for machine, place in zip(wanted, places, strict=True)}
    # Before there is a display: their commands may ask on the terminal. And before anything of ours
    # is in a user namespace, where they would not be the user.
    secrets = {each.name: reveal(each) for each in wanted} if with_secrets else {}
    _build(options, project, directories, choices, progress, cluster, secrets, verbose=verbose)


def _directory(project: Project, machine: Machine, output: Path | None, *, alone: bool) -> Path:
    """Where a machine's outputs go."""
    if output is None:
        return (project.root / "out" / machine.name).absolute()
    return (output if alone else output / machine.name).absolute()


def _build(
    options: Options,
    project: Project,
    directories: Mapping[str, Path],
    choices: Choices,
    progress: str,
    cluster: ClusterChoice,
    secrets: Mapping[str, Sequence[Revealed]],
    *,
    verbose: bool,
) -> None:
    """Build machines, or some of their packages. Raises what kept one of them from its end."""
    began = time.monotonic()
    shown = Shown(opened_display(progress, verbose=verbose), quiet=progress == "json")
    with (
        terminable(),
        opened_cluster(options, cluster) as elsewhere,
        opened_session(options, project, sink=shown, elsewhere=elsewhere) as session,
        shown.work_of(session),
    ):
        if elsewhere is not None:
            cores = elsewhere.connect(session.store, shown)
            choices = replace(choices, jobs=choices.jobs or cores)
        results = _carried_out(session, directories, choices, secrets)
        logs = session.store.logs
    _tell_machines(results, logs, time.monotonic() - began, quiet=progress == "json")


def _carried_out(
    session: Session,
    directories: Mapping[str, Path],
    choices: Choices,
    secrets: Mapping[str, Sequence[Revealed]],
) -> Mapping[str, Result | ClocheError]:
    if len(directories) > 1:
        return session.build_several(directories, choices, secrets)
    ((machine, directory),) = directories.items()
    return {machine: session.build(machine, choices, directory, secrets.get(machine, ()))}


def _tell_machines(
    results: Mapping[str, Result | ClocheError], logs: Path, took: float, *, quiet: bool
) -> None:
    """Say of each machine where its results are. Raises ClocheError if one failed."""
    lines, failed = [], {}
    for machine, result in results.items():
        if isinstance(result, ClocheError):
            tell_failure(machine, result)
            failed[machine] = result
            lines.append(f"{machine}: failed")
            continue
        summary = f"{count(result.built, 'package')} built, {result.reused} reused"
        lines.append(f"{machine}: {summary}")
        if not quiet:
            alone = f"{summary}, {seconds(took)} in all" if len(results) == 1 else ""
            tell_results(result, logs, alone)
    if len(results) > 1 and not quiet:
        click.echo("\n".join([*lines, f"{seconds(took)} in all"]))
    if failed:
        raise ClocheError(
            f"{len(failed)} of {len(results)} machines failed: {', '.join(failed)}",
            status=next(iter(failed.values())).status,
        )


def tell_failure(machine: str, error: ClocheError) -> None:
    """Say on standard error why a machine failed, however the build is shown."""
    if isinstance(error, BuildError):
        tell_failures(error)
    elif error.detail:
        say(error.detail)
    say(one_line(f"{machine}: {error}"))


def tell_results(result: Result, logs: Path, summary: str) -> None:
    """Say where the results are."""
    width = max([9, *map(len, result.outputs)])
    for name, path in result.outputs.items():
        length = f"  ({size(path.stat().st_size)})" if path.is_file() else ""
        click.echo(f"{name:<{width}} {path}{length}")
    if summary:
        click.echo(f"{'logs':<{width}} {logs}")
        click.echo(summary)
