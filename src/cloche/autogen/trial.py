"""Builds generated packages under glass, with their tests, and finds what an ebuild lacks.

The machine's files stay as they are: what a trial needs beside them (keywords, FEATURES=test) is
added to its ``/etc/portage`` for the trial alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.autogen.errors import RefusedError
from cloche.autogen.imports import failed_import
from cloche.autogen.marked import with_own_lines
from cloche.autogen.text import IUSE_TEST
from cloche.autogen.trees import Trees
from cloche.building import metadata
from cloche.building.configuration import with_etc
from cloche.building.context import BuildContext
from cloche.building.diagnose import Missing, missing_in, owners
from cloche.building.errors import BuildError
from cloche.building.hints import layers_of_repositories
from cloche.building.machine import Built, build_machine, resolve_and_plan
from cloche.building.packages import Builder
from cloche.building.resolve import proposal
from cloche.building.unresolved import ResolutionError
from cloche.config import autounmask
from cloche.config.errors import Origin
from cloche.config.machine import Machine
from cloche.config.sets import Asked
from cloche.layers import Layer, commit, merge_layers
from cloche.plan.depgraph import Package
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.records.builds import recorded
from cloche.records.events import Note
from cloche.session.building import with_jobserver
from cloche.session.session import Session
from cloche.tasks.errors import StepError

_NAME = "zz-autogen"
_MODULE = "Python module "
_LINKED = ("library ", "pkg-config module ")
_USEDEP = "[${PYTHON_USEDEP}]"


@dataclass(frozen=True, slots=True)
class Trial:
    """Packages of a repository to build for a machine.

    ``tested`` are those whose tests run, ``imported`` those whose modules are imported, ``flags``
    lines of package.use.
    """

    machine: Machine
    repository: str
    packages: tuple[str, ...]
    tested: tuple[str, ...]
    distdir: Path
    imported: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lacking:
    """A dependency that a package's ebuild does not declare: ``what`` was missing without it."""

    cpv: str
    what: str
    variable: str
    needed: str
    of_tests: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of an ebuild that declare it."""
        inner = f"test? ( {self.needed} )" if self.of_tests else self.needed
        found = (f"# found by a build: {self.what}", f'{self.variable}+=" {inner}"')
        return (*found, *IUSE_TEST) if self.of_tests else found


Outcome = Built | tuple[BuildError, list[Lacking]]


def build(session: Session, trial: Trial, trees: Trees) -> Outcome:
    """Build the packages; of a failure, what the ebuilds lack as far as the logs show it.

    If the tests need packages that need the tested one, it is built without its tests first, and
    its tests run over a root that has it, as Portage would do it; a note says so. Raises
    `ClocheError` where nothing can be built, such as `ResolutionError`.
    """
    try:
        return _build(session, trial, trees)
    except ResolutionError as error:
        if error.kind != "circular" or not trial.tested:
            raise
    tested = ", ".join(trial.tested)
    text = f"the tests of {tested} need what needs it itself: it is built without them first"
    session.sink(Note(text=text))
    return _in_a_circle(session, trial, trees)


def _in_a_circle(session: Session, trial: Trial, trees: Trees) -> Outcome:
    """Build tested packages without their tests, then all that these need, then with them."""
    first: list[Layer] = []
    with session.context(_machine(trial, trial.tested)) as pinned:
        flags = _flags_asked(_with_settings(pinned, trial), trial.tested)
    trial = replace(trial, flags=flags)
    plain = replace(trial, tested=())
    alone = replace(plain, packages=trial.tested, imported=trial.tested)
    done = _build(session, alone, trees, made=first)
    if isinstance(done, tuple):
        return done
    with session.context(_machine(trial, trial.tested)) as pinned:
        context = _with_settings(_over(pinned, first), trial)
        plan = _planned(context, tuple(f"={cpv}" for cpv in trial.tested)).plan
    others = tuple(_with_flags(each) for each in plan.packages if each.cpv not in trial.tested)
    layers: list[Layer] = []
    needed = replace(plain, packages=(*trial.tested, *others))
    done = _build(session, needed, trees, made=layers)
    if isinstance(done, tuple):
        return done
    last = replace(trial, packages=trial.tested, imported=())  # that root has more than it needs
    tested = _build(session, last, trees, over=layers)
    if isinstance(tested, tuple):
        return tested
    return replace(tested, built=done.built + tested.built, reused=done.reused + tested.reused)


def _flags_asked(context: BuildContext, tested: Sequence[str]) -> tuple[str, ...]:
    """The USE flags that others in the circle require of the tested packages, as lines of
    package.use. Without them the packages would have to be built again within the circle."""
    changes = autounmask.proposed(proposal(context, tuple(f"={cpv}" for cpv in tested)))
    cps = {split_cpv(cpv).cp for cpv in tested}
    lines = [each.line for each in changes if each.file == "package.use"]
    return tuple(f"{cp} {flags}" for line in lines for cp, flags in [_of_line(line)] if cp in cps)


def _of_line(line: str) -> tuple[str, str]:
    """The package and the flags of a line of package.use."""
    atom, _, flags = line.partition(" ")
    return split_cpv(atom.lstrip("<>=~")).cp, flags


def _with_flags(package: Package) -> str:
    """The package with its own USE flags, as an atom without its operator."""
    own = {flag.lstrip("+-") for flag in package.iuse} - set(package.fixed)
    flags = [f for f in package.use if f in own and not f.startswith("python_targets_")]
    return f"{package.cpv}[{','.join(flags)}]" if flags else package.cpv


def _machine(trial: Trial, packages: Iterable[str]) -> Machine:
    asked = tuple(Asked(f"={each}", Origin(trial.machine.file)) for each in packages)
    return replace(trial.machine, name=f"autogen:{trial.machine.name}", packages=asked, sets=())


def _build(
    session: Session,
    trial: Trial,
    trees: Trees,
    over: Sequence[Layer] = (),
    made: list[Layer] | None = None,
) -> Outcome:
    """Build over the seed with the layers ``over``; ``made`` gets the layers of what is built."""
    machine = _machine(trial, trial.packages)
    with session.context(machine) as pinned:
        context = _with_settings(_over(pinned, over), trial)
        store, place, count = context.store, context.inputs.place, context.policy.records
        with (
            recorded(store, context.bus, place, machine.name, count=count),
            with_jobserver(context, session.slots) as working,
        ):
            try:
                builder = _planned(working, machine.targets)
                done = build_machine(builder)
                if made is not None:
                    members = builder.plan.members
                    made += builder.layers(members, done.made, where=machine.name)
                return _imported(builder, done, trial, trees)
            except BuildError as error:
                steps = [each for each in error.errors if isinstance(each, StepError)]
                found = [each for step in steps for each in _lacking(context, step, trees)]
                if modules := [m for step in steps for m in _nowhere(context, step, trees)]:
                    error.todo = (
                        f"no repository has a package of the module {', '.join(modules)}: find out "
                        "its project, write it with `cloche autogen pypi`, then run this again"
                    )
                return error, found


def _over(context: BuildContext, layers: Sequence[Layer]) -> BuildContext:
    """The context with packages that are installed in the seed."""
    if not layers:
        return context
    with context.store.workspace("circle") as room:
        tree = room / "tree"
        merge_layers([each.path for each in layers], tree)
        one = commit(context.store, tree, kind="circle", label=context.inputs.machine)
    *base, config = context.inputs.base
    return replace(context, inputs=replace(context.inputs, base=(*base, one, config)))


def _imported(builder: Builder, done: Built, trial: Trial, trees: Trees) -> Outcome:
    """See that the modules of the tested packages can be imported with what they declare."""
    for cpv in trial.imported:
        error = failed_import(builder.context, builder, cpv)
        if error is not None:
            found = list(_lacking(builder.context, error, trees))
            return BuildError((cpv,), 0, (error,)), found
    return done


def _planned(context: BuildContext, targets: tuple[str, ...]) -> Builder:
    """The plan, with the flags of other packages that the dependencies ask for (``foo[bar]``)."""
    try:
        return resolve_and_plan(context, targets)
    except ResolutionError:
        changes = autounmask.proposed(proposal(context, targets))
        lines = [each.line for each in changes if each.file == "package.use"]
        if not lines or len(lines) < len(changes):
            raise
    text = "".join(f"{line}\n" for line in lines)
    return resolve_and_plan(_with_files(context, {f"package.use/{_NAME}-needed": text}), targets)


def cache_entries(session: Session, machine: Machine, repository: str) -> Mapping[str, str]:
    """``metadata/md5-cache`` of a repository (PMS 14) by cpv, made by the seed's Portage.

    Raises `ClocheError`.
    """
    with session.context(machine) as context:
        repo = context.inputs.repos[repository]
        return metadata.cache_entries(context, repo)


def _with_settings(context: BuildContext, trial: Trial) -> BuildContext:
    """The context with what the trial needs in /etc/portage, and with the source archives."""
    tests = [split_cpv(cpv).cp for cpv in trial.tested]
    asked = "".join(f"{line}\n" for line in trial.flags)
    added = {
        f"package.accept_keywords/{_NAME}": f"*/*::{trial.repository} ~*\n",
        f"package.use/{_NAME}": "".join(f"{cp} test\n" for cp in tests) + asked,
        f"package.env/{_NAME}": "".join(f"{cp} {_NAME}.conf\n" for cp in tests),
        f"env/{_NAME}.conf": 'FEATURES="test"\n',
    }
    distfiles = (*context.policy.distfiles, trial.distdir)
    policy = replace(context.policy, distfiles=distfiles)
    return _with_files(replace(context, policy=policy), added)


def _with_files(context: BuildContext, added: Mapping[str, str]) -> BuildContext:
    """The context with more files in /etc/portage."""
    inputs = context.inputs
    own = {name: text.encode() for name, text in added.items() if text}
    files = dict(sorted({**inputs.etc, **own}.items()))
    inputs = replace(with_etc(context.store, inputs, files), declared=False)
    return replace(context, inputs=inputs)


def _lacking(context: BuildContext, error: StepError, trees: Trees) -> Iterator[Lacking]:
    """What the log of a failed step shows as missing, and a package that has it."""
    if error.step != "import" and (error.step != "build" or error.phase is None):
        return
    cpv = error.package.partition("::")[0]
    for missing in missing_in(_log_of(error)):
        module = missing.what.startswith(_MODULE)
        cp = _owner(context, missing) or (_of_module(missing, trees) if module else None)
        if cp is None or cp == split_cpv(cpv).cp:
            continue
        of_tests = error.phase == "test"
        needed = f"{cp}{_USEDEP}" if module and trees.targets_of(cp) == "each" else cp
        where = variables(missing, of_tests=of_tests) if error.step == "build" else ("RDEPEND",)
        for variable in where:
            yield Lacking(cpv, missing.what, variable, needed, of_tests)


def variables(missing: Missing, *, of_tests: bool) -> tuple[str, ...]:
    """Where it is declared: what is linked to is needed later, too."""
    if missing.declared != "DEPEND":
        return ("BDEPEND",)
    linked = missing.what.startswith(_LINKED) and not of_tests
    return ("DEPEND", "RDEPEND") if linked else ("DEPEND",)


def _nowhere(context: BuildContext, error: StepError, trees: Trees) -> Iterator[str]:
    """The missing modules that no package has. What project they are of is not guessed: anybody
    may publish one under the name of a module."""
    for missing in missing_in(_log_of(error)):
        if missing.what.startswith(_MODULE):
            found = _owner(context, missing) or _of_module(missing, trees)
            if found is None:
                yield missing.what.removeprefix(_MODULE)


def _log_of(error: StepError) -> str:
    log = Path(error.log or "/nonexistent")
    return log.read_text(errors="replace") if log.is_file() else error.detail or ""


def _owner(context: BuildContext, missing: Missing) -> str | None:
    """The package that owns what is missing, of those that have been built."""
    for cpv in owners(missing, layers_of_repositories(context)):
        try:
            return split_cpv(cpv).cp
        except BadNameError:
            continue
    return None


def _of_module(missing: Missing, trees: Trees) -> str | None:
    """The package of a repository that is called like a module."""
    return trees.package_of(missing.what.removeprefix(_MODULE).partition(".")[0].replace("_", "-"))


def declare(path: Path, lacking: Sequence[Lacking]) -> str:
    """The text of an ebuild that declares what it lacks, in the user's block. Raises OSError,
    `RefusedError`."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    wanted = [line for each in lacking for line in each.lines]
    if not re.search(r"^# autogen: own variables$", text, re.MULTILINE):
        what = "it has no block of own variables"
        raise RefusedError(what, where=path, todo="run autogen with --force")
    return with_own_lines(text, "variables", wanted)
