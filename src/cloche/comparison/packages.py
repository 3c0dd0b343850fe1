"""The packages in a tree, from its records (the VDB: ``/var/db/pkg/CATEGORY/PF/``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cloche.comparison.content import VDB
from cloche.composing.places import Found, Places
from cloche.portage.cpv import BadNameError, split_cpv
from cloche.seeds.parts.contents import parse_contents

#: Records whose words are compared, each with the aspect of a difference in it.
WORDS: Mapping[str, str] = {
    **dict.fromkeys(("DEPEND", "BDEPEND", "RDEPEND", "PDEPEND", "IDEPEND"), "dependencies"),
    **dict.fromkeys(("CHOST", "CBUILD", "CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"), "flags"),
    **dict.fromkeys(("LDFLAGS", "ASFLAGS"), "flags"),
    "repository": "repository",
    "EAPI": "ebuild",
    "KEYWORDS": "ebuild",
    "LICENSE": "ebuild",
    "PROPERTIES": "ebuild",
    "RESTRICT": "ebuild",
}
#: Records that `comparison.differences` compares otherwise.
OWN = ("SLOT", "USE", "IUSE", "SIZE")
KEPT = frozenset((*WORDS, *OWN))
_MERGING = "-MERGING-"  # begins a directory that Portage has not finished


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; ``records`` are those of `KEPT`, without surrounding white space.

    ``owned`` are the names in its CONTENTS, as the ebuild wrote them.
    """

    key: str
    cpv: str
    records: Mapping[str, str]
    owned: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Version and revision."""
        try:
            return self.cpv.removeprefix(f"{split_cpv(self.cpv).cp}-")
        except BadNameError:
            return ""


class _HasTarget(Protocol):
    @property
    def type(self) -> str: ...
    @property
    def target(self) -> str: ...


class Records:
    """Collects the records of packages while a tree is read."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, str]] = {}
        self._owned: dict[str, tuple[str, ...]] = {}

    def add(self, name: str, content: bytes | None) -> None:
        """Keep the content of a file if it is a record that is compared."""
        if content is None or (cpv := package_of(name)) is None:
            return
        values = self._values.setdefault(cpv, {})
        record = name.rpartition("/")[2]
        if record in KEPT:
            values[record] = os.fsdecode(content).strip()
        elif record == "CONTENTS":
            lines = parse_contents(content)
            self._owned[cpv] = tuple(os.fsdecode(line.path.strip(b"/")) for line in lines)

    def packages(self) -> dict[str, Package]:
        """All packages by category, name and slot."""
        found = {}
        for cpv, values in sorted(self._values.items()):
            slot = values.get("SLOT", "").partition("/")[0]
            try:
                key = f"{split_cpv(cpv).cp}:{slot}"
            except BadNameError:
                key = f"{cpv}:{slot}"
            found[key] = Package(key, cpv, values, self._owned.get(cpv, ()))
        return found


def package_of(name: str) -> str | None:
    """The package (category, name and version) whose record, or directory of records, this is."""
    if not name.startswith(VDB):
        return None
    category, _, rest = name.removeprefix(VDB).partition("/")
    package, _, record = rest.partition("/")
    if not package or "/" in record or package.startswith(_MERGING):
        return None
    return f"{category}/{package}"


def owners(packages: Mapping[str, Package], items: Mapping[str, _HasTarget]) -> dict[str, str]:
    """The keys of packages by the names that they own, also through links in the tree.

    A directory that several packages own has no owner here.
    """

    def look(name: str) -> Found | None:
        item = items.get(name)
        if item is None:
            return None
        if item.type == "symlink":
            return Found("link", item.target)
        return Found("directory" if item.type == "directory" else "other")

    places = Places(look)
    found: dict[str, str] = {}
    shared: set[str] = set()
    for key, package in packages.items():
        record = f"{VDB}{package.cpv}"
        for name in (*package.owned, record, record.rpartition("/")[0]):
            real = name if name in items else places.place(name).real
            if real is None or real not in items:
                continue
            if items[real].type == "directory" and found.get(real, key) != key:
                shared.add(real)
            found[real] = key
    of_cpv = {package.cpv: key for key, package in packages.items()}
    for name in items:
        if (cpv := package_of(name)) is not None and cpv in of_cpv:
            found[name] = of_cpv[cpv]
    return {name: key for name, key in found.items() if name not in shared}
