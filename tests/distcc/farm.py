"""Two hosts with distccd, and one from which compiles are sent, in network namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.networks import Network, network
from tests.support import cannot

SOURCES = {
    "good.c": "int one(void) { return 1; }\n",
    "bad.c": "int one(void) { return x; }\n",
    "warned.c": "int one(void) { int x; return x; }\n",
    "missing.c": "#include <never.h>\n",
}


def shim(path: Path, text: str) -> Path:
    """A compiler in sh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@dataclass
class Farm:
    """``room`` is for files that distccd's user can read; ``daemons`` are those that run."""

    net: Network
    room: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def serve(self, host: str, path: str = "/usr/bin:/bin") -> None:
        """Start distccd on a host, anew if it runs; compilers are found in ``path``."""
        self.stop(host)
        words = ("distccd", "--no-detach", "--daemon", "--allow", "10.99.7.0/24", "--jobs", "4")
        more = ("--user", "nobody", "--enable-tcp-insecure", "--log-stderr", "--log-level", "error")
        with (self.room / f"{host}.log").open("ab") as log:
            self.daemons[host] = subprocess.Popen(
                [*self.net.inside(host), *words, *more],
                env={"PATH": path + ":/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/tmp"},
                stderr=log,
            )
        end = time.monotonic() + 20
        while self.probe(host) != 0:
            assert time.monotonic() < end, (self.room / f"{host}.log").read_text()
            time.sleep(0.05)

    def probe(self, host: str) -> int:
        """Whether somebody listens there."""
        program = f"import socket; socket.create_connection(('{self.net.address(host)}', 3632), 1)"
        words = (*self.net.inside("here"), "/usr/bin/python3", "-c", program)
        return subprocess.run(words, capture_output=True, check=False).returncode

    def stop(self, host: str) -> None:
        """End a host's distccd, with the compiles that it runs."""
        daemon = self.daemons.pop(host, None)
        if daemon is not None:
            while pids := self._pids(host):
                for number in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(number, signal.SIGKILL)
                daemon.wait()

    def _pids(self, host: str) -> list[int]:
        """All that runs on a host."""
        words = ("ip", "netns", "pids", self.net.inside(host)[-1])
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return [int(each) for each in done.stdout.split()]


@contextlib.contextmanager
def farm() -> Iterator[Farm]:
    """Two hosts, `one` and `two`, both of which serve."""
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in ("ip", "distccd", "gcc")):
        cannot("network namespaces need root and ip(8), distcc needs distccd and gcc")
    with network("here", "one", "two") as net, tempfile.TemporaryDirectory() as room:
        Path(room).chmod(0o755)
        made = Farm(net, Path(room))
        try:
            made.serve("one")
            made.serve("two")
            yield made
        finally:
            for host in list(made.daemons):
                made.stop(host)


@dataclass
class Desk:
    """A directory from which compiles are sent, with distcc's own and a log of where they ran."""

    inside: tuple[str, ...]
    place: Path
    wrapper: Path
    environment: dict[str, str]

    def start(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a command; ``more`` are variables."""
        return subprocess.Popen(
            [*self.inside, *words],
            cwd=self.place,
            env={**self.environment, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, *words: str, given: bytes = b"", **more: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        process = self.start(*words, **more)
        out, err = process.communicate(given, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    @property
    def disliked(self) -> set[str]:
        """The back-off files."""
        lock = self.place / "distcc/lock"
        return {path.name for path in lock.glob("backoff_*")}

    @property
    def log(self) -> str:
        """distcc's log, if the environment names it."""
        return (self.place / "log").read_text()


def desk(farm: Farm | None, place: Path, wrapper: Path, *hosts: str, **more: str) -> Desk:
    """A desk that sends to these hosts; without a farm, on this host, to whom ``more`` names."""
    (place / "distcc").mkdir(parents=True)
    for name, text in SOURCES.items():
        (place / name).write_text(text)
    variables: Mapping[str, str] = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(place),
        "LC_ALL": "C",
        "DISTCC_NO_REWRITE_CROSS": "1",  # the compiler's name stays
        "DISTCC_DIR": str(place / "distcc"),
    }
    inside: tuple[str, ...] = ()
    if farm is not None:
        sent = " ".join(f"{farm.net.address(host)}/8" for host in hosts)
        variables = {**variables, "DISTCC_HOSTS": sent}
        inside = (shutil.which("ip") or "ip", *farm.net.inside("here")[1:])
    return Desk(inside, place, wrapper, {**variables, **more})


def free_port() -> int:
    """A port of loopback at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
