"""OCI runtimes: crun, runc, and others with their command line, such as runsc and kata-runtime.

Create and start are two steps, so that a failure of the runtime is told from one of the command.
The container is inherited by the supervisor, in whose pid namespace it stays: the command is not
pid 1, and signals and orphans behave as in native.

A runtime drops `nodev` from the root: real root can open devices that a layer holds.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from cloche.engines.oci_config import config
from cloche.sandbox import spawning
from cloche.sandbox.assembly import KEPT_STAGE, entered, step
from cloche.sandbox.base import Nature
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.reaping import end_all
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import Supervisor, close_holes, filled, keep_cgroups, refuse_bytes
from cloche.sandbox.wire import Request

_USUAL = ("crun", "runc", "youki")  # tried in this order
_OWN_KERNEL = ("runsc", "kata-runtime")
_OPTIONS = {"crun": ("--cgroup-manager=disabled",), "runc": ("--rootless=true",)}
_ID = "cloche"


class Oci(Supervisor):
    """Sandboxes by an OCI runtime."""

    name = "oci"
    nature = Nature(
        "an OCI runtime",
        isolates=("files", "processes", "network", "IPC", "host name", "devices", "keyrings"),
    )

    def __init__(self, tool: str) -> None:
        self._tool = tool
        kind = Path(tool).name
        self._options = _OPTIONS.get(kind, ())
        self.name = f"oci:{kind}"
        shares = kind not in _OWN_KERNEL
        title = f"an OCI runtime ({kind})"
        self.nature = Nature(title, self.nature.isolates, shares_kernel=shares, sockets=shares)

    @classmethod
    def make(cls, tool: str | None) -> Self:
        """Use the runtime with this name or path, or the first that is installed."""
        for name in [tool] if tool else _USUAL:
            if path := shutil.which(name):
                return cls(path)
        wanted = tool or " or ".join(_USUAL)
        raise SandboxError(
            f"looking for {wanted}", "it is not installed", 0, f"install {tool or _USUAL[0]}"
        )

    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Create the container, then start the command in it."""
        refuse_bytes(request.command, self.name)
        keep_cgroups(hidden=self.name == "oci:crun")
        state, bundle = KEPT_STAGE / "state", KEPT_STAGE / "bundle"
        with step("writing config.json"):
            bundle.mkdir()
            command = close_holes(request.command, request.fds)
            text = json.dumps(config(request.sandbox, command, root))
            (bundle / "config.json").write_text(text)
        given = filled(request.fds, streams)
        preserved = max(given) - 2
        options = ["--bundle", str(bundle), "--pid-file", f"{state}.pid"]
        options += [f"--preserve-fds={preserved}"] if preserved else []
        passed: tuple[int, ...] = ()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as console:
            if request.command.tty:
                with entered(root):  # the runtime mounts the terminal on it
                    Path("/dev/console").touch()
                console.bind(f"{state}.sock")
                console.listen()
                options += ["--console-socket", f"{state}.sock"]
            self._run("create", [*options, _ID], given)
            if request.command.tty:
                passed = (_take_terminal(console, streams[1]),)
        self._run("start", [_ID], filled((), streams))
        with step(f"reading the pid file of {self.name}"):
            pid = int(Path(f"{state}.pid").read_text())
        return Started(pid, passed=passed)

    def _run(self, what: str, arguments: Sequence[str], fds: Mapping[int, int]) -> None:
        """Run the runtime. Raises SandboxError if it fails."""
        log = KEPT_STAGE / f"{what}.log"
        options = ["--root", f"{KEPT_STAGE}/state", "--log", str(log), "--log-format", "json"]
        argv = (self._tool, *options, *self._options, what, *arguments)
        with step(f"starting {self._tool}"):
            pid = spawning.spawn(self._tool, argv, {"PATH": os.defpath}, fds)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            words = _logged(log) or f"it ended with status {os.waitstatus_to_exitcode(status)}"
            end_all()
            raise SandboxError(f"making a sandbox by {self.name} ({what})", words)


def _take_terminal(console: socket.socket, like: int) -> int:
    """Receive the master of the terminal that the runtime opened inside."""
    with step("receiving the terminal"), console.accept()[0] as peer:
        (master,) = socket.recv_fds(peer, 4096, 1)[1]
    spawning.take_size(master, like)
    return master


def _logged(log: Path) -> str:
    """What a runtime wrote into its log: an object a line."""
    words = []
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        try:
            words.append(str(json.loads(line)["msg"]))
        except (ValueError, KeyError, TypeError):
            words.append(line)
    return "; ".join(words)
