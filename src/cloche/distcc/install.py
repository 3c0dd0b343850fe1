"""The wrapper `cloche-distcc` (``wrapper.c``): compiled, and put where distcc is called.

It is C: a compile would otherwise wait for an interpreter, and a script cannot pass signals on and
hold messages at the same time.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cloche.distcc.errors import in_the_way, no_compiler
from cloche.errors import unwritable

NAME = "cloche-distcc"
#: The names by which compilers are called, besides those with a CHOST before them.
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++")
_MASQUERADED = frozenset({"distcc", NAME})


def source() -> str:
    """The wrapper in C."""
    return Path(__file__).with_name("wrapper.c").read_text("utf-8")


def compilers(search: str | None = None) -> tuple[str, ...]:
    """Names of the compilers that PATH (or ``search``) has, with the CHOST of gcc, too."""
    chost = ""
    if gcc := shutil.which("gcc", path=search):
        done = subprocess.run([gcc, "-dumpmachine"], capture_output=True, text=True, check=False)
        chost = done.stdout.strip()
    names = [*COMPILERS, *(f"{chost}-{name}" for name in COMPILERS if chost)]
    return tuple(name for name in names if shutil.which(name, path=search))


def install(place: Path, links: Sequence[str] = (), cc: str = "cc") -> tuple[Path, ...]:
    """Compile the wrapper into a directory, with a link to it for each name in ``links``.

    What is there stays unless it is the wrapper or a link to it or to distcc. Everything is checked
    before anything is written. Returns the files. Raises DistccError, ClocheError.
    """
    program = place / NAME
    linked = [place / name for name in links]
    try:
        for path in linked:
            if not _replaceable(path):
                raise in_the_way(path)
        if program.is_symlink() or (program.exists() and not program.is_file()):
            raise in_the_way(program)
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=f".{NAME}.") as room:
            made = _compiled(Path(room), cc)
            made.replace(program)
            for path in linked:
                new = Path(room, path.name)
                new.symlink_to(NAME)
                new.replace(path)
    except OSError as error:
        raise unwritable(place, error, "name a directory in which you can write") from error
    return (program, *linked)


def _replaceable(path: Path) -> bool:
    """Whether a link of ours may take this place."""
    if path.is_symlink():
        return path.readlink().name in _MASQUERADED
    return not path.exists()


def _compiled(room: Path, cc: str) -> Path:
    """The program. Raises DistccError."""
    made = room / "program"
    words = [cc, "-O2", "-Wl,-s", "-o", str(made), "-x", "c", "-"]
    try:
        done = subprocess.run(words, input=source(), capture_output=True, text=True, check=False)
    except (FileNotFoundError, PermissionError):
        raise no_compiler(cc) from None
    if done.returncode != 0:
        raise no_compiler(cc, done.stderr or f"status {done.returncode}")
    made.chmod(0o755)
    return made
