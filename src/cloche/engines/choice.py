"""The table of engines: their names, their properties, and making one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cloche.errors import ClocheError

if TYPE_CHECKING:  # every command knows the names of engines; few make one
    from cloche.sandbox.base import Nature
    from cloche.sandbox.local import LocalEngine
    from cloche.sandbox.runtime import Runtime

DEFAULT = "native"
# The module of each engine, imported only when it is chosen, to keep the start short.
_RUNTIMES = {
    DEFAULT: "cloche.sandbox.native:Native",
    "bwrap": "cloche.engines.bwrap:Bwrap",
    "oci": "cloche.engines.oci:Oci",
    "nspawn": "cloche.engines.nspawn:Nspawn",
    "podman": "cloche.engines.podman:Podman",
    "qemu": "cloche.engines.qemu:Qemu",
    "chroot": "cloche.engines.chroot:Chroot",
}
NAMES = tuple(_RUNTIMES)


def make_engine(name: str, *, provide: bool = True) -> LocalEngine:
    """Make an engine in a process without threads; `cloche.broker.open_engine` works in any.

    ``name`` may choose one of several tools after a colon: ``oci:runc``. With ``provide``, what the
    engine needs and cloche can fetch is fetched. Raises ClocheError, SandboxError if its tool is
    missing.
    """
    from cloche.sandbox.local import open_local

    return open_local(make_runtime(name, provide=provide))


def make_runtime(name: str, *, provide: bool = True) -> Runtime:
    """Make what an engine's launcher needs; see `make_engine`."""
    runtime = _runtime(name)
    if provide:
        runtime.provide()
    return runtime.make(name.partition(":")[2] or None)


def nature_of(name: str) -> Nature:
    """The properties of an engine, whether it works here or not. Raises ClocheError."""
    return _runtime(name).nature


def _runtime(name: str) -> type[Runtime]:
    kind = name.partition(":")[0]
    if kind not in _RUNTIMES:
        raise ClocheError(f"unknown engine “{name}”", todo=f"use one of {', '.join(NAMES)}")
    module, _, attribute = _RUNTIMES[kind].partition(":")
    found: type[Runtime] = getattr(importlib.import_module(module), attribute)
    return found
