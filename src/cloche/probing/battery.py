"""The battery: the same questions to every engine, answered by tests inside of its sandboxes.

The caller sets traps outside (`probing/traps.py`); the guest's ``probe.py`` looks for them inside,
and tries what Portage and packages need. No engine is trusted to describe itself.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cloche.errors import ClocheError
from cloche.probing.roots import Root
from cloche.probing.traps import Planted
from cloche.sandbox.base import Bind, Command, Ended, Engine, Sandbox
from cloche.sandbox.copying import written_to
from cloche.sandbox.errors import SandboxError

GUEST = Path(__file__).resolve().parent.parent / "guest"
PATIENCE = 300.0  # seconds of one run of the guest; emulated machines are slow
STARTS = 15
START_SECONDS = 5.0  # no further start is measured after this time
JOBS = {"files": 2000, "processes": 300, "seconds": 10.0}
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
}

Kind = Literal["shows", "works"]
Said = Literal["shows", "hidden", "works", "does not work", "unknown"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question: whether something of the host shows, or whether something works inside."""

    id: str
    kind: Kind
    text: str

    def said(self, yes: bool | None) -> Said:
        """The word for an answer; None means that the test was not possible."""
        if yes is None:
            return "unknown"
        if self.kind == "shows":
            return "shows" if yes else "hidden"
        return "works" if yes else "does not work"


QUESTIONS = (
    Question("files", "shows", "files of the host outside of the root"),
    Question("processes", "shows", "processes of the host"),
    Question("command-lines", "shows", "paths of the host in command lines"),
    Question("descriptors", "shows", "inherited descriptors"),
    Question("host-files", "shows", "writable descriptors of files of the host"),
    Question("interfaces", "shows", "network interfaces of the host"),
    Question("loopback", "shows", "a port of the host's loopback"),
    Question("abstract-sockets", "shows", "abstract unix sockets"),
    Question("vsock", "shows", "sockets to the host of a virtual machine"),
    Question("hostname", "shows", "host name, NIS domain"),
    Question("sysv", "shows", "SysV shared memory"),
    Question("mqueue", "shows", "POSIX message queues"),
    Question("keyring", "shows", "keys of the caller's keyrings"),
    Question("sys", "shows", "/sys"),
    Question("devices", "shows", "devices in /dev beyond the usual"),
    Question("disk", "shows", "the host's disk, by a node made inside"),
    Question("environment", "shows", "environment of the caller"),
    Question("users", "shows", "users of the host"),
    Question("etc", "shows", "the host's resolv.conf, hosts, machine-id"),
    Question("time-zone", "shows", "time zone"),
    Question("locale", "shows", "locale"),
    Question("mounts", "shows", "mounts of the host"),
    Question("mount-paths", "shows", "paths of the host in mountinfo"),
    Question("cgroup", "shows", "place in the control groups"),
    Question("kernel-arguments", "shows", "arguments of the host's kernel"),
    Question("kernel-log", "shows", "the log of the host's kernel"),
    Question("kernel", "shows", "the host's kernel itself"),
    Question("write", "works", "writing to the root"),
    Question("setuid", "works", "setuid programs"),
    Question("capabilities", "works", "capabilities of files"),
    Question("chown", "works", "chown to ids from 0 to 65,535"),
    Question("xattrs", "works", "extended attributes of users"),
    Question("userpriv", "works", "Portage's userpriv"),
    Question("families", "works", "names by IPv4 and by IPv6 (AI_ADDRCONFIG)"),
    Question("network-sandbox", "works", "Portage's network-sandbox"),
    Question("ipc-sandbox", "works", "Portage's ipc-sandbox"),
    Question("pid-sandbox", "works", "Portage's pid-sandbox"),
    Question("mount-sandbox", "works", "Portage's mount-sandbox"),
    Question("user-namespaces", "works", "making user namespaces"),
    Question("ptrace", "works", "tracing its own processes"),
    Question("mknod", "works", "making device nodes"),
)
# What an engine may claim to isolate (`Nature.isolates`), and the questions that verify it.
CLAIMS = {
    "files": (*("files", "mounts", "users", "etc", "environment", "descriptors", "host-files"),),
    "processes": ("processes",),
    "network": ("interfaces", "loopback", "abstract-sockets", "vsock"),
    "IPC": ("sysv", "mqueue"),
    "host name": ("hostname",),
    "devices": ("devices", "disk"),
    "keyrings": ("keyring",),
    "kernel": ("kernel", "kernel-arguments", "kernel-log"),
}
BY_ID = {question.id: question for question in QUESTIONS}


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a test. ``detail`` is the evidence, untrusted text of the guest."""

    question: str
    said: Said
    detail: str


@dataclass(frozen=True, slots=True)
class Costs:
    """Medians, in seconds: a start to its end, one small file's life, one fork with its exec."""

    start: float
    file: float
    process: float


@dataclass(frozen=True, slots=True)
class Probed:
    """The results of one engine; ``error`` if it made no sandbox or the guest did not answer."""

    engine: str
    answers: tuple[Answer, ...] = ()
    costs: Costs | None = None
    error: str | None = None

    def said(self, question: str) -> Said | None:
        """The answer to one question, None without one."""
        return next((each.said for each in self.answers if each.question == question), None)


def _no_answer(engine: str, ended: Ended | None, log: str = "") -> SandboxError:
    """The guest's script ended without a result; ``log`` is the end of its output."""
    lines = log.strip().splitlines()
    status = ended.status if ended else -1
    said = f"status {status}" + (f", {lines[-1]}" if lines else ", without output")
    return SandboxError(f"probing {engine}", f"its guest gave no answer: {said}")


def ask(engine: Engine, root: Root, planted: Planted) -> tuple[Answer, ...]:
    """Ask an engine every question. Raises SandboxError."""
    request = planted.request | {"questions": [question.id for question in QUESTIONS]}
    messages = _run(engine, root, planted, request)
    found = {m["id"]: m for m in messages if m.get("event") == "answer" and m.get("id") in BY_ID}
    return tuple(
        Answer(each.id, each.said(found[each.id]["yes"]), str(found[each.id]["detail"]))
        if each.id in found
        else Answer(each.id, "unknown", "the guest gave no answer")
        for each in QUESTIONS
    )


def measure(engine: Engine, root: Root, planted: Planted) -> Costs:
    """Measure an engine once: starts of `/bin/true`, and the guest's two jobs. Raises SandboxError.

    Alternate between engines, and use medians of several rounds: the host has other work.
    """
    starts: list[float] = []
    began = time.monotonic()
    while len(starts) < STARTS and (not starts or time.monotonic() - began < START_SECONDS):
        starts.append(_start(engine, root, planted))
    (result,) = [
        m
        for m in _run(engine, root, planted, planted.request | {"jobs": JOBS})
        if m.get("event") == "result"
    ]
    return Costs(statistics.median(starts), float(result["file"]), float(result["process"]))


def median(rounds: Sequence[Costs]) -> Costs:
    """The medians of several rounds."""
    return Costs(
        *(
            statistics.median(getattr(each, name) for each in rounds)
            for name in ("start", "file", "process")
        )
    )


def probe(
    engines: Sequence[tuple[str, Callable[[], Engine]]],
    root: Root,
    planted: Planted,
    *,
    rounds: int = 3,
    report: Callable[[str, str], None] = lambda engine, doing: None,
) -> tuple[Probed, ...]:
    """Run the battery in each engine; ``report`` is called with its name and the present step.

    Measurements alternate between the engines. A failing engine gives a result with an error.
    """
    done: dict[str, Probed] = {}
    costs: dict[str, list[Costs]] = {name: [] for name, _ in engines}
    for turn in range(rounds + 1):
        for name, make in engines:
            if turn and done[name].error:
                continue
            report(name, f"measuring, round {turn} of {rounds}" if turn else "asking")
            try:
                with make() as engine:
                    if turn:
                        costs[name].append(measure(engine, root, planted))
                    else:
                        done[name] = Probed(name, ask(engine, root, planted))
            except ClocheError as error:
                answers = done[name].answers if turn else ()
                done[name] = Probed(name, answers, error=str(error))
    return tuple(
        Probed(name, each.answers, median(costs[name]) if costs[name] else None, each.error)
        for name, each in done.items()
    )


def _start(engine: Engine, root: Root, planted: Planted) -> float:
    """Seconds from the request of a sandbox to its end."""
    with tempfile.TemporaryDirectory(dir=planted.directory) as upper:
        sandbox = Sandbox(root.lowers, Path(upper), root.binds)
        began = time.monotonic()
        command = Command(("/bin/true",), _ENVIRONMENT, timeout=PATIENCE)
        ended = engine.start(sandbox, command).wait()
        over = time.monotonic()
        if ended is None or not ended.ok:
            raise _no_answer(engine.name, ended)
    return over - began


def _run(
    engine: Engine, root: Root, planted: Planted, request: dict[str, Any]
) -> list[dict[str, Any]]:
    """Run the guest's script; return its messages, the last of which is the result."""
    room = Path(tempfile.mkdtemp(dir=planted.directory))
    try:
        for name in ("upper", "work"):
            (room / name).mkdir()
        inside = {**request, "work": "/var/tmp/portage"}  # noqa: S108 - where builds work, too
        (room / "request.json").write_text(json.dumps(inside))
        binds = (
            *root.binds,
            Bind(GUEST, "/run/cloche/guest"),
            Bind(room / "request.json", "/run/cloche/request.json"),
            Bind(room / "work", "/var/tmp/portage", writable=True),  # noqa: S108
        )
        sandbox = Sandbox(root.lowers, room / "upper", binds, hostname="glass")
        argv = (root.python, "-I", "/run/cloche/guest/probe.py")
        command = Command(argv, _ENVIRONMENT, timeout=PATIENCE)
        with ExitStack() as stack:
            log, messages = (
                stack.enter_context(written_to(stack.enter_context((room / name).open("wb"))))
                for name in ("log", "messages")
            )
            process = engine.start(
                sandbox,
                command,
                stdout=log.writer,
                stderr=log.writer,
                fds={3: messages.writer},
            )
            log.given()
            messages.given()
            ended = process.wait()
        told = _messages(room / "messages")
        if not told or told[-1].get("status") != "ok":
            said = told[-1].get("text", "") if told else (room / "log").read_text(errors="replace")
            raise _no_answer(engine.name, ended, said)
        return told
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _messages(path: Path) -> list[dict[str, Any]]:
    """The guest's messages, without an incomplete last one."""
    told = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            told.append(json.loads(line))
    return told
