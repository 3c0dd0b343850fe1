"""What `python -m bench.engines` writes into docs/engines.md, for figures that are given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.engines import BEGIN, DOCUMENT, END, render

ABOUT = {"there": True, "reason": None, "shares_kernel": True, "title": "our own"}


def data(builds: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "about": [["kernel", "Linux 6.18"]],
        "root": "seed debian",
        "engines": [
            ABOUT | {"name": "native"},
            ABOUT | {"name": "vm", "there": False, "reason": "no vm", "shares_kernel": False},
        ],
        "probed": [
            {
                "engine": "native",
                "answers": [{"question": "sys", "said": "hidden", "detail": ""}],
                "costs": {"start": 0.005, "file": 5e-5, "process": 8e-4},
                "error": None,
            }
        ],
        "machine": "mini",
        "builds": builds,
    }


def test_builds_are_compared_with_the_first() -> None:
    same = {"seconds": 20.0, "layers": {"a/b-1": "x"}}
    other = {"seconds": 30.0, "layers": {"a/b-1": "y"}}
    failed = {"engine": "vm", "error": "no room"}
    text = "\n".join(
        render(data([{"engine": "native", **same}, {"engine": "odd", **other}, failed]))
    )
    assert "The machine `mini` (1 packages)" in text
    assert "| `native` | 20.0 s | 1.00 | all equal |" in text
    assert "| `odd` | 30.0 s | 1.50 | **differ** |" in text
    assert "| `vm` | failed: no room | | |" in text


def test_engines_are_listed_with_why_one_is_not_there() -> None:
    text = "\n".join(render(data([])))
    assert "| `native` | our own | yes | the host's |" in text
    assert "| `vm` | our own | no: no vm | its own |" in text
    assert "| kernel | Linux 6.18 |" in text
    assert "The machine" not in text


def test_the_document_has_its_marks_once() -> None:
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.index(BEGIN) < text.index(END)
