"""What programs of a root need to start: the needs that nothing in the root meets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cloche.audit.elf import Elf
from cloche.audit.loader import Loader, runpath
from cloche.audit.root import Root
from cloche.config.chost import cpu_name, cpu_of
from cloche.config.elf_formats import programs_of

_PATH = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin", "opt/bin")
_LIBRARIES = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "usr/local/lib64")


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A file that lacks something, and the package that it is of.

    ``name`` is the soname of a library, or the path of an interpreter, or only its name if ``env``
    looks for it, or the CPU that a program is for (`config.chost.cpu_name`). ``aside`` is where the
    root has a library of this name outside of the loader's directories: a program may load it by
    itself.
    """

    package: str
    path: str
    kind: Literal["library", "interpreter", "directory", "CPU"]
    name: str
    aside: str = ""

    @property
    def text(self) -> str:
        """What is needed, in words."""
        return f"{self.kind} {self.name}"


def unmet(root: Root) -> tuple[Need, ...]:
    """What programs need, and the loader, or the kernel, does not find."""
    return tuple(sorted({*_of_elves(root), *_of_scripts(root), *_for_others(root)}))


def lost_directories(root: Root) -> tuple[Need, ...]:
    """Directories of RUNPATH that the root does not have. Most are harmless: others come next."""
    found = {
        Need(root.package_of(name), f"/{name}", "directory", path)
        for name, elf in root.elves.items()
        for path in runpath(name, elf)
        if root.places.directory(path.strip("/")).real is None
    }
    return tuple(sorted(found))


def _of_elves(root: Root) -> Iterator[Need]:
    loader, runs = Loader(root), _runs(root)
    anywhere: dict[tuple[int, int, str], str] = {}
    for name, elf in sorted(root.elves.items()):
        for known in (elf.soname, name.rpartition("/")[2]):
            anywhere.setdefault((elf.bits, elf.machine, known), f"/{name}")
    for name, elf in root.elves.items():
        if elf.machine not in runs:
            continue  # for another CPU: firmware, a cross compiler's root
        package = root.package_of(name)
        if elf.interpreter and not _fits(root, elf):
            yield Need(package, f"/{name}", "interpreter", elf.interpreter)
        for needed in elf.needed:
            if not loader.finds(name, elf, needed):
                aside = anywhere.get((elf.bits, elf.machine, needed), "")
                yield Need(package, f"/{name}", "library", needed, aside)


def _runs(root: Root) -> frozenset[int]:
    """The e_machines of the programs that the root's CPU runs.

    The CPU is that of its packages' CHOST, where we know it; else that of most of its files.
    """
    cpus = [cpu.elf for chost in root.chosts() if (cpu := cpu_of(chost)) is not None]
    most = Counter(cpus or (elf.machine for elf in root.elves.values())).most_common(1)
    return frozenset().union(*(programs_of(machine) for machine, _ in most))


def _for_others(root: Root) -> Iterator[Need]:
    """Programs and libraries for another CPU, where the root's own belong."""
    runs = _runs(root)
    for name, elf in root.elves.items():
        place = name.rpartition("/")[0]
        own = place in _PATH or place in _LIBRARIES or name.startswith("usr/libexec/")
        if own and elf.machine not in runs:
            yield Need(root.package_of(name), f"/{name}", "CPU", cpu_name(elf.machine))


def _fits(root: Root, elf: Elf) -> bool:
    real = root.real(elf.interpreter)
    loader = root.elves.get(real) if real is not None else None
    return loader is not None and (loader.bits, loader.machine) == (elf.bits, elf.machine)


def _of_scripts(root: Root) -> Iterator[Need]:
    for name, line in root.scripts():
        for wanted in interpreters(line):
            places = [wanted] if wanted.startswith("/") else [f"{at}/{wanted}" for at in _PATH]
            if not any(root.real(place) is not None for place in places):
                yield Need(root.package_of(name), f"/{name}", "interpreter", wanted)


def interpreters(line: str) -> Iterator[str]:
    """What a ``#!`` line starts: a path, and the name that env(1) looks for.

    Anything but a path is a template, or depends on where a script is started.
    """
    program, *words = line.split() or [""]
    if not program.startswith("/"):
        return
    yield program
    if program.endswith("/env"):
        named = (word for word in words if not word.startswith("-") and "=" not in word)
        if (name := next(named, None)) is not None:
            yield name
