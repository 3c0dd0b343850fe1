"""A real terminal: a window of tmux that tests read and type into, as a person does."""

from __future__ import annotations

import subprocess
import time

import pytest


class Tmux:
    """One window of a tmux server of its own."""

    def __init__(self, socket: str, columns: int, rows: int, command: str) -> None:
        self._tmux = ("tmux", "-f", "/dev/null", "-S", socket)
        self._run("new-session", "-d", "-x", str(columns), "-y", str(rows), command)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def keys(self, *names: str) -> None:
        self._run("send-keys", *names)

    @property
    def text(self) -> str:
        return self._run("capture-pane", "-p")

    def wait(self, *words: str, without: str = "\0", seconds: float = 120) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = self.text
            if all(word in text for word in words) and without not in text:
                return text
            time.sleep(0.1)
        pytest.fail(
            f"{words} did not appear (or {without!r} stayed); the window shows:\n{self.text}"
        )

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
