"""Denies system calls by seccomp(2): those that no namespace isolates, and those with which a
sandbox could lift its own limits.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from cloche.linux.calls import syscall
from cloche.linux.processes import CLONE_NEWCGROUP

_NAMES = (
    *("add_key", "request_key", "keyctl", "syslog", "socket", "clone", "clone3", "unshare"),
    "io_uring_setup",
)
# linux/audit.h's number of an architecture: its numbers of the calls above.
_MACHINES = {
    0xC000003E: (248, 249, 250, 103, 41, 56, 435, 272, 425),  # x86-64, and x32 with a bit more
    0x40000003: (286, 287, 288, 103, 359, 120, 435, 310, 425),  # i386
    0xC00000B7: (217, 218, 219, 116, 198, 220, 435, 97, 425),  # arm64
    0x40000028: (309, 310, 311, 103, 281, 120, 435, 337, 425),  # arm
}
_X32 = 0x40000000
_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_JUMP_EQUAL, _JUMP_SET = 0x15, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER = 1
_SPEC_ALLOW = 4  # no slower memory accesses on kernels before 5.16, which others ask for with it
_AF_VSOCK, _AF_QIPCRTR = 40, 42
_NETLINK_AUDIT, _NETLINK_KOBJECT_UEVENT = 9, 15

_Instruction = tuple[int, int, int, int]
_LOAD_NUMBER: tuple[_Instruction, ...] = ((_LOAD, 0, 0, _NUMBER), (_AND, 0, 0, ~_X32 & 0xFFFFFFFF))


@dataclass(frozen=True, slots=True)
class _Rule:
    """A call that answers ``error``: always, or if an argument is, or has a bit of, one.

    ``argument`` counts from 0.
    """

    call: str
    error: int
    equal: tuple[int, ...] = ()
    bits: int = 0
    argument: int = 0


# User keyrings belong to no namespace but the user's, so that the root of a sandbox without a user
# namespace would read those of the host's root.
_KEYRINGS = tuple(_Rule(name, errno.ENOSYS) for name in ("add_key", "request_key", "keyctl"))
_SHARED = (
    *_KEYRINGS,
    # The kernel's log is that of the whole host.
    _Rule("syslog", errno.EPERM),
    # Sockets to a virtual machine's host, or to other processors, ignore network namespaces.
    _Rule("socket", errno.EAFNOSUPPORT, equal=(_AF_VSOCK, _AF_QIPCRTR)),
    # Root's records would go into the host's audit log; its network namespaces all hear of devices.
    # By the protocol alone: no other family gives these numbers to who has no CAP_NET_RAW.
    _Rule(
        "socket",
        errno.EPROTONOSUPPORT,
        equal=(_NETLINK_AUDIT, _NETLINK_KOBJECT_UEVENT),
        argument=2,
    ),
    # io_uring makes sockets, and more with each kernel, past this filter. Programs fall back to
    # plain calls, as on kernels without it.
    _Rule("io_uring_setup", errno.ENOSYS),
)
_LIMITS = (
    # In a new cgroup namespace a nested root could mount control groups and lift its limits.
    _Rule("unshare", errno.EPERM, bits=CLONE_NEWCGROUP),
    _Rule("clone", errno.EPERM, bits=CLONE_NEWCGROUP),
    _Rule("clone3", errno.ENOSYS),  # its flags lie in memory; libraries fall back to clone
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_shared() -> None:
    """Deny what reaches the host past all namespaces: keys, logs, sockets.

    Needs CAP_SYS_ADMIN; OSError without seccomp.
    """
    _forbid(_SHARED)


def forbid_ways_to_host() -> None:
    """Deny that, and namespaces with which a sandbox could lift its own limits."""
    _forbid((*_SHARED, *_LIMITS))


def limits_filter() -> bytes:
    """The filter of the namespaces alone, for other programs: struct sock_filter."""
    return _compiled(_LIMITS)


def compile_filters() -> None:
    """Compile and cache the filters ahead of forks, which then start faster."""
    _compiled(_SHARED)
    _compiled((*_SHARED, *_LIMITS))


def _forbid(rules: Iterable[_Rule]) -> None:
    raw = _compiled(tuple(rules))
    program = _Program(len(raw) // 8, raw)
    syscall("seccomp", _SET_MODE_FILTER, _SPEC_ALLOW, ctypes.byref(program))


@functools.cache
def _compiled(rules: tuple[_Rule, ...]) -> bytes:
    code: list[_Instruction] = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for architecture, numbers in _MACHINES.items():
        block: list[_Instruction] = [*_LOAD_NUMBER]
        for rule in rules:
            block += _of_rule(rule, numbers[_NAMES.index(rule.call)])
        block.append((_RETURN, 0, 0, _ALLOW))
        code += [(_JUMP_EQUAL, 0, len(block), architecture), *block]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _of_rule(rule: _Rule, number: int) -> list[_Instruction]:
    """Instructions that return if the rule matches; otherwise the number is loaded again."""
    tests = [(_JUMP_EQUAL, value) for value in rule.equal]
    tests += [(_JUMP_SET, rule.bits)] if rule.bits else []
    body: list[_Instruction] = []
    if tests:
        # The low half: all supported architectures are little-endian.
        body.append((_LOAD, 0, 0, _ARGUMENTS + 8 * rule.argument))
        for left, (jump, value) in zip(range(len(tests), 0, -1), tests, strict=True):
            body.append((jump, left, 0, value))
        body.append((_JUMP, 0, 0, 1))
    body.append((_RETURN, 0, 0, _ERRNO | rule.error))
    if tests:  # another rule may be about the same call
        body += _LOAD_NUMBER
    return [(_JUMP_EQUAL, 0, len(body), number), *body]
