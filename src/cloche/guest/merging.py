"""Runs the real emerge of a freshroot; overwritten files that no package owns are one line."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

if not __package__:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from . import unowned

#: Where Gentoo has a program's script for one version of Python; what is in PATH looks it up.
EXEC = "../lib/python-exec/python{0.major}.{0.minor}"


def script_of(program: str) -> str | None:
    """The script in Python behind a program; None if it is something else."""
    above, name = os.path.split(program)
    for path in (Path(above, EXEC.format(sys.version_info), name), Path(program)):
        if path.is_file():
            with path.open("rb") as file:
                first = file.readline(200)
            if first.startswith(b"#!") and b"python" in first:
                return str(path)
    return None


def main(program: str, arguments: list[str]) -> None:
    """Become the program, as if it had been started itself."""
    script = script_of(program)
    if script is None:
        os.execv(program, [program, *arguments])  # noqa: S606 - what the user asked for
    import portage

    portage._internal_caller = True
    unowned.spare(tell=True)
    sys.argv = [program, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
