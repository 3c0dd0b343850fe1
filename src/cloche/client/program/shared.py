"""What commands share: the enrolment, the service, results."""

from __future__ import annotations

import argparse
import json
from typing import Any

from cloche.client.program.enrolment import Enrolment, load_enrolment
from cloche.client.program.problem import PROGRAM, Problem
from cloche.client.program.service import Service
from cloche.client.program.text import shown, warn


def enrolled(options: argparse.Namespace) -> Enrolment:
    """The enrolment. Raises Problem if there is none."""
    found = load_enrolment(options.config)
    if found is None:
        what = "this machine is not enrolled with a service"
        raise Problem(what, f"{PROGRAM} enrol --server URL", status=2)
    return found


def service_of(enrolment: Enrolment) -> Service:
    """The service of an enrolment."""
    return Service(enrolment.server, enrolment.token, enrolment.ca, enrolment.target)


def notes_of(found: Any) -> list[str]:
    """The notes for the user in an answer."""
    notes = found.get("notes") if isinstance(found, dict) else None
    return [str(note) for note in notes or ()]


def answer(options: argparse.Namespace, data: Any, text: str, *, status: int = 0) -> int:
    """Write the result of a command: as JSON if that is asked for."""
    if options.json:
        print(json.dumps(data, indent=1))
    else:
        warn(data.get("notes") or ())
        if text:
            print("\n".join(shown(line) for line in text.split("\n")))
    return status
