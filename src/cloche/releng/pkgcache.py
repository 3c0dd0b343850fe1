"""catalyst's pkgcache: a directory of binary packages with an index, for other programs.

cloche itself does not need it, since the store has every package by its key. Packages there are
never replaced: one is added unless the directory has a package with the same content.
"""

from __future__ import annotations

import filecmp
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import store_path, subpath, unversioned
from cloche.catalyst.spec import Spec
from cloche.config.files import replace_text
from cloche.output.claim import alone

INDEX = "Packages"
_INSTANCE = re.compile(r"(?P<name>.+)-(?P<id>[1-9][0-9]*)\.gpkg\.tar")
#: Keys that an entry without them takes from the header of its index (Portage's bintree).
_INHERITED = ("CHOST", "repository")

Entry = dict[str, str]


@dataclass
class Index:
    """A file ``Packages``: the header, and the packages by their paths."""

    header: Entry = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)

    def text(self) -> str:
        """The file, packages in the order of their paths."""
        count = {"PACKAGES": str(len(self.entries))}
        parts = [self.header | count, *(self.entries[path] for path in sorted(self.entries))]
        return "".join(_block(part) + "\n" for part in parts)


def pkgcache_path(spec: Spec, conf: Conf) -> Path:
    """The directory of a spec's pkgcache, as in catalyst."""
    if given := spec.text("pkgcache_path"):
        return Path(given).absolute()
    versioned = "versioned_cache" in conf.words("options")
    return Path(store_path(conf, "packages", subpath(spec) if versioned else unversioned(spec)))


def keep_packages(directories: Iterable[Path], pkgcache: Path) -> int:
    """Add the packages of directories, each with its index; return how many were new.

    The layout is that of FEATURES=binpkg-multi-instance: a package whose content differs gets
    the next BUILD_ID. Raises OSError.
    """
    pkgcache.mkdir(parents=True, exist_ok=True)
    with alone(pkgcache):
        index = read_index(pkgcache / INDEX)
        added = 0
        for directory in directories:
            theirs = read_index(directory / INDEX)
            index.header = theirs.header
            for path, entry in theirs.entries.items():
                place = _free_place(directory / path, pkgcache, path)
                if place is not None:
                    _copy(directory / path, pkgcache / place)
                    instance = _INSTANCE.fullmatch(Path(place).name)
                    build_id = instance["id"] if instance else "1"
                    index.entries[place] = entry | {"PATH": place, "BUILD_ID": build_id}
                    added += 1
        if added:
            replace_text(pkgcache / INDEX, index.text())
    return added


def read_index(file: Path) -> Index:
    """An index; an empty one if the file does not exist. Lines that cannot be read are left out."""
    if not file.is_file():
        return Index()
    header, *entries = map(_parsed, file.read_text(errors="replace").split("\n\n"))
    inherited = {key: header[key] for key in _INHERITED if key in header}
    return Index(header, {each["PATH"]: inherited | each for each in entries if "PATH" in each})


def _parsed(block: str) -> Entry:
    pairs = (line.partition(": ") for line in block.splitlines())
    return {key: value for key, separator, value in pairs if separator}


def _block(entry: Mapping[str, str]) -> str:
    return "".join(f"{key}: {entry[key]}\n" for key in sorted(entry))


def _free_place(package: Path, pkgcache: Path, path: str) -> str | None:
    """The path for a package; None if one with its content exists."""
    for place in _instances(path):
        there = pkgcache / place
        if not there.exists():
            return place
        if there.is_file() and filecmp.cmp(there, package, shallow=False):
            return None
    return None


def _instances(path: str) -> Iterator[str]:
    """The path, then those with the next build ids."""
    yield path
    if found := _INSTANCE.fullmatch(Path(path).name):
        for number in range(int(found["id"]) + 1, 10_000):
            yield str(Path(path).with_name(f"{found['name']}-{number}.gpkg.tar"))


def _copy(source: Path, target: Path) -> None:
    """Copy a file; it gets its name when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, new)
    shutil.copystat(source, new)
    new.chmod(0o644)
    new.replace(target)
