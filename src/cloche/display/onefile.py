"""HTML pages that are one file each: filling in their parts, and what they may load."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping


def filled(frame: str, parts: Mapping[str, str]) -> str:
    """A page: each ``@@NAME@@`` of its frame is a part, and no part is looked into again."""
    first, *rest = frame.split("@@")  # NAME, text, NAME, text
    return first + "".join(
        parts[piece] if number % 2 == 0 else piece for number, piece in enumerate(rest)
    )


def policy(style: str, script: str = "") -> str:
    """A content security policy: the page's own style and script, and nothing else."""
    scripts = f"script-src 'sha256-{_digest(script)}'; " if script else ""
    return f"default-src 'none'; {scripts}style-src 'sha256-{_digest(style)}'"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
