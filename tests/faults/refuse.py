"""Run a command for which the kernel refuses one system call: ``refuse.py NUMBER ERRNO COMMAND``.

A seccomp filter, as containers have them; an old kernel answers ENOSYS in the same way.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

number, error = int(sys.argv[1]), int(sys.argv[2])
program = b"".join(
    struct.pack("HBBI", *line)
    for line in (
        (LOAD, 0, 0, 0),
        (EQUAL, 0, 1, number),
        (RETURN, 0, 0, ERRNO | error),
        (RETURN, 0, 0, ALLOW),
    )
)
buffer = ctypes.create_string_buffer(program, len(program))


class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))


libc = ctypes.CDLL(None, use_errno=True)
if os.geteuid() != 0:
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
filled = Filter(len(program) // 8, ctypes.addressof(buffer))
assert libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(filled)) == 0, ctypes.get_errno()
os.execvp(sys.argv[3], sys.argv[3:])
