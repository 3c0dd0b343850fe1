"""Refusing the kernel's key calls by seccomp(2): user keyrings belong to no namespace but the
user's, so that the root of a sandbox without a user namespace would read those of the host's root.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from cloche.linux.calls import syscall

# add_key, request_key and keyctl have consecutive numbers: linux/audit.h's architecture, the first.
_KEY_CALLS = {
    0xC000003E: 248,  # x86-64, and x32 with a bit more
    0x40000003: 286,  # i386
    0xC00000B7: 217,  # arm64
    0x40000028: 309,  # arm
}
_X32 = 0x40000000
_LOAD, _AND, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER = 1
_SPEC_ALLOW = 4  # no slower memory accesses on kernels before 5.16, which others ask for with it


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_keyrings() -> None:
    """Let the key calls answer ENOSYS from now on. Needs CAP_SYS_ADMIN; OSError without seccomp."""
    code = [(_LOAD, 0, 0, _ARCHITECTURE)]
    for architecture, first in _KEY_CALLS.items():
        code += [
            (_JUMP_EQUAL, 0, 6, architecture),
            (_LOAD, 0, 0, _NUMBER),
            (_AND, 0, 0, ~_X32 & 0xFFFFFFFF),
            (_JUMP_FROM, 0, 2, first),
            (_JUMP_FROM, 1, 0, first + 3),
            (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
            (_RETURN, 0, 0, _ALLOW),
        ]
    code.append((_RETURN, 0, 0, _ALLOW))
    raw = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    program = _Program(len(code), raw)
    syscall("seccomp", _SET_MODE_FILTER, _SPEC_ALLOW, ctypes.byref(program))
