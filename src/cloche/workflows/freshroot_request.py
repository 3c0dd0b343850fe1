"""What a freshroot's `emerge` asks for, decoded strictly: it comes from inside of a sandbox. Pure.

Names become parts of paths and words of Portage's configuration, so each has its pattern.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from cloche.config.fragments import KNOWN, REFUSED
from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError, Exit
from cloche.plan.depgraph import Cpv, Depgraph, Name, Package, RelativePath
from cloche.plan.names import cp_of

LONGEST: Final = 16 << 20  # bytes of a request
LONGEST_OTHER: Final = 4096  # bytes of any other message
HEAD: Final = 5
WIDEST: Final = 10_000  # columns or rows of a terminal
_LONGEST_NAME = 1000  # characters, below /etc/portage
_MOST = 20_000  # packages
#: Modules and sets.conf name code for Portage's own process.
_LEFT = frozenset({"modules", "sets.conf", "mirrors", "color.map"})
_PINS = "zz-freshroot"
_AGAIN = "leave the freshroot and open a new one: the repositories may have changed"
_HELD = "name it to emerge as well, or remove what changes it from /etc/portage"

#: Variables whose words are added to those of make.conf (make.conf(5), INCREMENTALS).
_ADDED = frozenset({"USE", "ACCEPT_KEYWORDS", "ACCEPT_LICENSE", "FEATURES"})

Slot = Annotated[str, msgspec.Meta(pattern=r"\A[\w+][\w+.-]*\Z", max_length=200)]
Use = Annotated[str, msgspec.Meta(pattern=r"\A-?[A-Za-z0-9][\w+@.-]*\Z", max_length=200)]
Cp = Annotated[str, msgspec.Meta(pattern=r"\A[\w+][\w+.-]*/[\w+][\w+.-]*\Z", max_length=200)]
_Variable = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Z0-9_]*\Z", max_length=80)]
_Value = Annotated[str, msgspec.Meta(pattern=r'\A[^"\\$`\x00-\x1f\x7f]*\Z', max_length=10_000)]
_Profile = Annotated[str, msgspec.Meta(pattern=r"\A([\w+][\w+.-]*:[\w+][\w+./-]*)?\Z")]
_Term = Annotated[str, msgspec.Meta(pattern=r"\A[\w+.-]*\Z", max_length=80)]


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A package that is to be merged, with its enabled flags."""

    cpv: Cpv
    repo: Name
    slot: Slot
    use: tuple[Use, ...]


class Present(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An installed package, with all of its flags: ``-FLAG`` is off."""

    cpv: Cpv
    slot: Slot
    use: tuple[Use, ...]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `guest/handover.py` asks for.

    ``tools`` are names and slots of what only builds need. ``etc`` are the texts of files below
    /etc/portage, ``environment`` the variables before emerge that count. ``columns`` is 0 where
    nobody sees a terminal.
    """

    wanted: Annotated[tuple[Wanted, ...], msgspec.Meta(min_length=1, max_length=_MOST)]
    tools: Annotated[tuple[tuple[Cp, Slot], ...], msgspec.Meta(max_length=_MOST)]
    installed: Annotated[tuple[Present, ...], msgspec.Meta(max_length=_MOST)]
    etc: Annotated[Mapping[RelativePath, str], msgspec.Meta(max_length=_MOST)]
    profile: _Profile
    environment: Annotated[Mapping[_Variable, _Value], msgspec.Meta(max_length=200)]
    columns: Annotated[int, msgspec.Meta(ge=0, le=WIDEST)]
    rows: Annotated[int, msgspec.Meta(ge=0, le=WIDEST)]
    term: _Term


class BadRequestError(ClocheError):
    """A request that `guest/handover.py` would not make."""

    status = Exit.BAD_INPUT

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the request for packages is malformed: {reason}", todo="use emerge in the freshroot"
        )


def decode_request(data: bytes) -> Request:
    """Read a request. Raises BadRequestError."""
    if len(data) > LONGEST:
        raise BadRequestError(f"more than {LONGEST >> 20} MiB")
    try:
        request = msgspec.json.decode(data, type=Request)
    except NOT_DECODABLE as error:
        raise BadRequestError(str(error)) from error
    for name in request.etc:
        parts = name.split("/")
        if len(name) > _LONGEST_NAME or {"", ".", ".."} & set(parts) or "\x7f" in name:
            raise BadRequestError("a name below /etc/portage is none")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if clash := above & request.etc.keys():
            raise BadRequestError(f"/etc/portage/{min(clash)} is both a file and a directory")
    return request


def length_of(head: bytes, most: int) -> int:
    """How long the content after a head is. Raises BadRequestError."""
    length: int = struct.unpack(">I", head[1:])[0]
    if length > most:
        raise BadRequestError(f"a message of {length} bytes")
    return length


def message(kind: bytes, content: bytes = b"") -> bytes:
    """A message as it is sent."""
    return kind + struct.pack(">I", len(content)) + content


def etc_for(request: Request) -> dict[str, bytes]:
    """The files of /etc/portage that count, and what holds the installed packages in their place.

    Builds so see the versions and flags that the root has; what Portage replaces is left free.
    """
    files = {name: text.encode() for name, text in request.etc.items() if _counts(name)}
    held = _held(request)
    masks = [f"{sign}{each.cpv}:{each.slot}\n" for each in held for sign in "<>"]
    flags = [f"={each.cpv} {' '.join(each.use)}\n" for each in held if each.use]
    if asked := request.environment.get("USE"):  # it outweighs package.use (USE_ORDER)
        flags += [f"={each.cpv}::{each.repo} {asked}\n" for each in request.wanted]
    variables = [_assignment(*item) for item in request.environment.items()]
    for name, lines in (("package.mask", masks), ("package.use", flags), ("make.conf", variables)):
        if name in files:  # a file, where cloche has a directory
            files[f"{name}/00-own"] = files.pop(name)
        if lines:
            files[f"{name}/{_PINS}"] = "".join(sorted(lines)).encode()
    return files


def _assignment(name: str, value: str) -> str:
    """A line of make.conf that does what a variable before emerge does."""
    return f'{name}="${{{name}}} {value}"\n' if name in _ADDED else f'{name}="{value}"\n'


def _held(request: Request) -> list[Present]:
    """Installed packages that Portage in the root does not replace."""
    free = {(cp_of(each.cpv), each.slot) for each in request.wanted} | set(request.tools)
    return [each for each in request.installed if (cp_of(each.cpv), each.slot) not in free]


def _counts(name: str) -> bool:
    top = name.partition("/")[0]
    return top in KNOWN and top not in REFUSED and top not in _LEFT


def atoms_of(request: Request) -> tuple[str, ...]:
    """What Portage is asked for: exactly the packages that the root's Portage chose."""
    return tuple(f"={each.cpv}::{each.repo}" for each in request.wanted)


def found_in(graph: Depgraph, request: Request) -> tuple[Package, ...]:
    """The packages of a resolution that were asked for.

    Raises ClocheError if one is another, or if a package that is installed is: files of the root
    (package.unmask, package.use.force) may outweigh what holds it.
    """
    _check_held(graph, request)
    by_id = {package.id: package for package in graph.packages}
    found = []
    for each in request.wanted:
        package = by_id.get(f"{each.cpv}::{each.repo}")
        if package is None:
            raise _other(each.cpv, "Portage did not choose it outside", _AGAIN)
        use = set(package.use) & set(package.iuse)
        if differing := sorted(use ^ set(each.use)):
            raise _other(each.cpv, _flags(differing, use), _AGAIN)
        found.append(package)
    return tuple(found)


def _check_held(graph: Depgraph, request: Request) -> None:
    """See that builds get the versions and flags that the root has. Raises ClocheError."""
    held = {(cp_of(each.cpv), each.slot): each for each in _held(request)}
    for package in graph.packages:
        there = held.get((package.cp, package.slot))
        if there is None or package.broot:  # a tool over the seed is not one of the root
            continue
        if package.cpv != there.cpv:
            raise _other(there.cpv, f"Portage chose {package.cpv} outside", _HELD)
        known = {word.removeprefix("-") for word in there.use} & set(package.iuse)
        use = set(package.use) & known
        if differing := sorted(use ^ (set(there.use) & known)):
            raise _other(there.cpv, _flags(differing, use), _HELD)


def _flags(differing: list[str], use: set[str]) -> str:
    return f"outside it has USE={' '.join(f if f in use else f'-{f}' for f in differing)}"


def _other(cpv: str, why: str, todo: str) -> ClocheError:
    return ClocheError(f"it is another package outside of this root: {why}", where=cpv, todo=todo)
