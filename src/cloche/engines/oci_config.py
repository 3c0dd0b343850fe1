"""config.json of the OCI runtime specification (1.0.2): what crun and runc are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloche.engines import inherited
from cloche.engines.assembly import PROC_MASKED, PROC_READ_ONLY
from cloche.engines.base import Command, Sandbox
from cloche.engines.native import CAPABILITIES

_NAMESPACES = ("ipc", "uts", "mount", "cgroup")  # not pid: the keeper's is as good


def config(sandbox: Sandbox, command: Command, root: Path) -> dict[str, Any]:
    """Describe a sandbox whose root, with all mounts but /proc, is composed at ``root``."""
    namespaces = [*_NAMESPACES, *([] if sandbox.network else ["network"])]
    capabilities = [f"CAP_{name}" for name in CAPABILITIES]
    return {
        "ociVersion": "1.0.2",
        "hostname": sandbox.hostname,
        "root": {"path": str(root), "readonly": sandbox.upper is None},
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
            # It is there already; told, so that the runtime makes no devices of its own in it.
            {
                "destination": "/dev",
                "type": "bind",
                "source": f"{root}/dev",
                "options": ["rbind", "nosuid"],
            },
        ],
        "linux": {
            "namespaces": [{"type": name} for name in namespaces],
            "maskedPaths": [f"/proc/{name}" for name in PROC_MASKED],
            "readonlyPaths": [f"/proc/{name}" for name in PROC_READ_ONLY],
        },
    }
