"""The guest's end of the conversation with the host: a request in, events and one result out."""

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

# A root may become a layer afterwards: byte code of the seed's modules has no place there.
sys.dont_write_bytecode = True

REQUEST = Path("/run/cloche/request.json")
OUT = Path("/run/cloche/out")
EVENTS_FD = 3


class Failed(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """The step failed in a way that the host wants to know in fields, not in a traceback."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(str(fields.get("text", "")))
        self.fields = fields


class Channel:
    """One JSON object a line, to a descriptor that no child process inherits."""

    def __init__(self, descriptor: int = EVENTS_FD) -> None:
        # Out of the way of Portage, which gives its children low numbers.
        self._stream = os.fdopen(_move_up(descriptor), "w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()

    def event(self, event: str, **fields: Any) -> None:
        """Write one event."""
        with self._lock:
            self._stream.write(json.dumps({"event": event, **fields}, sort_keys=True) + "\n")
            self._stream.flush()

    def phase(self, phase: str, state: str) -> None:
        """Say that a phase starts or ends now; the start is marked in the log, too."""
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
    """The request, as the host wrote it."""
    request = json.loads(REQUEST.read_text(encoding="utf-8"))
    if not isinstance(request, dict):
        raise TypeError(f"{REQUEST}: not an object")
    return request


def serve(main: Callable[[dict[str, Any], Channel], dict[str, Any]]) -> NoReturn:
    """Run ``main`` on the request and answer with its result, whatever happens in it.

    The exit status is 0 when an answer was given (``ok`` or ``failed`` alike), 1 when the answer
    reports a bug of the guest: then its kind is ``other`` and the log has the traceback.
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
    # Portage leaves an event loop and watchers behind; nothing of them is wanted any more.
    os._exit(status)
