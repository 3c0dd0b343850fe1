"""The compile cache of one package: ccache(1) before its compilers, in all phases.

The cache comes as a tarball and leaves as one, so nothing outside of a sandbox reads what ebuilds
have written into it. Wrappers with the names of compilers come first in PATH, from pkg_setup on, as
Portage hands PATH from phase to phase. They set ccache up themselves: variables would be recorded
in the package, and those of make.conf must not count, as they are part of no key.

Objects are found by their preprocessed source. ccache's direct mode is off: it misses a header that
is new in an earlier directory. Paths are not rewritten either, for they show in what is compiled.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from .protocol import OUT

GIVEN = Path("/run/cloche/ccache.tar")
TAKEN = OUT / "ccache.tar"
PLACE = Path("/var/tmp/portage/.cloche-ccache")  # noqa: S108 - a directory of the sandbox

#: Compilers, with a prefix (CHOST-gcc) and a version (gcc-12); c89 and c99 are scripts that run
#: them, gcc-ar and others compile nothing.
_COMPILER = re.compile(
    r"(?!c[89]9)([\w.+-]+-)?(gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(-\d[\d.]*)?", re.ASCII
)
_WRAPPER = """\
#!/bin/bash
unset -v "${{!CCACHE_@}}"
export CCACHE_DIR={directory} CCACHE_CONFIGPATH=/dev/null CCACHE_COMPILERCHECK=string:{compilers}
export CCACHE_NODIRECT=1 CCACHE_NOINODECACHE=1 CCACHE_UMASK=000 CCACHE_MAXSIZE={size}
exec {program} {compiler} "$@"
"""
#: What ccache needs of its directory; temporary files and locks lie elsewhere in it.
_KEPT = re.compile(r"[0-9a-f]/(.+/)?[\w.+-]+|CACHEDIR\.TAG", re.ASCII)


class Cache:
    """A cache in use. ``wanted`` has an identity of the ``compilers``, and the ``size`` allowed."""

    def __init__(self, program: str, wanted: dict[str, Any]) -> None:
        self.program = program
        self.wanted = wanted
        self.directory = PLACE / "cache"
        self.wrappers = PLACE / "bin"

    def open(self, settings: Any) -> None:
        """Unpack the cache, and put wrappers of the compilers in PATH before them."""
        shutil.rmtree(PLACE, ignore_errors=True)
        for each, mode in ((PLACE, 0o755), (self.wrappers, 0o755), (self.directory, 0o777)):
            each.mkdir(parents=True)
            each.chmod(mode)  # phases run as root and as portage
        with contextlib.suppress(OSError, tarfile.TarError):  # a bad cache is not a fault
            unpack(GIVEN, self.directory)
            self._ask("--zero-stats")
        for name, compiler in compilers_in(settings["PATH"]).items():
            wrapper = self.wrappers / name
            words = {**self.wanted, "program": self.program, "compiler": compiler}
            quoted = {word: shlex.quote(str(value)) for word, value in words.items()}
            wrapper.write_text(_WRAPPER.format(directory=self.directory, **quoted))
            wrapper.chmod(0o755)
        settings["PATH"] = f"{self.wrappers}:{settings['PATH']}"

    def close(self, settings: Any) -> None:
        """Take them away again. Pack the cache if something in it is new; the log says its use."""
        settings["PATH"] = settings["PATH"].removeprefix(f"{self.wrappers}:")
        counts = counters(self._ask("--print-stats"))
        hits = counts.get("direct_cache_hit", 0) + counts.get("preprocessed_cache_hit", 0)
        misses = counts.get("cache_miss", 0)
        sys.stdout.write(f"cloche: ccache: {hits} found, {misses} compiled\n")
        if misses:
            pack(self.directory, TAKEN)

    def _ask(self, option: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "CCACHE_DIR": str(self.directory),
            "CCACHE_CONFIGPATH": "/dev/null",
            "CCACHE_UMASK": "000",
        }
        asked = subprocess.run(
            [self.program, option], env=environment, capture_output=True, text=True, check=False
        )
        return asked.stdout


@contextlib.contextmanager
def used(wanted: dict[str, Any] | None, settings: Any) -> Iterator[Cache | None]:
    """Use the cache that a request asks for during a block; None where the root has no ccache."""
    program = shutil.which("ccache", path=settings["PATH"]) if wanted else None
    if wanted is None or program is None:
        yield None
        return
    cache = Cache(program, wanted)
    try:
        cache.open(settings)
        yield cache
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)


def compilers_in(path: str) -> dict[str, str]:
    """The compilers in the directories of a PATH by name, those that come first in it."""
    found: dict[str, str] = {}
    for directory in path.split(":"):
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(directory)):  # noqa: PTH208
                program = os.path.join(directory, name)  # noqa: PTH118 - there are thousands
                if _COMPILER.fullmatch(name) and os.access(program, os.X_OK):
                    found.setdefault(name, program)
    return found


def counters(text: str) -> dict[str, int]:
    """The numbers that ``ccache --print-stats`` gives, by name."""
    pairs = (line.split("\t") for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def pack(directory: Path, tarball: Path) -> None:
    """Write the files of a cache into a tarball."""
    with tarfile.open(tarball, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            if _KEPT.fullmatch(name) and path.is_file() and not path.is_symlink():
                tar.add(path, name, recursive=False)


def unpack(tarball: Path, directory: Path) -> None:
    """Unpack the files of a cache into an empty directory.

    An earlier ebuild may have written the tarball: only regular files with plain names count.
    """
    with tarfile.open(tarball, "r:") as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if not member.isreg() or not _KEPT.fullmatch(member.name) or ".." in parts:
                continue
            target = directory.joinpath(*parts)
            for parent in reversed(target.relative_to(directory).parents[:-1]):
                (directory / parent).mkdir(exist_ok=True)
                (directory / parent).chmod(0o777)
            with contextlib.suppress(FileExistsError), target.open("xb") as file:
                shutil.copyfileobj(tar.extractfile(member), file)  # type: ignore[arg-type]
            os.utime(target, (member.mtime, member.mtime))  # by which ccache knows the oldest
            target.chmod(0o666)
