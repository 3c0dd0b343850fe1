"""The live display on a terminal: a pseudo-terminal, with an emulator that reads the other end."""

import io
import os
import pty
import signal
import struct
import termios
import threading
import time
from fcntl import ioctl

import pyte
import pytest
from replay import many

from cloche.cli import build as command
from cloche.display import live as live_module
from cloche.display.live import Live, capable
from cloche.display.plain import Plain
from cloche.records import events

NAMES = ("c/first-1::gentoo", "c/second-1::gentoo", "c/third-1::gentoo")
PLAN = events.Planned(
    machine="m", packages=NAMES, edges={NAMES[1]: (NAMES[0],), NAMES[2]: (NAMES[1],)}
)


class Terminal:
    """A pseudo-terminal: Live on the one side, pyte on the other."""

    def __init__(self, monkeypatch, columns=80, rows=24):
        self.master, slave = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.slave = os.fdopen(slave, "w", encoding="utf-8")
        self.resize(columns, rows)
        self.before = termios.tcgetattr(slave)
        monkeypatch.setattr("sys.stdin", self.slave)
        self.raw = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.live = Live(self.slave, {"TERM": "xterm", "NO_COLOR": "1"})

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.raw += data
            self.stream.feed(data)

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, text):
        os.write(self.master, text.encode())

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait(self, *words, without=()):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if all(w in self.text for w in words) and not any(w in self.text for w in without):
                return
            time.sleep(0.02)
        pytest.fail(f"{words} without {without} never came; this did:\n{self.text}")


@pytest.fixture
def terminal(monkeypatch):
    made = Terminal(monkeypatch)
    yield made
    made.live.close()
    made.slave.close()
    os.close(made.master)
    made.reader.join(1)


def start(terminal, log=None):
    terminal.live(PLAN)
    terminal.live(events.Done(package=NAMES[0], how="built", seconds=3.0))
    terminal.live(events.Started(package=NAMES[1], step="build", log=log))
    terminal.live(events.Phase(package=NAMES[1], phase="compile", state="start"))
    terminal.wait("▶ c/second-1  compile", "○ c/third-1  waits for 1")


def test_it_draws_and_gives_the_terminal_back(terminal):
    start(terminal)
    assert not termios.tcgetattr(terminal.slave)[3] & termios.ICANON
    assert terminal.screen.cursor.hidden
    terminal.live(events.Done(package=NAMES[1], how="built", seconds=61.0))
    terminal.live(events.Finished(built=2, reused=0, failed=0, skipped=0, seconds=70.0))
    terminal.live.close()
    terminal.wait("2 built, 0 reused in 70.0 s", without=["so far", "third"])
    assert termios.tcgetattr(terminal.slave) == terminal.before
    assert not terminal.screen.cursor.hidden
    lines = [line for line in terminal.text.splitlines() if line]
    assert lines[1:3] == ["● [1/3] c/first-1  3.0 s", "● [2/3] c/second-1  61.0 s"]


def test_nothing_is_written_while_nothing_changes(terminal):
    start(terminal)
    terminal.press("f")
    terminal.wait("frozen")
    time.sleep(0.3)
    before = len(terminal.raw)
    time.sleep(1.2)
    assert len(terminal.raw) == before


def test_only_what_changed_is_written(terminal):
    start(terminal)
    time.sleep(0.3)
    before = len(terminal.raw)
    # A frame that comes late is followed by one a moment later, in which no row's time goes on.
    deadline = time.monotonic() + 10
    while b"compile" not in terminal.raw[before:]:
        assert time.monotonic() < deadline, terminal.raw[before:]
        time.sleep(0.05)
    assert b"first" not in terminal.raw[before:]


def test_a_log_is_opened_followed_and_left(terminal, tmp_path):
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    start(terminal, str(log))
    terminal.press("\x1b[B\r")
    terminal.wait("c/second-1  build log", "two")
    with log.open("a") as file:
        file.write("three\x1b[2J\n")
    terminal.wait("three")
    terminal.press("\x1b")
    terminal.wait("▶ c/second-1", without=["three"])


def test_a_package_is_stopped(terminal):
    stopped = []
    terminal.live.attach(stopped.append)
    start(terminal)
    terminal.press("j")
    terminal.wait("»")
    terminal.press("s")
    terminal.wait("stop c/second-1?")
    terminal.press("y")
    terminal.wait("so far", without=["stop c/second-1?"])
    assert stopped == [NAMES[1]]


def test_stopping_all_is_an_interrupt(terminal):
    start(terminal)
    terminal.press("S")
    terminal.wait("stop the whole build?")

    def agree():
        terminal.press("y")
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        agree()


def test_a_suspended_build_leaves_a_usable_terminal(terminal, monkeypatch):
    seen = []

    def stopped(_group, number):
        time.sleep(0.2)
        seen.append((number, termios.tcgetattr(terminal.slave), terminal.screen.cursor.hidden))

    monkeypatch.setattr(os, "killpg", stopped)
    start(terminal)
    terminal.press("\x1a")
    deadline = time.monotonic() + 5
    while not seen and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen == [(signal.SIGTSTP, terminal.before, False)]
    terminal.wait("▶ c/second-1  compile")
    assert terminal.screen.cursor.hidden


def test_a_host_that_gives_no_time_leaves_one_picture(terminal, monkeypatch):
    monkeypatch.setattr(live_module, "GAP", 0.0)
    start(terminal)
    time.sleep(0.5)
    assert terminal.text.count("so far") == 1


def test_after_a_shell_had_the_terminal_it_is_drawn_below_what_that_wrote(terminal, monkeypatch):
    monkeypatch.setattr(live_module, "GAP", 0.0)
    start(terminal)
    terminal.slave.write("\r\n[1]+  Stopped\r\n$ fg\r\n")
    terminal.slave.flush()
    termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.before)
    deadline = time.monotonic() + 5
    while termios.tcgetattr(terminal.slave)[3] & termios.ICANON and time.monotonic() < deadline:
        time.sleep(0.02)
    terminal.wait("$ fg")
    time.sleep(0.3)
    _, _, after = terminal.text.partition("$ fg")
    assert after.count("so far") == 1
    assert "▶ c/second-1  compile" in after


def test_while_frozen_lines_are_held_back(terminal):
    start(terminal)
    terminal.press("f")
    terminal.wait("frozen")
    terminal.live(events.Note(text="a word"))
    time.sleep(0.4)
    assert "a word" not in terminal.text
    terminal.press("f")
    terminal.wait("a word", without=["frozen"])


def test_it_follows_a_resize(terminal):
    for event in many():
        terminal.live(event)
    terminal.wait("30 running")
    terminal.resize(60, 40)
    terminal.live(events.Note(text="now"))
    terminal.wait("now", "so far")
    time.sleep(0.3)
    assert terminal.text.count("so far") == 1


def test_when_drawing_fails_the_terminal_is_given_back_and_lines_still_come(terminal, monkeypatch):
    start(terminal)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(live_module, "render", lambda *_: 1 / 0)
    terminal.live(events.Note(text="a word"))
    terminal.wait("a word")
    terminal.live._thread.join(5)
    terminal.live(events.Note(text="another"))
    terminal.wait("another")
    assert termios.tcgetattr(terminal.slave) == terminal.before


def test_a_dumb_terminal_or_a_pipe_gets_lines(monkeypatch, terminal):
    assert capable(terminal.slave, {"TERM": "xterm"})
    assert not capable(terminal.slave, {"TERM": "dumb"})
    assert not capable(terminal.slave, {})
    assert not capable(io.StringIO(), {"TERM": "xterm"})
    monkeypatch.setattr("sys.stderr", terminal.slave)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(command.opened_display("auto", verbose=False), Plain)
    assert isinstance(command.opened_display("live", verbose=False), Plain)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(command.opened_display("auto", verbose=False), Live)
    assert isinstance(command.opened_display("live", verbose=False), Live)
    assert isinstance(command.opened_display("plain", verbose=False), Plain)
