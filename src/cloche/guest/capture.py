"""Captures the output of Portage and its child processes."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from .failures import plain


class Captured:
    """Captured output; ``text`` is set when the capture ends."""

    text = ""


@contextlib.contextmanager
def captured_output() -> Iterator[Captured]:
    """Capture what Portage and the ebuilds that it sources write to descriptors 1 and 2.

    When the block ends, the output is written to the log.
    """
    captured = Captured()
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            os.close(saved[0])
            os.close(saved[1])
            file.seek(0)
            written = file.read()
            captured.text = plain(written.decode("utf-8", "replace"))
            os.write(2, written)
