"""Sources of live ebuilds: fetched by their own src_unpack, kept as a tree, pinned in the lock.

This is the only step in which an ebuild's code has network access, and only if the user allows it.
The sandbox is that of the package's build, with a proxy as the only way out, as for distfiles. What
the eclass then has in its store below DISTDIR becomes a layer; the build runs offline on it.

The tree that the lock pins is used if the store has it. Otherwise the same commits are fetched
again; the server may pack them differently, so that the tree may have another id.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cloche.archives import (
    ImportRefusedError,
    import_directory,
)
from cloche.building.context import BuildContext
from cloche.building.errors import live_refused
from cloche.building.fetch import NAME_IT, fetch
from cloche.building.hints import explain
from cloche.building.inputs import where_writable
from cloche.building.livepins import Sources, is_live, overrides
from cloche.building.network import CA_BUNDLE, forwarder, mirrors_of, network_files, way_out
from cloche.building.package_tasks import Seen, build_task
from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.lock import LivePin, Revision
from cloche.fetching.forward import Forwarder
from cloche.fetching.reach import mirror_uris
from cloche.layers import (
    SOURCE_DATE_EPOCH,
    Layer,
    commit,
)
from cloche.plan.depgraph import Package
from cloche.records.events import Phase, Started
from cloche.records.logs import new_log, put_away
from cloche.store import Key, Outcome, make_key, record
from cloche.tasks import distfiles
from cloche.tasks.build import (
    LIVE,
    TAIL,
    build_binds,
    jobs,
    request_of,
    sandbox_of,
    step_error,
)
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import Call, tail_of
from cloche.tasks.watch import watched
from cloche.tasks.worker import make_directory

_KIND = "live"
_GIT_STORE = "git3-src"  # of git-r3.eclass, below DISTDIR
_ADVICE = (
    "check the network and the proxy settings; only http and https addresses can be reached, "
    "through a proxy"
)
#: git's messages for an unreachable server, and for one that has no such repository.
_UNREACHED = re.compile(r"unable to access '([^'\s]+)': *(.*)|repository '([^'\s]+)' (not found)")


def pin_of(context: BuildContext, package: Package) -> LivePin | None:
    """The lock's pin of a package's sources. Raises `ConfigError`."""
    return locks.read(context.live.lock).live.get(package.id) if context.live.lock else None


def known(context: BuildContext, package: Package, inputs: Mapping[str, str]) -> Sources | None:
    """The pinned sources, if the store has them; None unless the ebuild is live.

    ``inputs`` are the digests of the package's own files: sources that another ebuild of that name
    fetched for these commits are not used.
    """
    pin = pin_of(context, package) if is_live(package) else None
    if pin is None:
        return None
    found = pin.tree
    if not (found and context.store.has_tree(found)):
        action = context.store.action(_key(package, pin, inputs).digest)
        if action is None:
            return None
        found = action.outputs["tree"]
    layer = context.layer(found)
    # A lock is untrusted, and a store has trees of other projects.
    return Sources(layer, pin.commits) if layer.kind == _KIND else None


def obtain(
    context: BuildContext,
    package: Package,
    inputs: Mapping[str, str],
    seen: Seen,
    *,
    update: bool = False,
) -> Sources:
    """The package's sources: the pinned ones, or with ``update`` the newest, which it pins.

    ``seen`` is what the package's build sees. Raises ClocheError, StepError, SandboxError.
    """
    if not update and (there := known(context, package, inputs)):
        return there
    with context.store.lock(f"live-{hashlib.sha256(package.id.encode()).hexdigest()}"):
        if not update and (there := known(context, package, inputs)):
            return there
        pin = None if update else pin_of(context, package)
        _check(context, package, pin)
        fetch(context, package)
        began = time.monotonic()
        layer, made, log = _fetched(context, package, seen, pin)
        outcome = Outcome({"tree": layer.id}, log)
        record(
            context.store,
            _key(package, made, inputs),
            package.id,
            outcome,
            time.monotonic() - began,
        )
        if pin is None and context.live.lock is not None:
            with where_writable():
                locks.change(
                    context.live.lock, lambda lock: lock_entries.with_live(lock, package.id, made)
                )
        return Sources(layer, made.commits)


def _key(package: Package, pin: LivePin, inputs: Mapping[str, str]) -> Key:
    return make_key(_KIND, {"package": package.id, **inputs, **pin.identity})


def _check(context: BuildContext, package: Package, pin: LivePin | None) -> None:
    """Refuse a fetch that is not allowed, or not possible."""
    if not context.live.allows(package):
        raise live_refused(context.inputs.machine, (package.cpv,))
    if pin is None and context.live.locked:
        todo = f"run `cloche lock {context.inputs.machine}`"
        what = "its sources are not pinned in cloche.lock"
        raise StepError(package.id, "fetch", what, todo=todo)
    if context.policy.offline:
        what = "its sources are not in the store, and --offline forbids fetching them"
        raise StepError(package.id, "fetch", what, todo="run once without --offline")


def _fetched(
    context: BuildContext,
    package: Package,
    seen: Seen,
    pin: LivePin | None,
) -> tuple[Layer, LivePin, str]:
    """Run src_unpack with network access; return what it fetched, its pin, and the log's path.

    If the branch has moved past the pinned commit, src_unpack runs again for that commit.
    """
    log = new_log(context.store, package.cpv, "fetch")
    context.bus(Started(package=package.id, step="fetch", log=str(log)))
    with context.store.workspace(_KIND) as workspace:
        distdir = make_directory(workspace, "distdir", 0o777)
        for file in package.distfiles:  # copies: the sandbox can write to all files there
            shutil.copyfile(distfiles.path_of(context.store, file), distdir / file.name)
        try:
            commits = _unpacked(context, package, seen, (distdir, log), ())
            if pin is not None and pin.commits and commits != pin.commits:
                given = pin.commits
                commits = _unpacked(context, package, seen, (distdir, log), given)
        finally:
            context.bus(Phase(package=package.id, phase="fetch", state="end"))
        for file in package.distfiles:
            (distdir / file.name).unlink(missing_ok=True)
        others = tuple(sorted({each.name for each in distdir.iterdir()} - {_GIT_STORE}))
        layer = _kept(context, package, distdir, workspace / "tree", log)
    made = LivePin(layer.id, commits, others)
    if pin is not None and made.identity != pin.identity:
        raise _differs(context, package, pin, made, log)
    return layer, made, put_away(context.store, package.cpv, log)


def _unpacked(
    context: BuildContext,
    package: Package,
    seen: Seen,
    places: tuple[Path, Path],
    commits: Sequence[Revision],
) -> tuple[Revision, ...]:
    """Run pkg_setup and src_unpack; return the commits that it used. Raises StepError."""
    distdir, log = places
    mirrors = mirrors_of(context)
    configured = mirror_uris(mirrors)
    proxy = forwarder(configured, context.proxies)
    with (
        context.store.workspace("unpack") as workspace,
        way_out(context, proxy, workspace) as proxy_bind,
    ):
        task = build_task(context, package, seen)
        binds = (
            *build_binds(task, context.worker, workspace, distdir=distdir),
            *network_files(workspace, mirrors, configured),
            proxy_bind,
        )
        upper = make_directory(workspace, "root")
        wanted = Call(
            script=_KIND,
            request={
                **request_of(task),
                "environment": {**overrides(commits), "GIT_SSL_CAINFO": CA_BUNDLE},
            },
            sandbox=sandbox_of(task, context.worker, upper=upper, binds=binds),
            workspace=workspace,
            log=log,
            environment=task.environment | jobs(task) | {"SSL_CERT_FILE": CA_BUNDLE},
            package=package.id,
        )
        result = watched(task, context.worker, wanted)
    if result.get("status") != "ok":
        raise _failure(context, package, result, log, proxy, commits)
    try:
        return tuple(sorted(msgspec.convert(result.get("commits"), tuple[Revision, ...])))
    except msgspec.ValidationError as error:
        raise StepError(package.id, "fetch", f"not a commit: {error}", log=str(log)) from error


def _kept(context: BuildContext, package: Package, distdir: Path, tree: Path, log: Path) -> Layer:
    """Store the content of DISTDIR as a layer, normalised. Raises StepError."""
    if not any(distdir.iterdir()):
        raise StepError(
            package.id,
            "fetch",
            "src_unpack left nothing in DISTDIR",
            log=str(log),
            todo="a build has no network, and only sees what an eclass (git-r3, subversion, "
            "mercurial, cargo …) keeps in its store there",
        )
    place = tree / LIVE
    place.parent.mkdir(parents=True)
    try:
        import_directory(distdir, place)
        for directory, names, files in os.walk(tree):
            _normalise(Path(directory), [*names, *files], place)
    except (ImportRefusedError, ValueError) as error:
        raise StepError(package.id, "fetch", str(error), log=str(log)) from error
    return commit(context.store, tree, kind=_KIND, label=package.cpv, rules={})


def _normalise(directory: Path, names: Sequence[str], top: Path) -> None:
    """Normalise modes and times; links must not lead out. Raises ValueError."""
    directory.chmod(0o755)
    for name in names:
        path = directory / name
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            written = Path(os.path.normpath(directory / path.readlink()))
            if not written.is_relative_to(top):
                raise ValueError(f"a symbolic link leads out of DISTDIR: {path.relative_to(top)}")
        elif stat.S_ISREG(mode):
            path.chmod(0o755 if mode & 0o111 else 0o644)
        elif not stat.S_ISDIR(mode):
            raise ValueError(f"neither file, directory nor link: {path.relative_to(top)}")
        os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH), follow_symlinks=False)


def _failure(
    context: BuildContext,
    package: Package,
    result: Mapping[str, Any],
    log: Path,
    proxy: Forwarder,
    commits: Sequence[Revision],
) -> StepError:
    """The error for a failed src_unpack: a refused or unreachable server, a missing commit."""
    failed = step_error(package.id, "fetch", dict(result), log)
    explain(context, package, failed)
    unreached = _UNREACHED.findall(tail_of(log, TAIL))
    if proxy.refused:
        uri, why = proxy.refused[-1]
        return _failed(failed, f"{uri} is refused: {why}", NAME_IT)
    if proxy.failed:
        uri, why = proxy.failed[-1]
        return _failed(failed, f"{uri}: {why}", _ADVICE)
    if unreached:
        uri, why, lost, gone = unreached[-1]
        return _failed(failed, f"{uri or lost}: {why or gone}", _ADVICE)
    if commits:
        named = ", ".join(f"{each.commit[:12]} of {each.repository}" for each in commits)
        return _failed(failed, f"cloche.lock pins {named}, which does not exist", _update(context))
    return failed


def _failed(like: StepError, reason: str, todo: str) -> StepError:
    return StepError(like.package, like.step, reason, log=like.log, todo=todo, detail=like.detail)


def _differs(
    context: BuildContext,
    package: Package,
    pin: LivePin,
    made: LivePin,
    log: Path,
) -> StepError:
    """The error about a fetch that gave other sources than the pinned ones."""
    reason = f"it fetched {_describe(made)}, cloche.lock pins {_describe(pin)}"
    return StepError(package.id, "fetch", reason, log=str(log), todo=_update(context))


def _describe(pin: LivePin) -> str:
    if "tree" in pin.identity:
        return f"the tree {pin.tree[:12]}"
    return ", ".join(f"{each.commit[:12]} of {each.repository}" for each in pin.commits)


def _update(context: BuildContext) -> str:
    return f"`cloche lock --update {context.inputs.machine}` pins the newest"
