"""All engines by name: what they are, whether they work here, and making one."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloche.engines import probe
from cloche.engines.base import Engine, Nature
from cloche.engines.errors import EngineUnknownError
from cloche.engines.local import LocalEngine
from cloche.engines.native import NativeEngine
from cloche.engines.way import Way
from cloche.errors import ClocheError

DEFAULT = "native"
# Where each engine is: imported when it is chosen, as a start is to take no longer for the others.
_WAYS = {
    "bwrap": "cloche.engines.bwrap:Bwrap",
    "oci": "cloche.engines.oci:Oci",
    "nspawn": "cloche.engines.nspawn:Nspawn",
    "podman": "cloche.engines.podman:Podman",
    "qemu": "cloche.engines.qemu:Qemu",
    "chroot": "cloche.engines.chroot:Chroot",
}
NAMES = (DEFAULT, *_WAYS)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine works here; ``reason`` and ``todo`` are those of the error if it does not.

    ``nature`` is what it would be if it did.
    """

    name: str
    nature: Nature
    reason: str | None = None
    todo: str | None = None

    @property
    def there(self) -> bool:
        """True when a sandbox was made by it."""
        return self.reason is None


def make_engine(name: str) -> Engine:
    """Make an engine; in the main thread, before there are others. What it lacks may be fetched.

    ``name`` may say after a colon which of several tools it is to use: ``oci:runc``. Raises
    EngineUnknownError, SandboxError where its tool is missing.
    """
    if name == DEFAULT:
        return NativeEngine()
    kind, _, tool = name.partition(":")
    way = _way(kind, name)
    way.provide()
    return LocalEngine(way.make(tool or None))


def nature_of(name: str) -> Nature:
    """What an engine is, whether it works here or not. Raises EngineUnknownError."""
    if name == DEFAULT:
        return NativeEngine.nature
    return _way(name.partition(":")[0], name).nature


def look(name: str, directory: Path) -> Availability:
    """Try an engine with a sandbox whose layers lie in ``directory``. After `userns.enter`.

    To be called in a single-threaded process. Raises EngineUnknownError.
    """
    nature = nature_of(name)
    try:
        if name == DEFAULT:
            probe.check(directory)
        else:
            kind, _, tool = name.partition(":")
            with LocalEngine(_way(kind, name).make(tool or None)) as engine:
                probe.check_engine(engine, directory)
                nature = engine.nature  # which of several tools it is, and what that means here
    except ClocheError as error:
        return Availability(name, nature, error.what, error.todo)
    return Availability(name, nature)


def available(names: tuple[str, ...] = NAMES) -> list[Availability]:
    """Try engines, all by default; see `look`."""
    with tempfile.TemporaryDirectory(prefix="cloche-engines-") as directory:
        return [look(name, Path(directory)) for name in names]


def _way(kind: str, name: str) -> type[Way]:
    if kind not in _WAYS:
        raise EngineUnknownError(name, NAMES)
    module, _, attribute = _WAYS[kind].partition(":")
    found: type[Way] = getattr(importlib.import_module(module), attribute)
    return found
