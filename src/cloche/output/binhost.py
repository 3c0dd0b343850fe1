"""A machine's binary packages as a PKGDIR that a stock ``emerge --usepkgonly`` installs from."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.stages import once, stage_call, stage_failed
from cloche.output import claim
from cloche.output.finished import Finished, Written
from cloche.plan.depgraph import Package
from cloche.records.logs import new_log
from cloche.sandbox.base import Bind
from cloche.store import Blob, Outcome, make_key
from cloche.tasks.guestcall import call
from cloche.tasks.worker import make_directory

INDEX = "Packages"


def check(directory: Path) -> None:
    """See that the packages may go into a machine's directory. Raises ClocheError."""
    claim.check_replaceable(directory / claim.BINPKGS)


def write(done: Finished) -> Written:
    """Lay out the packages with an index.

    The layout is that of FEATURES=binpkg-multi-instance: ``CATEGORY/PN/PF-BUILD_ID.gpkg.tar``.
    Raises ClocheError.
    """
    return write_packages(done.context, done.packages, done.directory, done.machine.root)


def write_packages(
    context: BuildContext,
    packages: Sequence[tuple[Package, str]],
    directory: Path,
    project: Path,
) -> Written:
    """Lay out packages, each with the id of its GPKG, in an existing directory. As `write`."""
    directory = directory / claim.BINPKGS
    index = index_of(context, packages)
    with claim.alone(directory.parent):
        claim.check_replaceable(directory)
        if _differs(context, packages, index, directory):
            _place(context, packages, index, directory, project)
    return Written(directory, index.id)


def index_of(context: BuildContext, packages: Sequence[tuple[Package, str]]) -> Blob:
    """The index of packages, each with the id of its GPKG, as Portage writes it. Raises StepError.

    Equal packages have an equal index.
    """
    parts = {f"gpkg {package.id}": gpkg for package, gpkg in packages}
    key = make_key("binhost", {**parts, "guest": context.inputs.guest})
    outputs = once(context, "index", key, lambda: _index(context, packages))
    return context.store.blob(outputs["index"])


def gpkg_path(category: str, pn: str, pf: str) -> str:
    """Where a package lies below a PKGDIR with FEATURES=binpkg-multi-instance.

    A machine holds one instance of each version, so its BUILD_ID is always 1.
    """
    return f"{category}/{pn}/{pf}-1.gpkg.tar"


def _place_of(package: Package) -> str:
    return gpkg_path(package.category, package.pn, package.pf)


def _lay_out(
    context: BuildContext, packages: Sequence[tuple[Package, str]], directory: Path
) -> None:
    for package, gpkg in packages:
        target = directory / _place_of(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        source = context.store.blob(gpkg).path
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def _earlier(context: BuildContext, packages: Sequence[tuple[Package, str]]) -> str | None:
    """The machine's last index, from which Portage takes what it says of unchanged packages.

    Otherwise Portage unpacks the metadata of each package, several times.
    """
    store = context.store
    last = store.last_action("index", context.inputs.machine)
    if last is None or last.parts.get("guest") != context.inputs.guest:
        return None
    if not store.has_blob(last.outputs["index"]):
        return None
    changed = {
        _place_of(package)
        for package, gpkg in packages
        if last.parts.get(f"gpkg {package.id}") != gpkg
    }
    index = store.blob(last.outputs["index"]).path.read_text(encoding="utf-8")
    return reusable(index, changed)


def reusable(index: str, changed: Collection[str]) -> str:
    """An index (``Packages``) without the entries of changed paths, as Portage reuses it.

    Portage compares sizes and time stamps of files alone. It drops entries without a file itself.
    """
    header, *entries = index.rstrip("\n").split("\n\n")
    gone = {f"PATH: {path}" for path in changed}
    kept = [entry for entry in entries if gone.isdisjoint(entry.splitlines())]
    return "".join(f"{part}\n\n" for part in (header, *kept))


def _index(context: BuildContext, packages: Sequence[tuple[Package, str]]) -> Outcome:
    """Let Portage write the index of exactly these packages."""
    machine = context.inputs.machine
    log = new_log(context.store, context.inputs.log_name, "index")
    with context.store.workspace("index") as workspace:
        output, shown = make_directory(workspace, "out"), make_directory(workspace, "packages")
        _lay_out(context, packages, shown)
        if (earlier := _earlier(context, packages)) is not None:
            (output / INDEX).write_text(earlier, encoding="utf-8")
        # The packages are the store's own files: only the index beside them can be written.
        categories = sorted({package.category for package, _ in packages})
        for name in categories:
            make_directory(output, name)
        binds = (
            *context.profiles(),
            Bind(output, "/run/cloche/out", writable=True),
            *(Bind(shown / name, f"/run/cloche/out/{name}") for name in categories),
        )
        wanted = stage_call(context, "binhost", {}, workspace, log, binds=binds)
        result, _ = call(context.engine, context.running, wanted)
        index = output / INDEX
        if result.get("status") != "ok" or index.is_symlink() or not index.is_file():
            raise stage_failed(
                context, "index", str(result.get("text") or "no index was written"), log
            )
        blob = context.store.add_blob(index, f"{machine}-{INDEX}")
    return Outcome({"index": blob.id}, str(log.relative_to(context.store.logs)))


def _differs(
    context: BuildContext, packages: Sequence[tuple[Package, str]], index: Blob, directory: Path
) -> bool:
    """True unless the directory holds just these packages and this index."""
    wanted = {
        directory / _place_of(package): context.store.blob(gpkg) for package, gpkg in packages
    }
    if wanted.keys() != set(directory.glob("*/*/*.gpkg.tar")):
        return True
    wanted[directory / INDEX] = index
    if not (directory / claim.MARKER).is_file():
        return True
    return not all(_same(path, blob.path) for path, blob in wanted.items())


def _same(path: Path, stored: Path) -> bool:
    """Whether a file is the stored one, or has its content."""
    if not path.is_file():
        return False
    return path.samefile(stored) or filecmp.cmp(path, stored, shallow=False)


def _place(
    context: BuildContext,
    packages: Sequence[tuple[Package, str]],
    index: Blob,
    directory: Path,
    project: Path,
) -> None:
    """Put a whole new directory in the place of the old one."""
    fresh = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    _lay_out(context, packages, fresh)
    shutil.copy2(index.path, fresh / INDEX)
    claim.mark(fresh, context.inputs.machine, project)
    old = directory.with_name(f".{directory.name}.old.{os.getpid()}")
    if directory.exists():
        directory.rename(old)
    fresh.rename(directory)
    shutil.rmtree(old, ignore_errors=True)
