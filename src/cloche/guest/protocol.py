"""The guest's side of the protocol: reads a request, writes events and one result."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# A root may become a layer, which must not contain byte code of the seed's modules.
sys.dont_write_bytecode = True

REQUEST = Path("/run/cloche/request.json")
OUT = Path("/run/cloche/out")
EVENTS_FD = 3


class Failed(Exception):  # noqa: N818 - an answer, not an error of the guest
    """The step failed; ``fields`` describe the failure for the host."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(str(fields.get("text", "")))
        self.fields = fields


class Channel:
    """Writes one JSON object per line to a descriptor that child processes do not inherit."""

    def __init__(self, descriptor: int = EVENTS_FD) -> None:
        # Portage gives low descriptors to its children, so this one is moved up.
        self._stream = os.fdopen(_move_up(descriptor), "w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def event(self, event: str, **fields: Any) -> None:
        """Write one event."""
        with self._lock:
            self._stream.write(json.dumps({"event": event, **fields}, sort_keys=True) + "\n")
            self._stream.flush()

    def phase(self, phase: str, state: str) -> None:
        """Report that a phase starts or ends now; the start is also marked in the log."""
        if state == "start":
            sys.stdout.write(f"=== cloche: phase {phase}\n")
            sys.stdout.flush()
        self.event("phase", phase=phase, state=state, time=time.time())


def _move_up(descriptor: int) -> int:
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(descriptor)
    return moved


def read_request() -> dict[str, Any]:
    """The request of the host."""
    request = json.loads(REQUEST.read_text(encoding="utf-8"))
    if not isinstance(request, dict):
        raise TypeError(f"{REQUEST}: not an object")
    return request


def serve(main: Callable[[dict[str, Any], Channel], dict[str, Any]]) -> NoReturn:
    """Run ``main`` on the request and answer with its result, even if it fails.

    The exit status is 0 for an ``ok`` or ``failed`` answer, and 1 if the answer reports a bug in
    the guest: then its kind is ``other`` and the log has the traceback.
    """
    channel = Channel()
    status = 0
    try:
        fields = {"status": "ok", **main(read_request(), channel)}
    except Failed as failure:
        fields = {"status": "failed", **failure.fields}
    except KeyboardInterrupt:
        fields = {"status": "failed", "kind": "other", "text": "interrupted"}
        status = 1
    except BaseException as error:  # the host must get an answer
        traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}"
        fields = {
            "status": "failed",
            "kind": "other",
            "text": f"{type(error).__name__}: {error} ({place})",
        }
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    channel.event("result", **fields)
    # End without waiting for Portage's event loop and watchers.
    os._exit(status)
