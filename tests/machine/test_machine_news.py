"""News items of a repository (GLEP 42), as Portage judges them over a machine that was built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import ROOT, Store, project

OWN = Path(__file__).parent / "projects" / "news"


@pytest.mark.real
def test_news(root_seeded: Store, fresh: Callable[[Store], Store]) -> None:
    """Of three news items one concerns the machine; it is counted and listed until it is read."""
    store = fresh(root_seeded)
    place = project(store, ROOT / "tests/cases/common", "news")
    shutil.copytree(OWN, place, dirs_exist_ok=True)

    def told(*arguments: str) -> str:
        return store.cloche("-C", place, "news", "case", *arguments, check=True).stdout

    def built() -> str:
        return store.cloche("-C", place, "build", "case", "--progress", "plain", check=True).stderr

    assert "1 unread news item for this machine: `cloche news case`" in built()
    assert told() == "N  2026-01-05  2026-01-05-subject  The subject changes\n"
    (found,) = json.loads(told("--json"))
    assert (found["repository"], found["read"]) == ("local", False)
    wrong = store.cloche("-C", place, "news", "case", "2026-01-06-absent")
    assert wrong.returncode == 2
    assert "there is: 2026-01-05-subject" in wrong.stderr
    assert told("2026-01-05-subject").endswith("\n\nRead its manual first.\n")
    assert told() == ""
    assert told("--all") == "   2026-01-05  2026-01-05-subject  The subject changes\n"
    assert "news item" not in built()
