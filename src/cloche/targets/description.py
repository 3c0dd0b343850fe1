"""What identifies a target machine, as its client collects it; untrusted input.

The client sends the whole once, and then what changed (`Change`). Both sides know a description by
its digest, so that a change of another state than the stored one is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, TypeVar

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError
from cloche.plan.depgraph import Cpv, Name, Variable

FORMAT = 1
LONGEST_FILE = 1 << 20  # characters of a file of /etc/portage
LARGEST = 32 << 20  # characters of all texts
MOST = 20_000  # entries of a field; a large desktop has 3000 packages
_WORD = r"\A[^\x00-\x20\x7f]*\Z"
_LINE = r"\A[^\x00-\x1f\x7f]*\Z"

Word = Annotated[str, msgspec.Meta(pattern=_WORD, max_length=1000)]
Line = Annotated[str, msgspec.Meta(pattern=_LINE, max_length=10_000)]
Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00]*\Z", max_length=LONGEST_FILE)]
EtcPath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A(?!/)(?!(.*/)?\.{1,2}(/|\Z))(?!.*//)[^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f]\Z",
        max_length=255,
    ),
]
ProfilePath = Annotated[
    str, msgspec.Meta(pattern=r"\A[\w+][\w+.-]*:(?!(.*/)?\.{0,2}(/|\Z))[\w+./-]+\Z")
]

K = TypeVar("K")
V = TypeVar("V")
Table = Annotated[Mapping[K, V], msgspec.Meta(max_length=MOST)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=MOST)]

#: Files of an entry of the VDB (portage(5), /var/db/pkg) that Portage's resolver reads.
ENTRY = (
    "BDEPEND", "BUILD_ID", "BUILD_TIME", "CHOST", "DEFINED_PHASES", "DEPEND", "EAPI", "IDEPEND",
    "IUSE", "KEYWORDS", "LICENSE", "PDEPEND", "PROPERTIES", "PROVIDES", "RDEPEND", "REQUIRES",
    "RESTRICT", "SLOT", "USE", "repository",
)  # fmt: skip


class BadDescriptionError(ClocheError):
    """A description, or a change of one, that is malformed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, where="the target's description", todo="update cloche-client")


class StaleChangeError(ClocheError):
    """A change of another description than the stored one."""

    def __init__(self) -> None:
        what = "the change is of another state of the target than the stored one"
        super().__init__(what, todo="send the whole description")


class RepositoryState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a repository: what its sync left there, or a digest of its files."""

    commit: Word = ""
    timestamp: Line = ""
    digest: Word = ""


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A target machine.

    ``portage`` is Portage's version there, ``profile`` "REPOSITORY:PATH". ``symbols`` are the
    newest versions that the C and C++ libraries have, by their prefix: ``{"GLIBC": "2.36"}``.
    ``native`` are the flags that ``-march=native`` stands for. ``make_conf`` are the variables of
    make.conf as Portage reads them, ``files`` the texts of the other files below /etc/portage.
    ``packages`` are the installed packages by CPV: the files of their VDB entries in `ENTRY`.
    """

    format: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    portage: Word
    arch: Word
    chost: Word
    profile: ProfilePath
    symbols: Table[Name, Word] = {}
    native: Line = ""
    repositories: Table[Name, RepositoryState] = {}
    make_conf: Table[Variable, Text] = {}
    files: Table[EtcPath, Text] = {}
    world: Words = ()
    world_sets: Words = ()
    packages: Table[Cpv, Mapping[Name, Text]] = {}


#: Fields of which a change names single entries.
TABLES = ("files", "make_conf", "packages", "repositories")


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a description changed since that with the digest ``base``.

    ``fields`` are new values of whole fields; of the fields in `TABLES`, ``entries`` are new or
    changed entries, and ``removed`` the names of those that are gone.
    """

    base: Word
    fields: Mapping[Name, Any] = {}
    entries: Mapping[Name, Mapping[str, Any]] = {}
    removed: Mapping[Name, tuple[str, ...]] = {}


def decode_description(text: bytes) -> Description:
    """Read a description. Raises BadDescriptionError."""
    try:
        found = msgspec.json.decode(text, type=Description)
    except NOT_DECODABLE as error:
        raise BadDescriptionError(str(error)) from error
    return _checked(found)


def decode_change(text: bytes) -> Change:
    """Read a change. Raises BadDescriptionError."""
    try:
        return msgspec.json.decode(text, type=Change)
    except NOT_DECODABLE as error:
        raise BadDescriptionError(str(error)) from error


def changed(description: Description, change: Change) -> Description:
    """A description with a change. Raises StaleChangeError, BadDescriptionError."""
    if change.base != digest(description):
        raise StaleChangeError
    data = msgspec.to_builtins(description)
    tables = {name: {**data[name]} for name in TABLES}
    if unknown := (change.entries.keys() | change.removed.keys()) - tables.keys():
        raise BadDescriptionError(f"no table of a description: {min(unknown)}")
    for name, gone in change.removed.items():
        for each in gone:
            tables[name].pop(each, None)
    for name, entries in change.entries.items():
        tables[name].update(entries)
    try:
        found = msgspec.convert({**data, **tables, **change.fields}, Description)
    except msgspec.ValidationError as error:
        raise BadDescriptionError(str(error)) from error
    return _checked(found)


def encode_description(description: Description) -> bytes:
    """A description as JSON, in the form of which its digest is."""
    data = msgspec.to_builtins(description)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def digest(description: Description) -> str:
    """The name of a description's content: a SHA-256, as the client also computes it."""
    return hashlib.sha256(encode_description(description)).hexdigest()


def _checked(found: Description) -> Description:
    """Check what no single value shows. Raises BadDescriptionError."""
    for cpv, entry in found.packages.items():
        if unknown := entry.keys() - set(ENTRY):
            raise BadDescriptionError(f"{cpv}: a file that is not asked for: {min(unknown)}")
        if not entry.get("SLOT", "").strip() or not entry.get("EAPI", "").strip():
            raise BadDescriptionError(f"{cpv}: without SLOT or EAPI")
    if words := found.make_conf.keys() & {"source", "export"}:
        raise BadDescriptionError(f"no variable of make.conf: {min(words)}")
    texts = [*found.files.values(), *found.make_conf.values()]
    texts += [text for entry in found.packages.values() for text in entry.values()]
    if sum(map(len, texts)) > LARGEST:
        raise BadDescriptionError(f"more than {LARGEST >> 20} MiB of texts")
    names = sorted(name.replace("/", "\0") for name in found.files)  # what is below comes next
    for name, following in pairwise(names):
        if following.startswith(f"{name}\0"):
            path = name.replace("\0", "/")
            raise BadDescriptionError(f"/etc/portage/{path} is both a file and a directory")
    return found
