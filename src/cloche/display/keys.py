"""The keyboard: single keys without Enter, as names."""

from __future__ import annotations

import contextlib
import os
import select
import termios
from typing import Any

SUSPEND = "\x1a"  # Ctrl-Z: a key like others, so that the terminal can be given back first

_SEQUENCES = {
    "[A": "up", "OA": "up", "[B": "down", "OB": "down",
    "[5~": "pageup", "[6~": "pagedown",
    "[H": "home", "OH": "home", "[1~": "home", "[F": "end", "OF": "end", "[4~": "end",
}  # fmt: skip
_PLAIN = {"\r": "enter", "\n": "enter", "k": "up", "j": "down", " ": "pagedown"}


def parse(text: str) -> tuple[list[str], str]:
    """Names of the keys in what was typed, and a rest that may begin a longer sequence."""
    keys = []
    while text:
        if text[0] != "\x1b":
            keys.append(_PLAIN.get(text[0], text[0]))
            text = text[1:]
            continue
        if len(text) == 1 or text in ("\x1b[", "\x1bO"):
            return keys, text
        if text[1] not in "[O":
            keys.append("escape")
            text = text[1:]
            continue
        end = 2
        while end < len(text) and not "@" <= text[end] <= "~":
            end += 1
        if end == len(text):
            return keys, text
        if key := _SEQUENCES.get(text[1 : end + 1]):
            keys.append(key)
        text = text[end + 1 :]
    return keys, ""


class Keyboard:
    """A terminal's input in the mode that gives single keys; Ctrl-C stays an interrupt.

    A descriptor below 0, or one that is not a terminal, gives no keys.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None
        self._rest = ""

    def open(self) -> None:
        """Take the terminal: no echo, no lines. Does nothing where there is none."""
        if self._saved is not None or self._fd < 0:
            return
        with contextlib.suppress(termios.error, OSError):
            saved = termios.tcgetattr(self._fd)
            mode = list(saved)
            mode[3] &= ~(termios.ECHO | termios.ICANON)
            mode[6] = [*saved[6]]
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            mode[6][termios.VSUSP] = b"\0"
            termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
            self._saved = saved

    def close(self) -> None:
        """Give the terminal back as it was. Harmless when it was not taken."""
        if self._saved is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    @property
    def ours(self) -> bool:
        """True when keys can be read."""
        return self._saved is not None

    @property
    def disturbed(self) -> bool:
        """Whether a shell has had the terminal in between, as far as it shows."""
        try:
            return self._saved is not None and bool(termios.tcgetattr(self._fd)[3] & termios.ICANON)
        except (termios.error, OSError):
            return True

    def read(self, timeout: float) -> list[str]:
        """Keys pressed within ``timeout`` seconds; returns with the first."""
        if not select.select([self._fd], [], [], timeout)[0]:
            keys, self._rest = (["escape"] if self._rest == "\x1b" else []), ""
            return keys
        try:
            data = os.read(self._fd, 256)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self.close()
            return []
        keys, self._rest = parse(self._rest + data.decode(errors="replace"))
        return keys
