"""The interface of every engine: what a sandbox is, how a command is started in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host, bound to the absolute path ``target`` inside."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandbox may use. None means no limit of ours.

    ``memory`` needs a control group. Where none can be made (`cgroups.can_limit_memory`), as for
    most ordinary users, it has no effect. ``temporary`` is the size of each of /tmp, /run and
    /dev/shm, which otherwise may become half as large as the host's memory.
    """

    processes: int | None = 4096
    memory: int | None = None  # bytes
    file_size: int | None = None  # bytes
    open_files: int | None = 65536
    temporary: int | None = None  # bytes


@dataclass(frozen=True, slots=True)
class Emulator:
    """Runs programs of another CPU: ``program``, statically linked, of QEMU's user mode.

    ``name`` is QEMU's for the CPU; ``bits``, ``machine`` (e_machine) and the byte order are those
    of its ELF files. With ``flags``, a mask and a value, it only runs files whose e_flags have that
    value under the mask.
    """

    name: str
    bits: int
    machine: int
    program: Path
    big_endian: bool = False
    flags: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A root and its surroundings, without a process in it yet.

    ``lowers`` are directories, the bottom first, at least one. ``upper`` is a directory owned by
    the caller in which the engine makes and uses ``top`` (what was written) and ``work``
    (overlayfs's own); None makes the root read-only. ``/dev``, ``/proc``, ``/tmp``, ``/run`` and
    ``/dev/shm`` are always the sandbox's own. ``tmpfs`` and the targets of ``binds`` need not exist
    in the root, and leave nothing in ``top``; targets are plain absolute paths. The
    programs of ``emulators`` run like all others; only engines whose nature says so can do that.
    """

    lowers: tuple[Path | str, ...]
    upper: Path | None = None
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    network: bool = False
    hostname: str = "localhost"  # which resolves, as under Portage's network-sandbox
    limits: Limits = Limits()
    emulators: tuple[Emulator, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: ``env`` is the whole environment, ``timeout`` is in seconds of wall clock."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    timeout: float | None = None
    tty: bool = False  # give it a terminal of its own, joined to the caller's


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. ``status`` is the exit status, or 128 + signal."""

    status: int
    timed_out: bool = False
    killed: bool = False
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    max_rss: int = 0  # bytes

    @property
    def ok(self) -> bool:
        """True if the command exited with status 0."""
        return self.status == 0 and not self.timed_out and not self.killed


@dataclass(frozen=True, slots=True)
class Nature:
    """Properties of an engine: ``isolates`` names what its sandboxes hide of the host.

    Without ``shares_kernel`` sandboxes have their own kernel: a bound FIFO does not connect to the
    host, nor does a listening socket unless ``sockets``. ``emulates``: a sandbox may have
    emulators. ``caution`` is a warning that is printed whenever the engine is used.
    """

    title: str
    isolates: tuple[str, ...] = ()
    shares_kernel: bool = True
    sockets: bool = True
    emulates: bool = False
    caution: str | None = None


class Process(Protocol):
    """A running command. When it ends, every process of its sandbox has ended."""

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait for the end; None after ``timeout`` seconds. May be called again."""

    def kill(self) -> None:
        """End the whole sandbox at once. Does nothing if it has ended."""


class Engine(Protocol):
    """A way to make sandboxes. Safe to use from several threads."""

    name: str
    nature: Nature

    def start(
        self,
        sandbox: Sandbox,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> Process:
        """Start a command. Descriptors are the caller's; None is ``/dev/null``.

        ``fds`` maps a number inside to a descriptor of the caller. Raises `SandboxError` when the
        root cannot be made or the program cannot be executed.
        """

    def close(self) -> None:
        """End every sandbox that still runs, and the engine's helpers."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
