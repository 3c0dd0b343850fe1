"""A gentoomuch configuration, read: its directories as plain values.

Its layout, as gentoomuch of 2024 has it: ``cpu.defines/NAME/`` and ``portage.global/`` and
``portage.locals/NAME/`` are parts of an /etc/portage, ``package.sets/NAME`` sets,
``stage3.defines/NAME/`` has the files ``cpu``, ``packages``, ``portage.local`` and ``scripts``,
``stage4.defines/NAME/`` the files ``kconf``, ``profile``, ``stage3``, ``scripts`` and ``removes``,
``kernel.configs/NAME.kconf``, ``user.patches/NAME/CATEGORY/PF/*.patch``, ``user.scripts/NAME``,
``user.removes/NAME``, ``env/arch``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.errors import ClocheError
from cloche.importing.folder import Read, read_folder
from cloche.importing.outcome import Omission

BUILDER = "gentoomuch-builder"
_PARTS = ("cpu.defines", "portage.global", "portage.locals", "stage3.defines", "stage4.defines")
#: What gentoomuch keeps for itself, or what is this host's.
_STATE = {
    "profiles": "which stage3 tarballs were bootstrapped here",
    "env/uid": "who runs gentoomuch",
    "env/gid": "who runs gentoomuch",
    "env/jobs": "a matter of the host: see [build] in docs/project-files.md",
    "env/sync_flag": "the state of gentoomuch",
    "env/stage_key": "keys are not carried over",
}
_LISTS = frozenset(
    {"cpu", "packages", "portage.local", "flags", "kconf", "kernel", "profile", "stage3"}
    | {"scripts", "removes"}
)


@dataclass(frozen=True, slots=True)
class Definition:
    """A directory of stage3.defines or stage4.defines: the lines of its files, by their names."""

    name: str
    lists: Mapping[str, tuple[str, ...]]

    def lines(self, *names: str) -> tuple[str, ...]:
        """The lines of the first of some files that is there."""
        return next((self.lists[name] for name in names if name in self.lists), ())

    def word(self, *names: str) -> str:
        """The one word of such a file; empty without it."""
        return next(iter(self.lines(*names)), "")


@dataclass(frozen=True, slots=True)
class Gentoomuch:
    """A configuration. Directories of files are given by their names, files by their paths below.

    ``portage_global`` is the one fragment of all stages.
    """

    arch: str
    cpus: Mapping[str, Mapping[str, bytes]]
    portage_global: Mapping[str, bytes]
    portage_locals: Mapping[str, Mapping[str, bytes]]
    sets: Mapping[str, bytes]
    stage3s: Mapping[str, Definition]
    stage4s: Mapping[str, Definition]
    kernels: Mapping[str, bytes]
    patches: Mapping[str, Mapping[str, bytes]]
    scripts: Mapping[str, bytes]
    removes: Mapping[str, tuple[str, ...]]
    omissions: tuple[Omission, ...] = field(default=())


def read_gentoomuch(directory: Path) -> Gentoomuch:
    """Read a configuration. Raises ClocheError for what is not one."""
    top = directory / "config" if (directory / "config/portage.global").is_dir() else directory
    there = [name for name in _PARTS if (top / name).is_dir()]
    if not directory.is_dir() or len(there) < 3:
        what = "not a gentoomuch configuration" if directory.is_dir() else "no such directory"
        todo = f"name the directory that has {', '.join(_PARTS)} (~/gentoomuch-config)"
        raise ClocheError(what, where=directory, todo=todo)
    return understand(read_folder(top))


def understand(read: Read) -> Gentoomuch:
    """The configuration in some files."""
    below = _Below(read)
    stage3s = below.definitions("stage3.defines")
    stage4s = below.definitions("stage4.defines")
    cpus = {each.word("cpu") for each in stage3s.values()}
    locals_ = {name for each in stage3s.values() for name in each.lines("portage.local", "flags")}
    return Gentoomuch(
        next(iter(_lines(below.file("env/arch"))), "amd64"),
        cpus=below.named("cpu.defines", cpus),
        portage_global=below.directory("portage.global"),
        portage_locals=below.named("portage.locals", locals_),
        sets=below.directory("package.sets"),
        stage3s=stage3s,
        stage4s=stage4s,
        kernels={
            name.removesuffix(".kconf"): content
            for name, content in below.directory("kernel.configs").items()
        },
        patches=below.named("user.patches", set()),
        scripts=below.directory("user.scripts"),
        removes={name: _lines(text) for name, text in below.directory("user.removes").items()},
        omissions=(*read.omissions, *below.others()),
    )


class _Below:
    """Takes the files of a configuration apart; what nobody takes is left."""

    def __init__(self, read: Read) -> None:
        self._files = {
            name: content
            for name, content in read.files.items()
            if name.rpartition("/")[2].upper() not in ("README", "README.MD", "PLACEHOLDER")
        }
        self._taken: set[str] = set()

    def file(self, name: str) -> bytes:
        """One file; empty if it is not there."""
        self._taken.add(name)
        return self._files.get(name, b"")

    def directory(self, top: str) -> dict[str, bytes]:
        """The files below a directory."""
        found = {}
        for name, content in self._files.items():
            if name.startswith(f"{top}/"):
                self._taken.add(name)
                found[name.removeprefix(f"{top}/")] = content
        return found

    def named(self, top: str, names: Collection[str]) -> dict[str, dict[str, bytes]]:
        """The files of each directory in one: those of some names, ``A/B`` too, and the others."""
        found: dict[str, dict[str, bytes]] = {}
        for path, content in self.directory(top).items():
            first, slash, _ = path.partition("/")
            name = next((each for each in sorted(names) if path.startswith(f"{each}/")), first)
            if slash:
                found.setdefault(name, {})[path.removeprefix(f"{name}/")] = content
            else:
                self._taken.discard(f"{top}/{path}")
        return found

    def definitions(self, top: str) -> dict[str, Definition]:
        """The directories of lists below one, by their names, ``A/B`` too."""
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for path, content in self.directory(top).items():
            name, _, last = path.rpartition("/")
            if name and last in _LISTS:
                found.setdefault(name, {})[last] = _lines(content)
            else:
                self._taken.discard(f"{top}/{path}")
        return {name: Definition(name, lists) for name, lists in sorted(found.items())}

    def others(self) -> list[Omission]:
        """What is not part of a configuration as it is known."""
        rest = sorted(self._files.keys() - self._taken)
        return [Omission(name, _STATE.get(name, "gentoomuch does not read it")) for name in rest]


def _lines(content: bytes) -> tuple[str, ...]:
    """The lines of a list, without comments."""
    lines = content.decode(errors="replace").splitlines()
    stripped = (line.partition("#")[0].strip() for line in lines)
    return tuple(line for line in stripped if line)
