"""The command refresh: a description that has changed is sent."""

from __future__ import annotations

import argparse
import contextlib
import gzip
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cloche.client.program.description import change, collect, digest, encode
from cloche.client.program.enrolment import STATE, Enrolment, load_state, save_state
from cloche.client.program.service import Refusal
from cloche.client.program.shared import answer, enrolled, notes_of, service_of


@dataclass(frozen=True)
class Refreshed:
    """What `send_changes` did: ``sent`` is "nothing", "change" or "whole"."""

    sent: str
    size: int
    notes: tuple[str, ...]


def refresh(options: argparse.Namespace) -> int:
    """Tell the service what changed on this machine since the last time."""
    done = send_changes(enrolled(options), whole=options.whole)
    texts = {"nothing": "Nothing changed.", "change": "Sent what changed.", "whole": "Sent all."}
    data = {"sent": done.sent, "bytes": done.size, "notes": list(done.notes)}
    return answer(options, data, texts[done.sent])


def send_changes(enrolment: Enrolment, *, whole: bool) -> Refreshed:
    """Bring the service's description of this machine up to date. Raises Problem."""
    state = load_state(STATE, enrolment)
    collected = collect(state.memory, savedconfig=enrolment.savedconfig)
    service = service_of(enrolment)
    path = f"/api/v1/targets/{quote(enrolment.target)}/description"
    found: Any = {}
    difference: Any = None
    if state.description and not whole:
        difference = change(state.description, collected.description)
        if difference:
            try:
                found = service.call("PATCH", path, difference)
            except Refusal as error:
                if error.code != 409:
                    raise
                difference = None  # the service has another state than was remembered
    if difference is None or (difference and found.get("digest") != digest(collected.description)):
        difference, whole = collected.description, True
        found = service.call("PUT", path, difference)
    with contextlib.suppress(OSError):  # then all is sent the next time
        save_state(STATE, enrolment, collected.description, collected.memory)
    sent = ("whole" if whole else "change") if difference else "nothing"
    size = len(gzip.compress(encode(difference), 6)) if difference else 0
    return Refreshed(sent, size, (*collected.notes, *notes_of(found)))
