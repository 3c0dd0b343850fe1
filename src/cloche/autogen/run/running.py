"""A run over a list: each package by itself, so that one that fails does not stop the others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cloche.autogen.errors import NotPublishedError
from cloche.autogen.package import Package
from cloche.autogen.repository import Changes, all_changes, ebuild_path, versions_of, write
from cloche.autogen.run.conditional import AT_ONCE
from cloche.autogen.run.listed import Entry, Kind
from cloche.autogen.run.record import Done, Record
from cloche.autogen.run.report import Outcome, Result
from cloche.autogen.run.upstream import Upstream
from cloche.autogen.trees import Trees
from cloche.errors import ClocheError, Exit, host_trouble
from cloche.portage.repository import Repository

_ENOUGH = 10  # failures in a row, after which upstream itself must be down
_PATIENCE = 7 * 24 * 3600  # seconds after which a refused release is tried again


@dataclass(frozen=True, slots=True)
class _Written:
    """A package that was written, or would be; ``new``: its version had no ebuild."""

    found: Changes
    new: bool


@dataclass
class Run:
    """Keeps packages up to date. With ``again``, those that did not change are made anew, too."""

    repository: Repository
    trees: Trees
    upstream: Mapping[Kind, Upstream]
    record: Record
    dry_run: bool = False
    again: bool = False
    _row: dict[Kind, int] = field(default_factory=dict)

    def outcomes(self, entries: Sequence[Entry]) -> Iterator[Outcome]:
        """Take the packages one after the other. Pages of an index are asked for in advance."""
        with ThreadPoolExecutor(AT_ONCE, "autogen") as threads:
            states = {
                each: threads.submit(self.upstream[each.kind].state, each)
                for each in entries
                if each.kind == "pypi"  # GitHub wants one request after the other
            }
            try:
                for entry in entries:
                    yield self._tried(entry, states.pop(entry, None))
            finally:
                threads.shutdown(cancel_futures=True)

    def _tried(self, entry: Entry, asked: Future[str] | None) -> Outcome:
        """The outcome of a package; nothing is asked of an upstream that does not answer."""
        if self._row.get(entry.kind, 0) >= _ENOUGH:
            if asked is not None:
                asked.cancel()
            what = f"not tried, as the last {_ENOUGH} from {entry.kind} failed"
            return self._failure(entry, ClocheError(what, status=Exit.FAILED))
        found = self._outcome(entry, asked)
        self._row[entry.kind] = self._row.get(entry.kind, 0) + 1 if found.result == "failed" else 0
        return found

    def _outcome(self, entry: Entry, asked: Future[str] | None) -> Outcome:
        try:
            state = asked.result() if asked else self.upstream[entry.kind].state(entry)
            options = hashlib.sha256(repr(entry).encode()).hexdigest()
            known = self.record.of(str(entry))
            if known is not None and not self.again and self._holds(known, state, options):
                result: Result = "refused" if known.refused else "unchanged"
                return Outcome(str(entry), result, known.cpvs, reason=known.refused)
            return self._made(entry, Done(str(entry), state, options))
        except ClocheError as error:
            return self._failure(entry, error)
        except OSError as error:
            return self._failure(entry, host_trouble(error))
        except Exception as error:  # of a package that nobody has thought of: the others go on
            text = " ".join(str(error).split())[:200]
            what = f"a fault of cloche: {type(error).__name__}: {text}"
            return self._failure(entry, ClocheError(what, status=Exit.FAILED))

    def _holds(self, known: Done, state: str, options: str) -> bool:
        """Whether nothing changed since a package was written, or not long ago refused."""
        same = (known.state, known.options) == (state, options)
        if known.refused:  # repositories may have changed, or where sources come from
            return same and time.time() - known.tried < _PATIENCE
        return same and all(ebuild_path(self.repository.path, v).exists() for v in known.cpvs)

    def _made(self, entry: Entry, done: Done) -> Outcome:
        """Make each wanted version, and write it."""
        written: list[_Written] = []
        errors: list[ClocheError] = []
        for version in entry.versions:
            try:
                written += self._written(self.upstream[entry.kind].packages(entry, version))
            except ClocheError as error:
                errors.append(error)
        if len(errors) == len(entry.versions):
            self._refused(done, errors)
            raise errors[0]
        cpvs = tuple(dict.fromkeys(each.found.cpv for each in written))
        notes = tuple(dict.fromkeys(note for each in written for note in each.found.notes))
        files = tuple(path for each in written for path, _ in each.found.files)
        new = tuple(dict.fromkeys(each.found.cpv for each in written if each.new))
        result: Result = "new" if new else "changed" if files else "unchanged"
        outcome = Outcome(str(entry), result, cpvs, new, files, notes=notes)
        if errors:
            reason = "; ".join(map(str, errors))
            return replace(outcome, result=_result(errors[0]), reason=reason)
        if not self.dry_run:
            self.record.take(replace(done, cpvs=cpvs, notes=notes))
        return outcome

    def _refused(self, done: Done, errors: Sequence[ClocheError]) -> None:
        """Note that no version of a release can be written, so that it is not read each time."""
        final = all(
            _result(each) == "refused" and not isinstance(each, NotPublishedError)
            for each in errors
        )
        if final and not self.dry_run:
            known = self.record.of(done.package)
            cpvs = known.cpvs if known is not None else ()
            now = int(time.time())
            self.record.take(replace(done, cpvs=cpvs, refused=str(errors[0]), tried=now))

    def _written(self, packages: Sequence[Package]) -> list[_Written]:
        """Write packages that belong together: all of them, or none."""
        top = self.repository.path
        found = all_changes(self.repository, packages)
        new = [not ebuild_path(top, each.cpv).exists() for each in found]
        if not self.dry_run:
            write(top, found)
            for each in packages:
                self.trees.wrote(each.ebuild.cp, each.remote_ids)
        return [_Written(*each) for each in zip(found, new, strict=True)]

    def _failure(self, entry: Entry, error: ClocheError) -> Outcome:
        """The outcome for a package that could not be made; its ebuilds stay."""
        known = self.record.of(str(entry))
        cpvs = known.cpvs if known is not None else ()
        if isinstance(error, NotPublishedError):
            cp = self.upstream[entry.kind].cp(entry)
            there = versions_of(self.repository.path, cp) if cp else ()
            if there:
                cpvs = tuple(f"{cp}-{version}" for version in there)
                return Outcome(str(entry), "removed", cpvs, reason=str(error))
        return Outcome(str(entry), _result(error), cpvs, reason=str(error))


def _result(error: ClocheError) -> Result:
    """Upstream has something that no ebuild can say, or it could not be asked."""
    return "refused" if error.status is Exit.BAD_INPUT else "failed"
