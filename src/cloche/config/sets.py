"""Package sets: files in ``sets/``, one atom or ``@set`` a line, as portage(5) has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.config.atoms import atom_fault, is_name
from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.files import decode, names, read_bytes

# Portage's own sets that have a meaning for a machine that is not built yet.
BUILT_IN = frozenset({"profile", "system"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A requested atom or ``@set``, and its origin."""

    atom: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class PackageSet:
    """A set: its name, the content of its file, and its members."""

    name: str
    content: bytes
    members: tuple[Asked, ...]


def check_member(text: str, origin: Origin) -> Asked:
    """Check the syntax of an atom or ``@set``. Raises `ConfigError`."""
    fault = None if text.startswith("@") else atom_fault(text)
    if fault:
        raise ConfigError(origin, f"“{text}” is not an atom", fault)
    return Asked(text, origin)


def parse_set(name: str, content: bytes, file: Path) -> PackageSet:
    """Read the content of a set file. Raises `ConfigError`."""
    members = []
    for number, line in enumerate(decode(content, file).splitlines(), 1):
        words = line.split("#", 1)[0].split() if line.lstrip().startswith("#") else line.split()
        words = words[: next((i for i, word in enumerate(words) if word.startswith("#")), None)]
        if not words:
            continue
        origin = Origin(file, number)
        if len(words) > 1:
            raise ConfigError(origin, "more than one word in a line", "write one atom a line")
        members.append(check_member(words[0], origin))
    return PackageSet(name, content, tuple(members))


def load_sets(directory: Path, root: Path) -> Mapping[str, PackageSet]:
    """All sets of a directory, by name. Raises `ConfigError`."""
    found = {}
    for name in names(directory):
        if name.partition(".")[0] == "README":  # for people
            continue
        file = directory / name
        if not is_name(name):
            raise ConfigError(
                Origin(file), "not a name for a set", "use letters, digits, _ . + - in its name"
            )
        if file.is_dir():
            raise ConfigError(Origin(file), "a directory among the sets", "a set is one file")
        found[name] = parse_set(name, read_bytes(file, root), file)
    return found


def expand(wanted: Iterable[Asked], known: Mapping[str, PackageSet]) -> tuple[Asked, ...]:
    """Expand a list of atoms and sets to atoms, each once, including sets of sets.

    Portage's own sets (`BUILT_IN`) stay as they are. Raises `ConfigError` for an unknown set.
    """
    return _expanded(wanted, known)[0]


def named(wanted: Iterable[Asked], known: Mapping[str, PackageSet]) -> frozenset[str]:
    """The names of the sets in a list, and of those in them. Raises `ConfigError` as `expand`."""
    return _expanded(wanted, known)[1]


def _expanded(
    wanted: Iterable[Asked], known: Mapping[str, PackageSet]
) -> tuple[tuple[Asked, ...], frozenset[str]]:
    atoms: dict[str, Asked] = {}
    seen: set[str] = set()
    queue = list(wanted)
    while queue:
        asked = queue.pop(0)
        name = asked.atom.removeprefix("@")
        if name == asked.atom or name in BUILT_IN:
            atoms.setdefault(asked.atom, asked)
        elif name not in known:
            raise unknown_name(asked.origin, "set", name, known.keys() | BUILT_IN)
        elif name not in seen:
            seen.add(name)
            queue[:0] = known[name].members
    return tuple(atoms.values()), frozenset(seen)
