"""Builds the specs of a run with catalyst itself, too, and compares both outputs.

Catalyst runs on the host as the user who calls cloche, one spec after the other. It has a storedir
of its own, in which only snapshots and the sources that no spec makes are links to cloche's. It
gets copies of the specs, in which files and caches that a spec places elsewhere are below it, too:
otherwise catalyst would replace cloche's files, or use cloche's packages.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.paths import ARTIFACTS, is_below, outputs
from cloche.catalyst.spec import Spec
from cloche.comparison.comparison import Comparison, compare
from cloche.comparison.guard import limited_memory
from cloche.comparison.outputs import read_output
from cloche.comparison.rules import JUDGEMENTS, PASSING, Rule
from cloche.config.errors import ConfigError
from cloche.config.files import read_text, replace_text
from cloche.config.toml import dumps
from cloche.errors import ClocheError, Exit
from cloche.linux.processes import end_session
from cloche.releng.auto_specs import Item
from cloche.releng.catalyst_log import why_failed
from cloche.releng.inputs import source_of
from cloche.releng.journal import NOT_COMPARED, Compared

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_SAMPLES = 40  # differences that are listed
_OF_RULE = 5  # those of each rule
_ORDER = (NOT_COMPARED, *JUDGEMENTS)


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
        if (distdir := Path(self._theirs.text("distdir"))).is_relative_to(place):
            distdir.mkdir(parents=True, exist_ok=True)  # catalyst refuses one that does not exist

    def __call__(self, item: Item) -> Compared:
        """Build a spec, and compare its outputs with cloche's. Raises OSError.

        If two outputs cannot be compared, the result has the reason.
        """
        began = time.monotonic()
        name = item.name.replace("/", "_")
        log = self._logs / f"catalyst-{name.removesuffix('.spec')}.log"
        spec, text = self._own(item)
        if reason := self._not_possible(item, spec):
            return Compared(
                status=0, seconds=0.0, log="", differs={NOT_COMPARED: 1}, wrong=(reason,)
            )
        copy = self._place / "specs" / name
        copy.parent.mkdir(exist_ok=True)
        replace_text(copy, text)
        if item.needs is None:
            source = source_of(item.spec, self._conf)
            below = source.relative_to(Path(self._conf.text("storedir"), "builds"))
            _link(self._place / "builds" / below, source)
        for _, theirs in self._pairs(item.spec, spec):
            theirs.unlink(missing_ok=True)  # catalyst only warns if it cannot pack its root
        status = self._run(copy, log)
        differs, wrong = ({}, []) if status else self._compare(item.spec, spec)
        return Compared(
            status=status,
            seconds=time.monotonic() - began,
            log=str(log),
            differs={name: differs[name] for name in _ORDER if name in differs},
            wrong=tuple(wrong[:_SAMPLES]),
            detail=why_failed(log) if status else (),
        )

    def _own(self, item: Item) -> tuple[Spec, str]:
        """The spec for catalyst, and its text: a key given again replaces the first."""
        changes = _within(item.spec)
        lines = [f"{key}: {value}\n" for key, value in changes.items()]
        text = "".join([read_text(item.files.copy, Path("/")), "\n", *lines])
        return item.spec.overridden("=".join(each) for each in changes.items()), text

    def _compare(self, mine: Spec, other: Spec) -> tuple[dict[str, int], list[str]]:
        """How many differences of each judgement the outputs have; those that are not harmless."""
        differs: dict[str, int] = {}
        wrong: list[str] = []
        for ours, theirs in self._pairs(mine, other):
            try:
                with limited_memory():
                    found = compare(read_output(theirs), read_output(ours))
            except (ClocheError, OSError) as error:
                differs[NOT_COMPARED] = differs.get(NOT_COMPARED, 0) + 1
                wrong.append(f"{ours.name}: {error}")
                continue
            for judgement, number in found.counts().items():
                differs[judgement] = differs.get(judgement, 0) + number
            wrong += _named(found)
        return differs, wrong

    def _not_possible(self, item: Item, spec: Spec) -> str | None:
        """Why catalyst is not called for a spec, if that is so."""
        if outside := self._outside(spec):
            return f"catalyst would write {outside}, which is not below {self._place}"
        if item.needs is None:
            return None
        try:
            source_of(spec, self._theirs)
        except ConfigError:  # with seedcache it would start from the root of the build that failed
            return f"catalyst has not built its source, {item.needs}"
        return None

    def _outside(self, spec: Spec) -> str | None:
        """An output that is not below catalyst's storedir: rename_regexp changes the whole path."""
        paths = (each.path for each in outputs(spec, self._theirs))
        return next((path for path in paths if not is_below(path, self._place)), None)

    def _pairs(self, mine: Spec, other: Spec) -> Iterator[tuple[Path, Path]]:
        sides = zip(outputs(mine, self._conf), outputs(other, self._theirs), strict=True)
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


def _within(spec: Spec) -> dict[str, str]:
    """Values with which catalyst keeps images and caches below its own storedir."""
    images = ("livecd/iso", "diskimage/qcow2")
    moved = {key: Path(spec.text(key)).name for key in images if spec.text(key).startswith("/")}
    moved |= {key: "" for key in ("pkgcache_path", "kerncache_path") if spec.text(key)}
    return moved


def _link(place: Path, target: Path) -> None:
    """Make a link, or replace one that leads elsewhere; a file that catalyst made stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    if not place.exists():
        place.symlink_to(target)


def _named(found: Comparison) -> Iterator[str]:
    """The first differences of each rule by which they are not harmless, what is wrong first."""
    by_rule: dict[Rule, list[str]] = {}
    for each in found.judged:
        if each.rule.judgement not in PASSING:
            by_rule.setdefault(each.rule, []).append(each.difference.subject)
    for rule in sorted(by_rule, key=lambda rule: JUDGEMENTS.index(rule.judgement)):
        head, names = f"{rule.judgement}: {rule.name}: ", by_rule[rule]
        yield from (head + name for name in names[:_OF_RULE])
        if len(names) > _OF_RULE:
            yield f"{head}{len(names) - _OF_RULE} more"
