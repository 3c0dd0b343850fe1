"""All engines by name: what they are, and making one."""

from __future__ import annotations

import importlib

from cloche.sandbox.base import Engine, Nature
from cloche.sandbox.errors import EngineUnknownError
from cloche.sandbox.local import LocalEngine
from cloche.sandbox.native import NativeEngine
from cloche.sandbox.runtime import Runtime

DEFAULT = "native"
# Where each engine is: imported when it is chosen, as a start is to take no longer for the others.
_RUNTIMES = {
    "bwrap": "cloche.engines.bwrap:Bwrap",
    "oci": "cloche.engines.oci:Oci",
    "nspawn": "cloche.engines.nspawn:Nspawn",
    "podman": "cloche.engines.podman:Podman",
    "qemu": "cloche.engines.qemu:Qemu",
    "chroot": "cloche.engines.chroot:Chroot",
}
NAMES = (DEFAULT, *_RUNTIMES)


def make_engine(name: str, *, provide: bool = True) -> Engine:
    """Make an engine; in the main thread, before there are others.

    ``name`` may say after a colon which of several tools it is to use: ``oci:runc``. What the
    engine needs and can have without being installed is fetched if ``provide``. Raises
    EngineUnknownError, SandboxError where its tool is missing.
    """
    if name == DEFAULT:
        return NativeEngine()
    kind, _, tool = name.partition(":")
    runtime = _runtime(kind, name)
    if provide:
        runtime.provide()
    return LocalEngine(runtime.make(tool or None))


def nature_of(name: str) -> Nature:
    """What an engine is, whether it works here or not. Raises EngineUnknownError."""
    if name == DEFAULT:
        return NativeEngine.nature
    return _runtime(name.partition(":")[0], name).nature


def _runtime(kind: str, name: str) -> type[Runtime]:
    if kind not in _RUNTIMES:
        raise EngineUnknownError(name, NAMES)
    module, _, attribute = _RUNTIMES[kind].partition(":")
    found: type[Runtime] = getattr(importlib.import_module(module), attribute)
    return found
