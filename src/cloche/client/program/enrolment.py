"""What is kept of an enrolment, and of the last description."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cloche.client.program.problem import PROGRAM, Description, Problem
from cloche.client.program.reading import Memory

CONFIG = Path("/etc/cloche-client.json")
CERTIFICATE = Path("/etc/cloche-client.pem")
FETCH = Path("/etc/cloche-client.sh")
WGETRC = Path("/etc/cloche-client.wgetrc")
STATE = Path("/var/cache/cloche-client/state.json")


@dataclass(frozen=True)
class Enrolment:
    """What this machine is for the service. ``ca`` is a file with certificates, or empty.

    ``public_key`` is the key that the service signs with; empty if it does not sign. With
    ``former_keys`` it did so before: they are in Portage's keyring, too.
    """

    server: str
    target: str
    token: str
    name: str
    level: str = ""
    ca: str = ""
    public_key: str = ""
    savedconfig: bool = False
    former_keys: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """The description that the service has, and what need not be read again."""

    description: Description = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


def load_enrolment(path: Path) -> Enrolment | None:
    """The enrolment; None if there is none. Raises Problem."""
    try:
        return Enrolment(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise Problem(f"{path} cannot be read", "run cloche-client as root", status=3) from None
    except (ValueError, TypeError):
        raise Problem(f"{path} is damaged", f"remove it, then: {PROGRAM} enrol", status=2) from None


def load_state(path: Path, enrolment: Enrolment) -> State:
    """What is remembered for an enrolment: nothing, if that is another one's, or damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["target"] == enrolment.target:
            description = found["description"]
            memory = Memory(description["packages"], found["stamps"], found["trees"])
            return State(description, memory)
    return State()


def save_state(path: Path, enrolment: Enrolment, description: Description, memory: Memory) -> None:
    """Remember what the service has acknowledged."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = {
        "target": enrolment.target,
        "description": description,
        "stamps": memory.stamps,
        "trees": memory.trees,
    }
    write_file(path, json.dumps(data, separators=(",", ":")), 0o600, durable=False)


def write_file(path: Path, text: str, mode: int, group: int = -1, *, durable: bool = True) -> None:
    """Replace a file as a whole; nobody can read it before it has its mode.

    What can be made again need not be ``durable``: to wait for the disk takes time.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}~")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if group >= 0:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
