"""Builds the specs of a run with catalyst itself, too, and compares both outputs.

Catalyst runs on the host as the user who calls cloche, one spec after the other. It has a storedir
of its own, in which only snapshots and the sources that no spec makes are links to cloche's.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.paths import ARTIFACTS, outputs
from cloche.comparison.comparison import Comparison, compare
from cloche.comparison.guard import limited_memory
from cloche.comparison.outputs import read_output
from cloche.comparison.rules import PASSING
from cloche.config.files import replace_text
from cloche.config.toml import dumps
from cloche.errors import ClocheError, Exit
from cloche.linux.processes import end_session
from cloche.releng.auto_specs import Item
from cloche.releng.inputs import source_of
from cloche.releng.journal import Compared

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_SAMPLES = 20  # differences that are listed


class SideBySide:
    """Builds specs with catalyst, whose storedir is ``place``."""

    def __init__(
        self,
        program: str,
        confs: Sequence[Path],
        conf: Conf,
        place: Path,
        options: str,
        logs: Path,
        here: Path,
    ) -> None:
        found = shutil.which(program)
        if found is None:
            todo = "install sys-apps/catalyst, or name the program with --also"
            raise ClocheError(f"{program} not found", todo=todo, status=Exit.HOST)
        self._conf, self._place, self._logs, self._here = conf, place, logs, here
        own = place / "catalyst.conf"
        words = [word for file in (*confs, own) for word in ("-c", str(file))]
        self._command = [found, "-a", *words, *shlex.split(options)]
        (place / "builds").mkdir(parents=True, exist_ok=True)
        replace_text(own, dumps({"storedir": str(place)}))
        self._theirs = read_conf([*confs, own], here)
        _link(place / "snapshots", Path(conf.text("storedir"), "snapshots"))

    def __call__(self, item: Item) -> Compared:
        """Build a spec, and compare its outputs with cloche's. Raises OSError.

        If two outputs cannot be compared, the result has the reason.
        """
        began = time.monotonic()
        log = self._logs / f"catalyst-{item.name.replace('/', '_').removesuffix('.spec')}.log"
        if item.needs is None:
            source = source_of(item.spec, self._conf)
            below = source.relative_to(Path(self._conf.text("storedir"), "builds"))
            _link(self._place / "builds" / below, source)
        status = self._run(item.files.copy, log)
        differs: dict[str, int] = {}
        wrong: list[str] = []
        for ours, theirs in self._pairs(item) if not status else ():
            try:
                with limited_memory():
                    found = compare(read_output(theirs), read_output(ours))
            except (ClocheError, OSError) as error:
                differs["not compared"] = differs.get("not compared", 0) + 1
                wrong.append(f"{ours.name}: {error}")
                continue
            for judgement, number in found.counts().items():
                differs[judgement] = differs.get(judgement, 0) + number
            wrong += _named(found)
        took = time.monotonic() - began
        return Compared(
            status=status,
            seconds=took,
            log=str(log),
            differs=differs,
            wrong=tuple(wrong[:_SAMPLES]),
        )

    def _pairs(self, item: Item) -> Iterator[tuple[Path, Path]]:
        sides = zip(outputs(item.spec, self._conf), outputs(item.spec, self._theirs), strict=True)
        for ours, theirs in sides:
            if ours.kind in ARTIFACTS:
                yield Path(ours.path), Path(theirs.path)

    def _run(self, spec: Path, log: Path) -> int:
        with log.open("wb") as target:
            process = subprocess.Popen(
                [*self._command, "-f", str(spec)],
                cwd=self._here,
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=target,
                start_new_session=True,
            )
            try:
                return process.wait()
            except BaseException:
                end_session(process, _GRACE)  # it unmounts when it is asked to end
                raise


def _link(place: Path, target: Path) -> None:
    """Make a link, or replace one that leads elsewhere; a file that catalyst made stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    if not place.exists():
        place.symlink_to(target)


def _named(found: Comparison) -> Iterator[str]:
    """Differences that are not harmless, each with the rule that judges it."""
    for each in found.judged:
        if each.rule.judgement not in PASSING:
            yield f"{each.rule.judgement}: {each.rule.name}: {each.difference.subject}"
