"""Hints for failed steps: the cause that the end of the log shows, and its cure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.diagnose import (
    EITHER,
    Missing,
    missing_in,
    needs_newer_c_library,
    no_space,
    owners,
    tried_network,
    unknown_account,
    was_killed,
)
from cloche.building.livepins import is_live
from cloche.building.package_tasks import kept_as
from cloche.building.rejected import refused, user_patches
from cloche.config.kernel_signing import TABLE
from cloche.errors import Exit
from cloche.plan.depgraph import Package
from cloche.plan.names import bare
from cloche.portage import kernel
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.seeds.parts.strict import SeedParts
from cloche.tasks import kept_roots
from cloche.tasks.build import TAIL
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import tail_of


def explain(context: BuildContext, package: Package, error: StepError) -> None:
    """Add to a failed step's error a hint from its log, and the command that opens its root."""
    if error.phase is None:
        return
    error.todo = _hint_for(context, error) or error.todo
    if error.phase == "prepare":
        _blame_patch(package, error)
    if kernel.is_generated(package.repo) and "CONFIG_" in error.what:  # of `kernel_config.py`
        error.status = Exit.BAD_INPUT
        place = f"machines/{context.inputs.machine}.toml, {TABLE}:"
        error.what = error.what.replace(f"{TABLE}:", place, 1)
    inputs = context.inputs
    kept = kept_roots.known(context.store, kept_as(context, package)) is not None
    if kept and inputs.declared:
        strict = " --strict" if inputs.strict else ""
        error.enter = f"cloche shell {inputs.machine}{strict} --package ={bare(package.id)}"
    if error.phase == "unpack" and is_live(package):
        error.todo = (
            "it has no network, only what its eclass stored in DISTDIR during the fetch; "
            f"after a change of the ebuild, run `cloche lock --update {inputs.machine}`"
        )


def _blame_patch(package: Package, error: StepError) -> None:
    """Name the user's patch that does not apply, and where."""
    text = _end_of(error)
    patches, hunks = user_patches(text), refused(text)
    if not patches or not hunks:
        return
    error.what = f"{patches[-1]} does not apply: {'; '.join(map(str, hunks))}"
    error.todo = (
        f"correct it, or bring it here from the version that it was made for: `cloche patch rebase "
        f"{package.cp} {package.version}`; see `{error.log_command}`"
    )
    error.detail, error.status = None, Exit.BAD_INPUT


def explain_again(context: BuildContext, error: StepError) -> None:
    """Look for the missing file again: its package may have been built since."""
    if error.phase is not None and error.step == "build":
        error.todo = _hint_for(context, error) or error.todo


def _hint_for(context: BuildContext, error: StepError) -> str | None:
    return hint_of(context, _end_of(error), merging=error.step == "merge")


def _end_of(error: StepError) -> str:
    """The lines of a failed step's log that tell its cause."""
    whole = tail_of(Path(error.log), TAIL).splitlines() if error.log else []
    return "\n".join((*(error.detail or "").splitlines(), *whole[-400:]))


def hint_of(context: BuildContext, tail: str, *, merging: bool = False) -> str | None:
    """A hint from the end of a log, None if it shows no known cause.

    A hook that runs while a package is merged has other dependencies than a build.
    """
    hints = [
        hint
        for missing in missing_in(tail)
        if (hint := _of_missing(context, missing, _declared(context, missing, merging=merging)))
    ]
    if tried_network(tail):
        hints.append("a build has no network: all sources belong in SRC_URI")
    if needs_newer_c_library(tail):
        hints.append(
            "a program of the build needs a newer C library than the seed's: use a newer seed"
        )
    if context.inputs.own_root and (account := unknown_account(tail)):
        hints.append(_of_account(*account, merging=merging))
    if no_space(tail):
        hints.append(f"the disk was full: free some space in {context.store.path}")
    if context.policy.limits.memory and was_killed(tail):
        hints.append("a process was killed: it may need more memory than [limits] memory allows")
    return "; ".join(hints) or None


def _declared(context: BuildContext, missing: Missing, *, merging: bool) -> str:
    """The variables of an ebuild that make something visible to a step (PMS 8.1)."""
    if merging:
        return "IDEPEND" if context.inputs.own_root else "RDEPEND or IDEPEND"
    return missing.declared if context.inputs.own_root else EITHER


def _of_missing(context: BuildContext, missing: Missing, declared: str) -> str | None:
    if known := owners(missing, layers_of_repositories(context)):
        return (
            f"{missing.what} was not visible; it belongs to {', '.join(known)}: "
            f"add that to {declared}"
        )
    parts = context.inputs.seed_parts
    if parts is None or not (hidden := tuple(_hidden(parts, missing))):
        return None
    brings = " or ".join(parts.declarable(hidden))
    cure = f"add {brings} to {declared}" if brings else "declare the package that owns it"
    return f"{missing.what} is in the seed but hidden by --strict; {cure}"


def _of_account(name: str, in_root: bool, *, merging: bool) -> str:
    packages = "add its packages of acct-user and acct-group to"
    if in_root:
        variable = "RDEPEND" if merging else "DEPEND"
        return f"what the step sees of the new root has no {name}: {packages} {variable}"
    variable = "IDEPEND" if merging else "BDEPEND"
    return f"{name} was looked up in the seed, not in the new root: {packages} {variable}"


def layers_of_repositories(context: BuildContext) -> Iterator[Path]:
    """Layers of packages of a machine's repositories; the store may hold others."""
    for tree in context.store.trees():
        if tree.kind != "package":
            continue
        try:
            cpv = split_cpv(tree.label)
        except BadNameError:
            continue
        place = Path(cpv.category, cpv.pn)
        if any((repo.path / place).is_dir() for repo in context.inputs.repos.values()):
            yield tree.path


def _hidden(parts: SeedParts, missing: Missing) -> Iterator[str]:
    """The hidden parts of the seed that have the missing file."""
    for name, layer in parts.layers.items():
        files = (Path(top, file) for top, _, names in os.walk(layer.path) for file in names)
        if any(f"/{file.relative_to(layer.path)}".endswith(missing.endings) for file in files):
            yield name
