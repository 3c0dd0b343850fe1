"""Resets what a process inherits (ids, limits, modes), so that results do not depend on the host.

Niceness, scheduling policy and CPU affinity stay: they are the choice of the user who started
cloche.
"""

from __future__ import annotations

import os
import resource

from cloche.linux import processes
from cloche.sandbox import userns
from cloche.sandbox.base import Limits

_UNLIMITED = resource.RLIM_INFINITY
_FIXED = {
    # One byte, not zero: that also prevents a dump to the host's core_pattern program.
    resource.RLIMIT_CORE: 1,
    resource.RLIMIT_CPU: _UNLIMITED,
    resource.RLIMIT_DATA: _UNLIMITED,
    resource.RLIMIT_AS: _UNLIMITED,
    resource.RLIMIT_RSS: _UNLIMITED,
    resource.RLIMIT_MEMLOCK: 8 << 20,
    resource.RLIMIT_MSGQUEUE: 819200,
    resource.RLIMIT_SIGPENDING: 4096,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
    resource.RLIMIT_RTTIME: _UNLIMITED,
}
_STACK = 8 << 20
_NAMES = {
    getattr(resource, name): name
    for name in dir(resource)
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"  # another name of NOFILE
}


def reset() -> None:
    """Become uid 0 with the usual umask and personality."""
    os.umask(0o022)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    processes.reset_personality()


def limit(limits: Limits) -> None:
    """Set every limit; an ordinary user's stay below the host's hard limits."""
    for kind, (soft, hard) in _wanted(limits).items():
        _set(kind, soft, hard)


def possible(limits: Limits) -> dict[str, tuple[int, int]]:
    """Return the limits that `limit` sets, by name, for tools that set them themselves."""
    free = _may_raise()
    found = {}
    for kind, (soft, hard) in _wanted(limits).items():
        most = _UNLIMITED if free else resource.getrlimit(kind)[1]
        found[_NAMES[kind]] = (_least(soft, most), _least(hard, most))
    return found


def _wanted(limits: Limits) -> dict[int, tuple[int, int]]:
    own = {
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_size,
    }
    aims = {kind: _UNLIMITED if value is None else value for kind, value in own.items()} | _FIXED
    # A program may raise its own stack, as `ulimit -s` does in some builds.
    return {kind: (aim, aim) for kind, aim in aims.items()} | {
        resource.RLIMIT_STACK: (_STACK, _UNLIMITED)
    }


def _may_raise() -> bool:
    """Whether hard limits can be raised, which needs a capability in the first user namespace."""
    return userns.is_real_root() and bool(
        processes.effective_capabilities() >> processes.CAPABILITIES["SYS_RESOURCE"] & 1
    )


def _set(kind: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(kind, (soft, hard))
    except (ValueError, PermissionError):  # above the hard limit, or fs.nr_open
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (_least(soft, most), _least(hard, most)))


def _least(*values: int) -> int:
    """Return the smallest; RLIM_INFINITY is -1 and greater than all."""
    return min((value for value in values if value != _UNLIMITED), default=_UNLIMITED)
