"""What goes wrong, as an answer for the user."""

from __future__ import annotations

from typing import Any

PROGRAM = "cloche-client"
Description = dict[str, Any]


class Problem(Exception):  # noqa: N818 - an answer for the user, not an error of the program
    """What is wrong, and what to do."""

    def __init__(self, what: str, todo: str = "", *, detail: str = "", status: int = 1) -> None:
        super().__init__(what)
        self.what, self.todo, self.detail, self.status = what, todo, detail, status
