"""Diagnoses a failed log: which file was missing, and which known package owns it.

In a build's root an undeclared dependency is a missing file. The messages of common tools are
recognised, and the file is looked up in the layers of the machine's other packages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.composing.footprint import contents, entries

EITHER = "DEPEND or BDEPEND"


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a tool did not find: its name, and path endings that match it.

    ``declared`` is where an ebuild declares it if DEPEND and BDEPEND are in different roots.
    """

    what: str
    endings: tuple[str, ...]
    declared: str = EITHER


def _header(name: str) -> Missing:
    return Missing(f"header {name}", (f"/include/{name}",), "DEPEND")


def _library(name: str) -> Missing:
    endings = tuple(f"/lib{name}{end}" for end in (".so", ".a"))
    return Missing(f"library -l{name}", endings, "DEPEND")


def _pkgconfig(name: str) -> Missing:
    return Missing(f"pkg-config module {name}", (f"/pkgconfig/{name}.pc",), "DEPEND")


def _command(name: str) -> Missing:
    name = PurePosixPath(name).name
    return Missing(f"command {name}", tuple(f"/{d}/{name}" for d in ("bin", "sbin")), "BDEPEND")


#: Ends of the directories in Python's module search path.
_PLACES = ("/site-packages", "/dist-packages", *(f"/python3.{minor}" for minor in range(9, 20)))


def _module(name: str) -> Missing:
    paths = [f"{place}/{name.replace('.', '/')}" for place in _PLACES]
    ends = tuple(f"{path}{end}" for path in paths for end in (".py", "/__init__.py"))
    return Missing(f"Python module {name}", ends, "BDEPEND")


def _shared(name: str) -> Missing:
    return Missing(f"shared library {name}", (f"/{name}",))


_WORD = r"[\w.+/-]+"
PATTERNS: tuple[tuple[re.Pattern[str], Callable[[str], Missing]], ...] = (
    (re.compile(rf"fatal error: ({_WORD}): No such file or directory"), _header),
    (re.compile(rf"cannot find -l({_WORD})"), _library),
    (re.compile(rf"Package '?({_WORD})'?,? (?:required by .* )?(?:was )?not found"), _pkgconfig),
    (re.compile(rf"No package '({_WORD})' found"), _pkgconfig),
    (re.compile(rf'Dependency "({_WORD})" not found'), _pkgconfig),
    (re.compile(rf"line \d+: ({_WORD}): command not found"), _command),
    (re.compile(rf"make(?:\[\d+\])?: ({_WORD}): No such file or directory"), _command),
    (re.compile(rf"(?:env|exec): '?({_WORD})'?: (?:No such file|not found)"), _command),
    (re.compile(rf"Program '?({_WORD})'? not found"), _command),
    (re.compile(rf"(?:Error|plugin \S+): No module named '({_WORD})'"), _module),
    (re.compile(rf"python[\d.]*: No module named ({_WORD})"), _module),
    (re.compile(rf"error while loading shared libraries: ({_WORD}): cannot open"), _shared),
    (
        re.compile(rf"^configure: error: .*?\b(?:lib)?({_WORD})\b.* (?:not found|missing)"),
        _pkgconfig,
    ),
)

NETWORK = re.compile(
    r"Temporary failure in name resolution|Could not resolve host|unable to resolve host"
    r"|Network is unreachable|Name or service not known"
)
_KILLED = re.compile(r"^\S+: line \d+: +\d+ Killed |Killed signal terminated program", re.MULTILINE)
_NEWER_C_LIBRARY = re.compile(r"libc\.so\.6: version [`']GLIBC_[\d.]+' not found")
_ACCOUNT = re.compile(
    r"(?:chown|chgrp|install): invalid (?:user|group|spec):? [\u2018'`]([\w.:-]+)"
)
_ACCOUNT_OF_ROOT = re.compile(r"fowners: invalid (?:user|group) in \S+: ([\w.:-]+)")
NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")


def missing_in(log: str) -> tuple[Missing, ...]:
    """Everything that a log reports as missing, each once, in the order of the log."""
    found: dict[str, Missing] = {}
    for line in log.splitlines():
        for pattern, make in PATTERNS:
            if match := pattern.search(line):
                missing = make(match[1])
                found.setdefault(missing.what, missing)
    return tuple(found.values())


def tried_network(log: str) -> bool:
    """True if a tool reports that it could not reach the network."""
    return NETWORK.search(log) is not None


def was_killed(log: str) -> bool:
    """True if a shell or a compiler driver reports that a process got SIGKILL."""
    return _KILLED.search(log) is not None


def needs_newer_c_library(log: str) -> bool:
    """True if the dynamic loader reports that a program was linked with a newer glibc."""
    return _NEWER_C_LIBRARY.search(log) is not None


def unknown_account(log: str) -> tuple[str, bool] | None:
    """The ``USER:GROUP`` that a tool reports as unknown, and whether it asked the new root.

    Portage's fowners does; chown, chgrp and install ask the seed.
    """
    if match := _ACCOUNT_OF_ROOT.search(log):
        return match[1], True
    match = _ACCOUNT.search(log)
    return (match[1], False) if match else None


def no_space(log: str) -> bool:
    """True if a tool reports that the disk is full."""
    return NO_SPACE.search(log) is not None


def installed_files(tree: Path) -> Iterator[tuple[str, str]]:
    """Pairs of (cpv, path) of all files and links in a layer's VDB."""
    for cpv in entries(tree):
        for kind, name in contents(tree, cpv):
            if kind in ("obj", "sym"):
                yield cpv, f"/{name}"


def owners(missing: Missing, layers: Iterable[Path]) -> tuple[str, ...]:
    """Packages (as cpv) in these layers that own a matching file."""
    found = {
        cpv
        for layer in layers
        for cpv, path in installed_files(layer)
        if path.endswith(missing.endings)
    }
    return tuple(sorted(found))
