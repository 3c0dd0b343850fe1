"""The audit of a root: unmet needs, and files that neither a package nor Portage accounts for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloche.audit.needs import Need, lost_directories, unmet
from cloche.audit.root import Root
from cloche.audit.survey import recalled, remember, surveys
from cloche.layers import Layer
from cloche.store import Store

#: What Portage generates for every root (env_update, the VDB, world files), and /etc/portage.
GENERATED = (
    *("etc/csh.env", "etc/environment.d/10-gentoo-env.conf", "etc/profile.env"),
    *("etc/ld.so.cache", "etc/ld.so.conf", "etc/prelink.conf.d/portage.conf"),
    *("etc/portage/*", "var/cache/edb/counter", "var/db/pkg/*", "var/lib/portage/config"),
    *("var/lib/portage/preserved_libs_registry", "var/lib/portage/world"),
    "var/lib/portage/world_sets",
)
#: Named in place of a package for what the machine's own steps wrote.
FINISH = "[[finish]]"
#: The kinds of all layers of a root of its own.
KINDS = ("package", "config", "state", "finish")


@dataclass(frozen=True, slots=True, order=True)
class Written:
    """A file that CONTENTS of its package lacks: a hook wrote it, or a step of `FINISH`."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    ``files`` counts all names that are not directories, ``programs`` those that were examined.
    ``unmet`` are needs that nothing in the root meets, ``unowned`` the paths of files without an
    owner. ``notes`` are needs that a program meets by itself, if at all: a library outside of the
    loader's directories, a directory of RUNPATH that is missing.
    """

    files: int
    programs: int
    unmet: tuple[Need, ...]
    unowned: tuple[str, ...]
    written: tuple[Written, ...]
    notes: tuple[Need, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is missing, and every file has an owner."""
        return not self.unmet and not self.unowned


def surveyed(store: Store, machine: str, layers: Sequence[Layer]) -> Root:
    """The root that layers make, the bottom first; only those that are new are read.

    ``machine`` is the full name under which their surveys are stored. Raises OSError.
    """
    known = recalled(store, machine)
    found = surveys(layers, known)
    if found.keys() != known.keys():
        remember(store, machine, found)
    return Root(layers, found)


def audit(root: Root) -> Audit:
    """Examine a whole root."""
    needs = unmet(root)
    written, unowned = _without_owner(root)
    return Audit(
        files=sum(1 for _ in root.files()),
        programs=len(root.elves) + sum(1 for _ in root.scripts()),
        unmet=tuple(need for need in needs if not need.aside),
        unowned=unowned,
        written=written,
        notes=(*(need for need in needs if need.aside), *lost_directories(root)),
    )


def _without_owner(root: Root) -> tuple[tuple[Written, ...], tuple[str, ...]]:
    """Files that hooks wrote, and files of layers that are not a package's."""
    elsewhere = set(_claimed(root))
    written, unowned = [], []
    for name, layer, survey in root.files():
        if name not in survey.unclaimed or name in elsewhere:
            continue
        if layer.kind in ("package", "finish"):
            owner = FINISH if layer.kind == "finish" else layer.label
            written.append(Written(owner, f"/{name}"))
        elif not any(fnmatchcase(name, pattern) for pattern in GENERATED):
            unowned.append(f"/{name}")
    return tuple(sorted(written)), tuple(unowned)


def _claimed(root: Root) -> Iterator[str]:
    """The real names of what packages own by another name, through a link."""
    for survey in root.surveys:
        for path in survey.claimed:
            if (real := root.places.place(path).real) is not None:
                yield real
