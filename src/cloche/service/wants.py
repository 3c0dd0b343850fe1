"""What a client asks for: checked atoms, also from the output of ``emerge --pretend``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from cloche.config.atoms import atom_fault, is_name
from cloche.config.emerge_options import emerge_option
from cloche.config.errors import ConfigError, Origin
from cloche.plan.depgraph import Cpv
from cloche.service.problems import ProblemError
from cloche.targets.levels import Level

_LINE = re.compile(r"\[(?P<kind>\w+)[^]]*\]\s+(?P<cpv>[^\s:\[]+)")
_OTHERS = ("binary", "blocks", "nomerge", "uninstall")
_LONGEST = 300  # characters of an atom


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request: atoms and ``@sets``, options of emerge, the level if not the target's.

    ``packages`` are the packages (CATEGORY/PF) that the target's emerge would merge. If the
    service has all of them, nothing is built.
    """

    atoms: tuple[str, ...]
    options: tuple[str, ...] = ()
    level: Level | None = None
    packages: tuple[Cpv, ...] = ()


def atoms_in(text: str) -> Iterator[str]:
    """The atoms in lines: each an atom, or a line of ``emerge -pq``. Raises ProblemError."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if (match := _LINE.match(words)) is None:
            yield words
        elif match["kind"] == "ebuild":
            yield f"={match['cpv']}"
        elif match["kind"] not in _OTHERS:
            raise ProblemError(422, f"line {number} is not one of emerge's: {words[:80]}")


def checked(asked: Asked, most: int) -> Asked:
    """A request whose atoms and options are valid, each atom once. Raises ProblemError."""
    atoms = tuple(dict.fromkeys(asked.atoms))
    if not atoms:
        raise ProblemError(422, "nothing is asked for", todo="name an atom, such as app-misc/jq")
    if len(atoms) > most:
        raise ProblemError(422, f"more than {most} atoms")
    for atom in atoms:
        if fault := _fault(atom):
            raise ProblemError(422, f"“{atom[:80]}” is not an atom: {fault}")
    for option in asked.options:
        try:
            emerge_option(option, Origin(Path("options")))
        except ConfigError as error:
            raise ProblemError(422, error.what, todo=error.todo) from error
    return msgspec.structs.replace(asked, atoms=atoms)


def _fault(atom: str) -> str | None:
    if len(atom) > _LONGEST:
        return "it is too long"
    if atom.startswith("@"):
        return None if is_name(atom[1:]) else "a set is a name, such as @world"
    return atom_fault(atom)


def ready(packages: Iterable[str], offered: Iterable[str]) -> bool:
    """Whether all packages that a target would merge are offered; False where it does not say."""
    wanted = set(packages)
    return bool(wanted) and wanted <= set(offered)
