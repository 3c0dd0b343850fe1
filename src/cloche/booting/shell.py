"""Commands in a guest, typed at its console: nothing in the image has to cooperate.

A login prompt is answered, a shell's prompt is recognised, and a word with a token of this run
shows that a shell answers. It is typed in two parts, so that its echo is not taken for the answer.
Nothing is typed before there is a prompt: a key would stop the menu of a boot loader.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from dataclasses import dataclass

from cloche.booting.console import Console, last_lines
from cloche.booting.errors import BootError
from cloche.errors import Exit

MOST = 700  # characters of a command: busybox's shell takes lines of 1,024

_QUIET = 1.0  # seconds without output after which a prompt is one
_COVERED_FOR = 5.0  # seconds of quiet after which a covered prompt is asked for again
_AGAIN = 15.0  # seconds after which something is typed once more
_LISTEN = 0.5
_KERNEL = re.compile(r"\[ *\d+\.\d+\].*")  # printk writes into the line of a prompt
_LOGIN = re.compile(r"(?:^|\W)login: ?$")
_PASSWORD = re.compile(r"[Pp]assword(?: for \S+)?: ?$")
_PROMPT = re.compile(r"[#$%] ?$")
#: A prompt into whose line something else has written since, such as a service that started.
_COVERED = re.compile(r"^(?:\S{1,40} ){0,2}\S{0,40}[#$] +\S|(?:^|\W)login: +\S", re.MULTILINE)
_ENTER = re.compile(r"press Enter to activate this console\W*$")
_SHOWN = 20  # lines of a console in an error


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in at the console, where it asks."""

    user: str = "root"
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended; None: not within its time."""

    status: int | None
    output: str
    seconds: float


class Shell:
    """A shell at a console. `reach` it before commands are `run`."""

    def __init__(self, console: Console, login: Login) -> None:
        self._console, self._login = console, login
        self._token = secrets.token_hex(8)
        self._number = 0
        self._typed = 0.0
        self._heard = b""

    def reach(self, end: float) -> None:
        """Log in if needed. ``end`` is a monotonic time. Raises `BootError`."""
        while self._answer("ready") not in self._console.recent:
            if self._console.ended:
                raise self._failure("the guest ended before its console had a shell")
            if (left := end - time.monotonic()) <= 0:
                raise self._failure("the console shows neither a login nor a shell")
            if time.monotonic() - self._console.quiet_since >= _QUIET:
                self._respond(_last_line(self._console.recent))
            self._console.listen(min(left, _LISTEN))
        # Without messages of the kernel and an echo, answers stand alone.
        self._type("dmesg -n 1; stty -echo; PS1=; PS2=; unset PROMPT_COMMAND")
        self._console.pass_time(_QUIET)

    def run(self, command: str, end: float) -> Ran:
        """Run a command of one line by ``sh -c``, without input."""
        self._number += 1
        self._console.forget()
        begin, ready = time.monotonic(), self._answer("begin")
        shell = f"sh -c {shlex.quote(command)} </dev/null 2>&1; s=$?; echo"
        self._type(f"{self._echo('begin:')}; {shell}; {self._echo('end:$s:')}")
        found = None
        pattern = re.compile(rf"{re.escape(self._answer('end'))}:(\d+):")
        while found is None and not self._console.ended and (left := end - time.monotonic()) > 0:
            self._console.listen(min(left, _LISTEN))
            found = pattern.search(self._console.recent)
        said = self._console.recent.partition(f"{ready}:")[2]
        output = said.partition(self._answer("end"))[0].strip()
        return Ran(int(found[1]) if found else None, output, time.monotonic() - begin)

    def _respond(self, line: str) -> None:
        """Type what the last line of a quiet console asks for."""
        if _ENTER.search(line):
            self._type("")
        elif _LOGIN.search(line):
            if "Login incorrect" in self._console.recent:
                raise self._failure(f"the console does not let {self._login.user} log in")
            self._type(self._login.user)
        elif _PASSWORD.search(line):
            if self._login.password is None:
                raise self._failure("the console asks for a password")
            self._type(self._login.password)
        elif _PROMPT.search(line):
            self._type(self._echo("ready:"))
        elif self._is_due(time.monotonic()):
            self._type("")

    def _is_due(self, now: float) -> bool:
        """Whether Enter may bring a prompt: one was answered, or there was one that is covered."""
        if self._typed:
            return now - self._typed > _AGAIN
        quiet = now - self._console.quiet_since > _COVERED_FOR
        return quiet and _COVERED.search(self._console.recent) is not None

    def _type(self, line: str) -> None:
        if "Login incorrect" not in self._console.recent:
            self._console.forget()
        self._typed = time.monotonic()
        self._console.quiet_since = self._typed
        self._console.type(line.encode() + b"\n")

    def _answer(self, word: str) -> str:
        return f"CLOCHE:{self._token}:{self._number}:{word}"

    def _echo(self, word: str) -> str:
        return f'echo "CLO""CHE:{self._token}:{self._number}:{word}"'

    def _failure(self, what: str) -> BootError:
        todo = (
            "[test] needs a shell there: Autologin, a root without a password, "
            "or `user` and `password_file` in [test]"
        )
        detail = last_lines(self._console.recent.encode(), _SHOWN)
        return BootError(what, todo=todo, detail=detail, status=Exit.FAILED)


def _last_line(text: str) -> str:
    """The last line that is not the kernel's."""
    lines = (_KERNEL.sub("", line) for line in text.split("\n"))
    return next((line for line in reversed([*lines]) if line.strip()), "")
