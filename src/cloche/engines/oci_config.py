"""Writes config.json of the OCI runtime specification (1.0.2), as crun and runc read it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from cloche.linux import processes
from cloche.sandbox import inherited
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.native import CAPABILITIES
from cloche.sandbox.proc import PROC_MASKED, PROC_READ_ONLY

_NAMESPACES = ("ipc", "uts", "mount", "cgroup")  # not pid and network: the supervisor's are as good

# The rules of `seccomp.forbid_ways_to_host` that the supervisor has not applied already.
SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {
            "names": ["clone", "unshare"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": errno.EPERM,
            "args": [
                {
                    "index": 0,
                    "value": processes.CLONE_NEWCGROUP,
                    "valueTwo": processes.CLONE_NEWCGROUP,
                    "op": "SCMP_CMP_MASKED_EQ",
                }
            ],
        },
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    ],
}


def config(sandbox: Sandbox, command: Command, root: Path) -> dict[str, Any]:
    """Describe a sandbox whose root, with all mounts but /proc, is composed at ``root``."""
    capabilities = [f"CAP_{name}" for name in CAPABILITIES]
    return {
        "ociVersion": "1.0.2",
        "hostname": sandbox.hostname,
        # An overlay without an upper is read-only by itself; to make it so would drop its nodev.
        "root": {"path": str(root), "readonly": False},
        "process": {
            "terminal": command.tty,
            "user": {"uid": 0, "gid": 0, "umask": 0o022},
            "args": list(command.argv),
            "env": [f"{name}={value}" for name, value in command.env.items()],
            "cwd": command.cwd,
            "capabilities": {
                "bounding": capabilities,
                "permitted": capabilities,
                "effective": capabilities,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [
                {"type": name, "soft": soft % 2**64, "hard": hard % 2**64}  # -1: unlimited
                for name, (soft, hard) in inherited.possible(sandbox.limits).items()
            ],
            "noNewPrivileges": False,  # setuid programs have to work
        },
        "mounts": [
            {
                "destination": "/proc",
                "type": "proc",
                "source": "proc",
                "options": ["nosuid", "nodev", "noexec"],
            },
            # Already mounted; named here so that the runtime makes no devices in it.
            {
                "destination": "/dev",
                "type": "bind",
                "source": f"{root}/dev",
                "options": ["rbind", "nosuid"],
            },
        ],
        "linux": {
            "namespaces": [{"type": name} for name in _NAMESPACES],
            "maskedPaths": [f"/proc/{name}" for name in PROC_MASKED],
            "readonlyPaths": [f"/proc/{name}" for name in PROC_READ_ONLY],
            "seccomp": SECCOMP,
        },
    }
