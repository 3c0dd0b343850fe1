"""Compiles one preprocessed source for another host: distcc's protocol 1 on descriptors 0 and 1.

distccd itself looks only once a second whether a compiler has ended, if it does not listen itself.
The caller is not trusted: all this runs in a sandbox that ends with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

LONGEST = 1 << 20  # bytes of a word
MOST = 1 << 14  # words
#: Which file a source becomes when it is preprocessed.
PREPROCESSED = {
    ".c": ".i", ".i": ".i", ".s": ".s", ".S": ".s", ".m": ".mi", ".mi": ".mi",
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".cp", ".c++", ".C", ".CPP", ".ii"), ".ii"),
    **dict.fromkeys((".mm", ".M", ".mii"), ".mii"),
}  # fmt: skip


class WrongRequestError(Exception):
    """It is not a request of distcc, or one that cannot be carried out."""


def number(stream: BinaryIO, name: bytes) -> int:
    """The number that comes with a name. Raises WrongRequestError."""
    token = stream.read(12)
    try:
        if len(token) != 12 or token[:4] != name:
            raise ValueError
        return int(token[4:].decode("ascii"), 16)
    except ValueError:
        raise WrongRequestError(f"{name.decode()} is missing") from None


def content(stream: BinaryIO, name: bytes, most: int) -> bytes:
    """The bytes that come with a name. Raises WrongRequestError."""
    length = number(stream, name)
    found = stream.read(length) if 0 <= length <= most else b""
    if len(found) != length:
        raise WrongRequestError(f"{name.decode()} is cut off")
    return found


def command_of(words: list[str], room: Path) -> tuple[list[str], Path, Path]:
    """The command to run, its source and its object: in ``room`` instead of the caller's places.

    Raises WrongRequestError.
    """
    made, source, output = [*words], None, None
    for place, word in enumerate(words[1:], 1):
        if words[place - 1] == "-o":
            output = made[place] = str(room / "object.o")
        elif not word.startswith("-") and (end := PREPROCESSED.get(os.path.splitext(word)[1])):  # noqa: PTH122
            if source is not None:
                raise WrongRequestError("two sources")
            source = made[place] = str(room / f"source{end}")
    if source is None or output is None:
        raise WrongRequestError("no source, or no object")
    return made, Path(source), Path(output)


def main() -> None:
    """Answer one request. Raises WrongRequestError."""
    given, taken = sys.stdin.buffer, sys.stdout.buffer
    if number(given, b"DIST") != 1:
        raise WrongRequestError("another protocol")
    count = number(given, b"ARGC")
    if not 0 < count <= MOST:
        raise WrongRequestError("too many words")
    words = [os.fsdecode(content(given, b"ARGV", LONGEST)) for _ in range(count)]
    room = Path("/tmp")  # noqa: S108 - the sandbox's own
    command, source, output = command_of(words, room)
    source.write_bytes(content(given, b"DOTI", sys.maxsize))
    status, said, out = ran(command, room)
    compiled = output.read_bytes() if status == 0 and output.is_file() else b""
    taken.write(b"DONE%08xSTAT%08x" % (1, status))
    for name, data in ((b"SERR", said), (b"SOUT", out), (b"DOTO", compiled)):
        taken.write(b"%s%08x" % (name, len(data)))
        taken.write(data)
    taken.flush()


def ran(command: list[str], room: Path) -> tuple[int, bytes, bytes]:
    """Run a command: its status as wait(2) has it, standard error, standard output."""
    try:
        done = subprocess.run(
            command, cwd=room, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except (OSError, ValueError) as error:
        return 110 << 8, f"{command[0]}: {error}\n".encode(errors="replace"), b""
    status = -done.returncode if done.returncode < 0 else done.returncode << 8
    return status, done.stderr, done.stdout


if __name__ == "__main__":
    main()
