"""Run a command where no more namespaces of a kind can be made: ``without.py KIND COMMAND``.

In a user namespace with the first 65,536 ids of the host, whose own limit is set to 0. As root.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000

asked, answered = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(asked[0], 1)
    for file in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{file}").write_text("0 0 65536")
    os.write(answered[1], b"1")
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(CLONE_NEWUSER) == 0, ctypes.get_errno()
os.write(asked[1], b"1")
os.read(answered[0], 1)
os.setresgid(0, 0, 0)
os.setresuid(0, 0, 0)
Path(f"/proc/sys/user/max_{sys.argv[1]}_namespaces").write_text("0")
os.execvp(sys.argv[2], sys.argv[2:])
