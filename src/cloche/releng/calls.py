"""Builds one spec of a run, in a process of its own: see `cloche.broker.executor.Workers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cloche.catalyst.conf import read_conf
from cloche.catalyst.hostpaths import rooted
from cloche.catalyst.paths import ARTIFACTS
from cloche.catalyst.spec import Spec, parse_spec
from cloche.config.files import read_text
from cloche.config.project import Project
from cloche.records.events import AnyEvent, Sink
from cloche.releng.build import build_spec
from cloche.releng.opening import Opening
from cloche.releng.outputs import Attest
from cloche.session.choices import Choices
from cloche.session.session import Session, open_session


@dataclass(frozen=True, slots=True)
class Place:
    """Where specs are built: the store, the engine, proxies, and the slots that all share."""

    store: Path
    engine: str
    slots: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A spec of a run: the user's file, and its copy with the tokens filled in, line by line.

    The copy is built, and its lock is beside it. Errors name lines of the user's file.
    Relative paths in it, and in catalyst.conf, begin at ``here``.
    """

    file: Path
    copy: Path
    here: Path

    def read(self) -> Spec:
        """The spec. Raises `ConfigError`."""
        spec = parse_spec(read_text(self.copy, Path("/")), self.file)
        return replace(rooted(spec, self.here), file=self.copy)


@dataclass(frozen=True, slots=True)
class BuiltFiles:
    """The files of a spec that was built, with their sizes in bytes.

    ``artifacts`` are those that do not just describe another one.
    """

    outputs: Mapping[Path, int]
    artifacts: tuple[Path, ...]


def _files(path: Path) -> list[Path]:
    """A file, or the files of a directory, which is what catalyst makes of netboot."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.is_file()]


def opening_in(place: Place, sink: Sink) -> Opening:
    """A function that opens sessions there for projects of specs."""

    @contextmanager
    def opening(project: Project) -> Iterator[Session]:
        with open_session(
            project,
            store=place.store,
            engine=place.engine,
            sink=sink,
            proxies=place.proxies,
            waiting=lambda whom: None,
            slots=place.slots,
        ) as session:
            yield session

    return opening


def build(
    place: Place,
    wanted: SpecFile,
    confs: tuple[Path, ...],
    choices: Choices,
    update: bool,
    provenance: bool = False,
    sink: Callable[[AnyEvent], None] = lambda event: None,
) -> BuiltFiles:
    """Build a spec; see `cloche.releng.build.build_spec`."""
    opening = opening_in(place, lambda event: sink(event))  # type: ignore[arg-type]
    attest = Attest(provenance=provenance)
    spec, conf = wanted.read(), read_conf(confs, wanted.here)
    built = build_spec(spec, conf, opening, choices, update=update, attest=attest)
    found = {Path(each.path): each.kind for each in built.outputs}
    files = [file for path in found for file in _files(path)]
    signed = (*ARTIFACTS, "provenance")
    return BuiltFiles(
        {file: file.stat().st_size for file in files},
        tuple(path for path, kind in found.items() if kind in signed and path.is_file()),
    )
