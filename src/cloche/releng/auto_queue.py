"""Builds the specs of a run, as many at once as there are slots, each once its source is built."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.broker.executor import Workers
from cloche.errors import ClocheError
from cloche.fetching.signing import Signer
from cloche.records.events import AnyEvent
from cloche.releng import calls
from cloche.releng.auto_hooks import Hooks
from cloche.releng.auto_specs import Item, depths, waits_for
from cloche.releng.calls import BuiltFiles, Place
from cloche.releng.journal import Ending, Entry, SpecEnded, SpecStarted
from cloche.releng.outputs import aside
from cloche.releng.settings import Settings

_DETAIL = 60  # lines of an error that are kept


@dataclass(frozen=True, slots=True)
class Queue:
    """How specs are built. ``tell`` gets the events, from several threads.

    After each spec, its files are signed if there is a ``signer``, and the hook post_build is
    called while other specs are built.
    """

    place: Place
    confs: tuple[Path, ...]
    settings: Settings
    tell: Callable[[Entry], None]
    hooks: Hooks
    signer: Signer | None = None

    def run(self, items: Sequence[Item], done: Mapping[str, bool]) -> None:
        """Build all specs but those in ``done``; a value there is whether the hook succeeded, too.

        If a spec fails, only those that start from it are skipped. An interrupt ends all at once.
        Raises the error of a hook that cannot be called.
        """
        ended: dict[str, Ending] = dict.fromkeys(done, "built")
        urgency = depths(items)
        running: dict[Future[BuiltFiles], tuple[Item, float]] = {}
        with self._executors() as (workers, hooking):
            late = [item for item in items if done.get(item.name) is False]
            hooked = [hooking.submit(self._after, item) for item in late]
            waiting = [item for item in items if item.name not in ended]
            while waiting or running:
                for item in sorted(_ready(waiting, ended), key=lambda each: -urgency[each.name]):
                    if (why := _kept_back(item, ended)) is not None:
                        waiting.remove(item)
                        ended[item.name] = why.how
                        self.tell(Entry(item.name, why))
                    elif len(running) < self.settings.slots:
                        waiting.remove(item)
                        running[self._begin(workers, item)] = item, time.monotonic()
                finished, _ = wait(running, return_when=FIRST_COMPLETED) if running else ((), ())
                for future in finished:
                    item, began = running.pop(future)
                    event = self._ended(item, future, time.monotonic() - began)
                    ended[item.name] = event.how
                    self.tell(Entry(item.name, event))
                    if event.how == "built":
                        hooked.append(hooking.submit(self._after, item))
            for call in hooked:
                call.result()

    @contextmanager
    def _executors(self) -> Iterator[tuple[Workers, ThreadPoolExecutor]]:
        """Processes for specs, and a thread for hooks; an exception ends those that run."""
        workers = Workers(self.settings.slots)
        hooking = ThreadPoolExecutor(1, thread_name_prefix="hook")
        try:
            yield workers, hooking
        except BaseException:
            workers.kill_workers()
            self.hooks.stop()
            raise
        finally:
            workers.shutdown(cancel_futures=True)
            hooking.shutdown()

    def _begin(self, workers: Workers, item: Item) -> Future[BuiltFiles]:
        name = item.name
        self.tell(Entry(name, SpecStarted()))

        def sink(event: AnyEvent) -> None:
            self.tell(Entry(name, event))

        how = self.settings
        return workers.submit(
            calls.build,
            self.place,
            item.files,
            self.confs,
            how.choices,
            how.update,
            how.provenance,
            sink,
        )

    def _ended(self, item: Item, future: Future[BuiltFiles], seconds: float) -> SpecEnded:
        """The event for the end of a spec. Raises errors other than `ClocheError`."""
        try:
            made = future.result()
            outputs = {str(path): size for path, size in made.outputs.items()}
            if self.signer is not None:
                outputs |= _signed(self.signer, made.artifacts)
        except ClocheError as error:
            detail = tuple((error.detail or "").splitlines()[-_DETAIL:])
            return SpecEnded(
                how="failed", digest=item.digest, seconds=seconds, reason=str(error), detail=detail
            )
        return SpecEnded(how="built", digest=item.digest, seconds=seconds, outputs=outputs)

    def _after(self, item: Item) -> None:
        self.hooks("post_build", item.wanted.set, item.name)


def _signed(signer: Signer, artifacts: Sequence[Path]) -> Mapping[str, int]:
    """Write a signature of each file; return their sizes. Raises ClocheError."""
    sizes = {}
    for path in artifacts:
        signature = path.with_name(f"{path.name}.asc")
        with aside(signature) as new:
            signer.detached(path, new)
        sizes[str(signature)] = signature.stat().st_size
    return sizes


def _ready(waiting: Sequence[Item], ended: Mapping[str, Ending]) -> list[Item]:
    return [item for item in waiting if waits_for(item) <= ended.keys()]


def _kept_back(item: Item, ended: Mapping[str, Ending]) -> SpecEnded | None:
    """The event for a spec that cannot be built, if that is the case."""
    if item.refused is not None:
        return SpecEnded(how="failed", digest=item.digest, reason=str(item.refused))
    if item.needs is not None and ended[item.needs] != "built":
        reason = f"{item.needs}, which makes its source, was not built"
        return SpecEnded(how="skipped", digest=item.digest, reason=reason)
    return None
