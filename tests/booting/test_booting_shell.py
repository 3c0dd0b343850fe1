"""Reaching a shell at a console and running commands there, with real shells on a terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloche.booting.console import Console, last_lines, plain
from cloche.booting.errors import BootError
from cloche.booting.running import Guest
from cloche.booting.shell import Login, Shell

LOGIN = """
echo "[    1.234567] random: crng init done"
printf 'tiny login: '; read -r user
printf 'Password: '; stty -echo; read -r word; stty echo; echo
if [ "$user:$word" = root:glass ]; then
    PS1='tiny # ' exec sh -i
fi
echo 'Login incorrect'; printf 'tiny login: '; read -r user
"""


@contextmanager
def at_console(*words: str) -> Iterator[tuple[Console, io.BytesIO]]:
    """A program on a terminal of its own, as a guest with its console."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    log = io.BytesIO()
    try:
        yield Console(Guest("sh", process, ours, None, Path(os.devnull), Path("/")), log), log
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def soon(seconds: float = 120) -> float:
    return time.monotonic() + seconds


def test_a_login_is_answered_and_commands_are_judged_by_their_status() -> None:
    with at_console("sh", "-c", LOGIN) as (console, log):
        shell = Shell(console, Login("root", "glass"))
        shell.reach(soon())
        assert shell.run("true", soon()).status == 0
        told = shell.run("echo 'a b' \"$((6*7))\"; printf 'no end of line'; exit 3", soon())
        assert (told.status, told.output) == (3, "a b 42\nno end of line")
        assert shell.run("cat", soon()).status == 0  # has no input
        assert shell.run("echo CLOCHE:0:0:end:0:", soon()).output == "CLOCHE:0:0:end:0:"
    assert b"glass" not in log.getvalue()


def test_a_wrong_password_is_said() -> None:
    wrong = pytest.raises(BootError, match="does not let root log in")
    with at_console("sh", "-c", LOGIN) as (console, _), wrong as caught:
        Shell(console, Login("root", "wrong")).reach(soon())
    assert "password_file" in str(caught.value)


def test_a_password_that_is_not_known_is_said() -> None:
    unknown = pytest.raises(BootError, match="asks for a password")
    with at_console("sh", "-c", LOGIN) as (console, _), unknown:
        Shell(console, Login()).reach(soon())


@pytest.mark.parametrize("words", [("sh", "-i"), ("bash", "--norc", "-i")])
def test_a_shell_without_login_is_found(words: tuple[str, ...]) -> None:
    with at_console(*words) as (console, _):
        shell = Shell(console, Login())
        shell.reach(soon())
        assert shell.run("echo $PPID >/dev/null; kill -9 $$", soon()).status == 137


@pytest.mark.parametrize("prompt", ["# ", "tiny ~ # ", "root@tiny:~# ", "sh-5.2$ ", "tiny login: "])
def test_a_prompt_that_a_message_covers_is_asked_for_again(prompt: str) -> None:
    """OpenRC starts services beside the one that gives a console."""
    covered = f"printf '{prompt}'; echo ' * Starting sshd ...'; read -r key; exec sh -i"
    with at_console("sh", "-c", covered) as (console, _):
        shell = Shell(console, Login())
        shell.reach(soon())
        assert shell.run("true", soon()).status == 0


def test_nothing_is_typed_before_there_is_a_prompt() -> None:
    """A key would stop the menu of a boot loader."""
    menu = "printf 'grub> '; if read -r -t 4 key; then echo typed; fi; exec cat"
    nothing = pytest.raises(BootError, match="neither a login nor a shell")
    with at_console("bash", "-c", menu) as (console, log), nothing:
        Shell(console, Login()).reach(soon(6))
    assert b"grub> " in log.getvalue()
    assert b"typed" not in log.getvalue()


def test_a_guest_that_ends_is_noticed() -> None:
    over = pytest.raises(BootError, match="ended before its console had a shell")
    with at_console("sh", "-c", "echo Kernel panic") as (console, _), over as caught:
        Shell(console, Login()).reach(soon())
    assert "Kernel panic" in str(caught.value.detail)


def test_a_command_that_hangs_ends_with_its_time() -> None:
    with at_console("sh", "-i") as (console, _):
        shell = Shell(console, Login())
        shell.reach(soon())
        assert shell.run("sleep 600", soon(1)).status is None


def test_control_sequences_are_no_text() -> None:
    assert plain(b"\x1b[1;32mgood\x1b[0m\r\n\x1b]0;title\x07x\x08\x1b[?2004h$ ") == "good\nx$ "
    assert last_lines(b"a\r\n\r\nb\r\nc\r\n", 2) == "b\nc"
