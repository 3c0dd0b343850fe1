"""HTML pages that are one file each: their parts are filled in, and nothing else is loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files


def page(
    body: str, parts: Mapping[str, str], styles: Sequence[str], scripts: Sequence[str] = ()
) -> str:
    """A page: the head of all pages and ``body``, each ``@@NAME@@`` replaced by its part.

    ``body``, ``styles`` and ``scripts`` are files of `page`. A content security policy allows the
    page its own style and script only. Parts are not searched for names.
    """
    style, script = _assets(*styles), _assets(*scripts)
    shared = {"POLICY": _policy(style, script), "STYLE": style, "SCRIPT": script}
    first, *rest = _assets("head.html", body).split("@@")  # NAME, text, NAME, text
    filled = {**shared, **parts}
    return first + "".join(
        filled[piece] if number % 2 == 0 else piece for number, piece in enumerate(rest)
    )


def _assets(*names: str) -> str:
    """The text of some files of `page`, joined."""
    assets = files("cloche.display").joinpath("page")
    return "".join(assets.joinpath(name).read_text(encoding="utf-8") for name in names)


def _policy(style: str, script: str) -> str:
    scripts = f"script-src 'sha256-{_digest(script)}'; " if script else ""
    return f"default-src 'none'; {scripts}style-src 'sha256-{_digest(style)}'"


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
