"""Makes the new state of an overlay in part, and puts it into its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloche.config.atoms import name_of
from cloche.errors import ClocheError
from cloche.fetching.download import shown
from cloche.fetching.openpgp import check_requirements
from cloche.overlays import known, placing, wishes
from cloche.overlays.asking import Portage
from cloche.overlays.changes import Change, changes
from cloche.overlays.closure import Closure, Taking
from cloche.overlays.content import File, Files
from cloche.overlays.edits import Edit, edits, in_conflict
from cloche.overlays.errors import OverlayError
from cloche.overlays.places import Place, configuration
from cloche.overlays.portage_root import PortageRoot
from cloche.overlays.record import RECORD, Made, Record, encoded, present, read
from cloche.overlays.selection import owner
from cloche.overlays.source import Source
from cloche.overlays.wishes import Wanted, Wish
from cloche.sandbox.base import Engine
from cloche.store import Store
from cloche.trees.methods import SyncContext


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that is needed to take packages out of overlays.

    ``listed`` is a repositories.xml in place of Gentoo's, a file or an address.
    """

    store: Store
    engine: Engine
    root: PortageRoot
    place: Place
    context: SyncContext
    listed: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The new state of an overlay, not in its place yet. ``files`` are without the lock.

    ``old`` and ``before`` are the state that is there. ``kept`` are local edits in both.
    """

    record: Record
    files: Files
    old: Record | None
    before: Files
    kept: tuple[Edit, ...]
    warnings: tuple[str, ...]

    @property
    def overlay(self) -> str:
        """Its name."""
        return self.record.overlay

    @property
    def changes(self) -> tuple[Change, ...]:
        """What is different from now."""
        return changes(self.before, self.files)

    @property
    def gone(self) -> tuple[str, ...]:
        """Packages that go."""
        return tuple(sorted((self.old.packages if self.old else {}).keys() - self.record.packages))

    @property
    def new(self) -> Mapping[str, str]:
        """Packages that come, with the reasons."""
        there = self.old.packages if self.old else {}
        return {p: why for p, why in sorted(self.record.packages.items()) if p not in there}

    @property
    def same(self) -> bool:
        """Whether nothing has to be written."""
        return self.old == self.record and self.before == self.files


@dataclass(frozen=True, slots=True)
class Plan:
    """New states of overlays, and overlays of which nothing is wanted any more.

    ``failed`` are overlays that stay as they are, with the reasons.
    """

    prepared: tuple[Prepared, ...]
    emptied: tuple[str, ...]
    failed: Mapping[str, ClocheError] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether the one overlay failed that there was."""
        return len(self.failed) == 1 and not self.prepared and not self.emptied

    @property
    def same(self) -> bool:
        """Whether nothing has to be written."""
        return not self.emptied and all(each.same for each in self.prepared)


def plan(shop: Workshop, lines: Iterable[Wish], names: Collection[str], *, newest: bool) -> Plan:
    """Make the new states of these overlays, and of those that their dependencies come from.

    ``lines`` are all that is wanted. If they are to be the ``newest``, one that fails does not stop
    the others; those that are not in ``names`` stay at their commits. Raises ClocheError.
    """
    wanted = wishes.by_overlay(lines)
    chosen = in_order(names, wanted)
    records = {name: read(shop.place.repository(name)) for name in {*chosen, *wanted}}
    prepared: list[Prepared] = []
    emptied: list[str] = []
    failed: dict[str, ClocheError] = {}
    for name in chosen:
        needed = _needed(name, wanted, records)
        if name not in wanted and not needed:
            emptied += [name] if records[name] is not None else []
            continue
        ours = wanted.get(name) or Wanted(name, ())
        try:
            made = prepare(shop, ours, needed, newest=newest and name in names)
        except ClocheError as error:
            if not newest:
                raise
            failed[name] = error
            continue
        if not made.record.packages:  # it has nothing of what others need
            emptied += [name] if records[name] is not None else []
            continue
        records[name] = made.record
        prepared.append(made)
    for name in emptied:
        _check_unedited(shop.place, name)
    return Plan(tuple(prepared), tuple(emptied), failed)


def in_order(names: Iterable[str], wanted: Mapping[str, Wanted]) -> tuple[str, ...]:
    """These overlays, and all that dependencies may come from, however far.

    Each comes after those that depend on it, when it is known what they lack.
    """
    found: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name not in seen:
            seen.add(name)
            for other in sorted(wanted[name].deps, reverse=True) if name in wanted else ():
                visit(other)
            found.append(name)

    for name in sorted(names, reverse=True):
        visit(name)
    return tuple(reversed(found))


def prepare(shop: Workshop, wanted: Wanted, needed: Mapping[str, str], *, newest: bool) -> Prepared:
    """Make the new state of one overlay: of its newest commit, or of the one that is locked.

    ``needed`` are packages that others need of it, with those. Raises ClocheError.
    """
    shop.place.check(wanted.overlay)
    repository = shop.place.repository(wanted.overlay)
    old = read(repository)
    before = present(repository) if old else {}
    source = _source(shop, wanted, old, newest=newest)
    keyring = wishes.beside(shop.place.lists, wanted.keyring) if wanted.keyring else None
    if keyring is not None:
        check_requirements(keyring)
    same = old is not None and (old.address, old.branch) == (shown(source.address), source.branch)
    with shop.store.lock(f"overlay-{wanted.overlay}", _waiting(shop)):
        if newest or old is None or not same:
            commit = source.newest()
        else:
            commit = old.commit
            source.ensure(commit)
        if keyring is not None:
            with shop.store.workspace("overlay-signature") as room:
                source.check_signature(commit, keyring, room)
        found = edits(old, before) if old else ()
        _refuse(wanted.overlay, found, old, source, commit)
        shop.context.report(f"reading the ebuilds with {shop.root.name}")
        taking = Taking(source, commit, _portage(shop, wanted), {e.path: e.now for e in found})
        closure = taking.run(wanted.packages, needed)
    packages = {
        package: "" if package in wanted.packages else needed.get(package) or why
        for package, why in closure.packages.items()
    }
    closure = replace(closure, packages=packages)
    return _prepared(wanted, source, commit, closure, old, before, found)


def apply(shop: Workshop, made: Plan, lists: Mapping[Path, str]) -> str | None:
    """Put new states into their places, and write the files of what is wanted.

    All is made, and written beside, before the first is put there; the lists come last. Returns
    what is left for the user to do, if anything. Raises ClocheError, OSError.
    """
    place = shop.place
    conf = configuration(
        place, {*there(place), *(e.overlay for e in made.prepared)} - {*made.emptied}
    )
    with ExitStack() as stack:
        new = [
            (each, stack.enter_context(placing.written(place.top, _with_record(each))))
            for each in made.prepared
            if not each.same
        ]
        check_unchanged(place, made)
        for each, directory in new:
            placing.put(directory, place.repository(each.overlay))
        conf.write()
        for name in made.emptied:
            placing.take_away(place.repository(name))
        wishes.write(lists)
    return conf.todo


def check_unchanged(place: Place, made: Plan) -> None:
    """See that nobody has edited a repository since its new state was made. Raises OverlayError."""
    for each in made.prepared:
        repository = place.repository(each.overlay)
        now = present(repository) if repository.exists() else {}
        if now != each.before:
            paths = sorted(p for p in {*now, *each.before} if now.get(p) != each.before.get(p))
            what = f"{paths[0]} was edited meanwhile"
            raise OverlayError(what, where=f"overlay {each.overlay}", todo="run it again")
    for name in made.emptied:
        _check_unedited(place, name)


def _check_unedited(place: Place, name: str) -> None:
    """See that a repository that goes has no local edits. Raises OverlayError."""
    old = read(place.repository(name))
    if old and (found := edits(old, present(place.repository(name)))):
        raise _edited(name, found, "the whole overlay goes: move them away, or undo them")


def _with_record(prepared: Prepared) -> Files:
    return {**prepared.files, RECORD: encoded(prepared.record)}


def still_lacking(record: Record, others: Iterable[Record | None]) -> Mapping[str, tuple[str, ...]]:
    """The dependencies that no repository has, nor any of these others of ours."""
    brought = {package for each in others if each is not None for package in each.packages}
    return {
        atom: who
        for atom, who in record.lacking.items()
        if name_of(atom.partition("[")[0]) not in brought
    }


def records(place: Place) -> Mapping[str, Record]:
    """The locks of all repositories of ours. Raises `ConfigError`."""
    found = {name: read(place.repository(name)) for name in there(place)}
    return {name: record for name, record in found.items() if record is not None}


def there(place: Place) -> tuple[str, ...]:
    """The overlays that have a repository of ours."""
    if not place.top.is_dir():
        return ()
    return tuple(
        sorted(
            each.name
            for each in place.top.iterdir()
            if not each.name.startswith(".") and (each / RECORD).is_file()
        )
    )


def _needed(
    overlay: str, wanted: Mapping[str, Wanted], records: Mapping[str, Record | None]
) -> Mapping[str, str]:
    """Packages that others need of an overlay, by their lines' ``deps``, with who needs each."""
    found: dict[str, str] = {}
    for name, each in wanted.items():
        record = records.get(name) if overlay in each.deps else None
        for atom, who in (record.lacking if record else {}).items():
            if package := name_of(atom.partition("[")[0]):
                found[package] = f"{who[0]}::{name}"
    return found


def _source(shop: Workshop, wanted: Wanted, old: Record | None, *, newest: bool) -> Source:
    address = wanted.address or ("" if newest or old is None else old.address)
    if not address:
        try:
            address = known.address_of(wanted.overlay, shop.listed, shop.store.downloads)
        except ClocheError:
            if old is None:
                raise
            address = old.address
    return Source(wanted.overlay, address, wanted.branch, shop.context)


def _portage(shop: Workshop, wanted: Wanted) -> Portage:
    """Portage with the repositories that may satisfy dependencies.

    Not those that are to bring what is lacking: it would not be lacking once it is there.
    """
    repos = shop.place.others(wanted.overlay)
    top = shop.place.top.resolve()
    repos = {
        name: each
        for name, each in repos.items()
        if name not in wanted.deps or each.path.resolve().parent != top
    }
    return Portage(shop.store, shop.engine, shop.root, repos, shop.place.main)


def _refuse(
    overlay: str, found: tuple[Edit, ...], old: Record | None, source: Source, commit: str
) -> None:
    """Refuse a commit that changes files which somebody has edited. Raises OverlayError."""
    if old is None or not found:
        return
    if wrong := in_conflict(found, old, source.listing(commit)):
        raise _edited(overlay, wrong, "the overlay has changed the same files: move yours away")


def _edited(overlay: str, found: Iterable[Edit], todo: str) -> OverlayError:
    listed = [f"{edit.how}: {edit.path}" for edit in found]
    more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    what = f"local edits would be lost: {listed[0]}{more}"
    detail = "\n".join(listed[1:]) or None
    return OverlayError(what, where=f"overlay {overlay}", todo=todo, detail=detail)


def _prepared(
    wanted: Wanted,
    source: Source,
    commit: str,
    closure: Closure,
    old: Record | None,
    before: Files,
    found: tuple[Edit, ...],
) -> Prepared:
    """The record of what was taken, with the local edits as they were."""
    here: dict[str, File] = dict(closure.files)
    files = {
        path: Made(file.id, closure.why.get(path, ()), closure.origins.get(path, ""))
        for path, file in here.items()
    }
    lost = []
    for edit in found:
        package = owner(edit.path)
        was_ours = old is not None and package in old.packages
        if package and was_ours and package not in closure.packages:
            lost.append(edit)
        files.pop(edit.path, None)
        if old is not None and edit.path in old.files:
            files[edit.path] = old.files[edit.path]
        if edit.now is not None:
            here[edit.path] = edit.now
    if lost:
        raise _edited(wanted.overlay, lost, "its package goes: move them away, or undo them")
    record = Record(
        overlay=wanted.overlay,
        address=shown(source.address),
        commit=commit,
        branch=source.branch,
        keyring=wanted.keyring,
        packages=dict(sorted(closure.packages.items())),
        lacking=dict(sorted(closure.lacking.items())),
        files=dict(sorted(files.items())),
    )
    return Prepared(record, here, old, before, found, closure.warnings)


def _waiting(shop: Workshop) -> Callable[[], None]:
    return lambda: shop.context.report("another cloche process is working on it: waiting")
