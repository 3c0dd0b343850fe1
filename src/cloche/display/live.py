"""The live picture on a terminal: events in, frames out, keys heard, in one thread of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TextIO

from cloche.display.controls import Answer, press
from cloche.display.estimate import time_left
from cloche.display.follow import Follower
from cloche.display.frame import Size, View, render
from cloche.display.keys import SUSPEND, Keyboard
from cloche.display.screen import HIDE, SHOW, Region
from cloche.display.scrolled import passing
from cloche.display.state import State, fold
from cloche.display.theme import theme_for
from cloche.records import events

TICK = 0.2  # seconds between frames; a key is answered at once
ESTIMATE = 5.0  # seconds between estimates
GAP = 3.0  # seconds without a frame after which it is asked whether the screen is still ours
LOG_LINES = 2000
ROWS_OF_A_LINE = 4  # that goes by: reasons are to be read, endless lines of logs are not


def capable(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a live picture can be drawn there."""
    return stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "", "unknown")


def _input() -> int:
    return sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1


class Live:
    """A sink that draws. `attach` tells how to stop a package; `close` gives the terminal back."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] | None = None) -> None:
        self._stream = stream
        self._theme = theme_for(stream.encoding, environment or os.environ)
        self._stop: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        self._state = State()
        self._news: list[events.Event] = []
        self._above: list[str] = []
        self._view = View()
        self._held: tuple[State, float] | None = None
        self._estimated: tuple[float, float | None] | None = None  # when, and when all will be over
        self._drawn: object = None
        self._last = 0.0
        self._away = False
        self._region = Region()
        self._follower = Follower(LOG_LINES)
        self._keyboard = Keyboard(_input())
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    def attach(self, stop: Callable[[str], None]) -> None:
        """Say how one package is stopped."""
        self._stop = stop

    def __call__(self, event: events.Event) -> None:
        """Take an event; the picture follows within a fifth of a second."""
        with self._lock:
            self._news.append(event)
        if self._thread.ident is None:
            self._thread.start()  # not before: without threads an engine is opened more quickly
        elif not self._thread.is_alive():  # a picture that broke must not take the lines with it
            self._restore()

    def close(self) -> None:
        """Leave what is to stay, and the terminal as it was."""
        self._end.set()
        try:
            if self._thread.ident is not None:
                self._thread.join()
        finally:  # a second Ctrl-C while we wait
            self._restore()

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                self._tick()
        finally:
            self._restore()

    def _tick(self) -> None:
        began = time.monotonic()
        if not self._foreground():
            self._keyboard.close()
            self._away = True
            self._end.wait(TICK)
            return
        # A busy host gives us no time for seconds, too: then the screen is as we left it.
        stopped = self._last and began - self._last > GAP and self._keyboard.disturbed
        if self._away or stopped:
            self._away, self._drawn = False, None
            self._keyboard.close()
            self._region.forget()
        self._keyboard.open()
        self._draw()
        self._last = began
        for key in self._heard(TICK):
            self._press(key)

    def _heard(self, seconds: float) -> list[str]:
        if not self._keyboard.ours:
            self._end.wait(seconds)
            return []
        began = time.monotonic()
        keys = self._keyboard.read(seconds)
        rest = seconds - (time.monotonic() - began)
        if not keys and rest > 0:
            self._end.wait(rest)  # half a sequence came; the frames keep their pace
        return keys

    def _take_news(self, size: Size) -> None:
        """Fold the events that came, all at once; the caller holds the lock."""
        news, self._news = self._news, []
        width = ROWS_OF_A_LINE * size.columns - 1
        for event in news:
            self._state = fold(self._state, event)
            lines = passing(event, self._state, self._theme)
            self._above.extend(self._theme.draw(line, width) for line in lines)

    def _suspend(self) -> None:
        """What Ctrl-Z does elsewhere, with the terminal given back before."""
        self._keyboard.close()
        self._write(self._region.clear(self._size().columns) + SHOW)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        self._drawn = None

    def _press(self, key: str) -> None:
        if key == SUSPEND:
            self._suspend()
            return
        state = self._held[0] if self._held else self._state
        answer: Answer = press(key, self._view, state, self._size())
        self._view = answer.view
        if self._view.frozen != (self._held is not None):
            self._held = (self._state, time.time()) if self._view.frozen else None
        if answer.wish == "stop" and answer.package and self._stop:
            self._stop(answer.package)
        elif answer.wish == "stop all":
            main = threading.main_thread().ident
            if main is not None:
                signal.pthread_kill(main, signal.SIGINT)

    def _draw(self) -> None:
        """Write what differs from the last frame, all of it in one go."""
        size = self._size()
        with self._lock:
            self._take_news(size)
            state, above = self._state, [] if self._held else list(self._above)
        now = time.time()
        if self._held:
            state, now = self._held
        view = self._view = self._looked(state, now)
        wanted = (state, size, int(now), view)
        if wanted == self._drawn and not above:
            return
        fresh = self._drawn is None
        self._drawn = wanted
        lines = render(state, size, self._theme, now, view)
        text = self._region.update(lines, size.columns, above, size.rows)
        if text:
            self._write((HIDE if fresh else "") + text)
        with self._lock:
            del self._above[: len(above)]

    def _looked(self, state: State, now: float) -> View:
        """The view with what the clock, the host and the chosen log say."""
        if self._held is None and (
            self._estimated is None or abs(now - self._estimated[0]) >= ESTIMATE
        ):
            left = time_left(state, now)
            self._estimated = (now, None if left is None else now + left)
            self._view = replace(self._view, load=os.getloadavg()[0])
        over = self._estimated[1] if self._estimated else None
        left = None if over is None else float(max(0, int(over - now)))
        view = self._view
        if (view.left, view.keys) != (left, self._keyboard.ours):
            view = replace(view, left=left, keys=self._keyboard.ours)
        if view.mode == "log" and view.chosen and not view.frozen:
            node = state.node(view.chosen)
            log = self._follower.look(node.log if node else None)
            if view.back:  # what is being read stays where it is while the log grows
                grown = max(0, len(log) - len(view.log))
                view = replace(view, back=view.back + grown)
            view = replace(view, log=log)
        return view

    def _foreground(self) -> bool:
        """Whether the terminal is ours now: a job in the background must not draw or read keys."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except OSError:
            return True

    def _size(self) -> Size:
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except OSError:
            columns, rows = 80, 24
        return Size(columns or 80, rows or 24)

    def _restore(self) -> None:
        """Erase the picture, say what has not been said, and give the terminal back."""
        size = self._size()
        with self._lock:
            self._take_news(size)
            above, self._above = self._above, []
            text = self._region.clear(size.columns)
            text += "".join(f"{line}\r\n" for line in above)
            if self._drawn is not None:
                text += SHOW
                self._drawn = None
            self._write(text)
            self._keyboard.close()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, termios.error):
            self._stream.write(text)
            self._stream.flush()
