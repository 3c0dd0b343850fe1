"""VDB entries for the build tools of a Debian seed, so that Portage knows them as packages.

``debian-gentoo.toml`` maps Debian packages to Gentoo packages. Portage then regards a BDEPEND on
autoconf as satisfied by the seed's. An entry owns no files: merging the real package replaces the
entry and leaves the seed's tools alone.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cloche.layers import SOURCE_DATE_EPOCH
from cloche.seeds.debian.packages import Installed
from cloche.seeds.debian.versions import perl_module, upstream

DATA = "debian-gentoo.toml"
DATA_BROOT = "debian-broot.toml"
REPOSITORY = "debian"  # which ``::`` shows; no repository of a machine can be meant by it
VDB = "var/db/pkg"
# Dependencies name revisions of Gentoo's ebuilds (>=dev-build/autoconf-2.71-r6), which mend
# ebuilds far more often than programs. Debian's package has no such number: it is above them.
REVISION = "r99"
_EAPI = "8"
_PYTHON = "python3"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the data file says of one Gentoo package; see there."""

    slot: str = "0"
    version: str = ""
    versions: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    python: bool = False
    perl: bool = False


Rules = Mapping[str, Mapping[str, Rule]]
"""By the name of the Debian package, then by CATEGORY/PN."""


@dataclass(frozen=True, slots=True, order=True)
class Provided:
    """A Gentoo package that the Debian package ``debian`` stands for, together with ``needs``.

    ``use`` are the flags that are set, ``off`` others of its IUSE.
    """

    category: str
    pf: str
    slot: str
    use: tuple[str, ...]
    debian: str
    needs: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    @property
    def cpv(self) -> str:
        """CATEGORY/PF."""
        return f"{self.category}/{self.pf}"


def rules(name: str = DATA) -> Rules:
    """A data file."""
    return msgspec.convert(tomllib.loads(data_file(name).decode()), dict[str, dict[str, Rule]])


def data_file(name: str = DATA) -> bytes:
    """A data file's content."""
    return Path(__file__).with_name(name).read_bytes()


def provided_packages(packages: Iterable[Installed], rules: Rules) -> tuple[Provided, ...]:
    """The Gentoo packages that installed Debian packages stand for, in order. A pure function."""
    versions = {package.name: upstream(package.version) for package in packages}
    found = []
    for debian in sorted(versions.keys() & rules.keys()):
        for name, rule in rules[debian].items():
            if versions.keys() >= set(rule.needs):
                found += [
                    _known(debian, name, rule, v, versions) for v in _as(rule, debian, versions)
                ]
    return tuple(sorted(found))


def _as(rule: Rule, debian: str, versions: Mapping[str, str]) -> tuple[str, ...]:
    """The versions that Gentoo has a Debian package under; none if its version says nothing."""
    version = versions[debian]
    own = perl_module(version) if rule.perl and version else version
    return rule.versions or tuple(filter(None, (rule.version or own,)))


def _known(
    debian: str, name: str, rule: Rule, version: str, versions: Mapping[str, str]
) -> Provided:
    parts = version.split(".")
    slot = rule.slot.format(version, parts[0], ".".join(parts[:2]))
    use = [*rule.use]
    if rule.python and _PYTHON in versions:
        own = "_".join(versions[_PYTHON].split(".")[:2])
        use.append(f"python_targets_python{own}")
    category, _, pn = name.partition("/")
    pf, flags = f"{pn}-{version}-{REVISION}", tuple(sorted(use))
    return Provided(category, pf, slot, flags, debian, rule.needs, rule.off)


def write_entries(seed: Path, known: Sequence[Provided], destination: Path) -> None:
    """Make the layer with the entries in ``destination``, an empty directory.

    The directories above them are as in ``seed``, because an overlay shows the upper layer's.
    """
    for part in ("", *_parents(f"{VDB}/x")):
        place = destination / part
        place.mkdir(exist_ok=True)
        _like(seed / part, place)
    for each in known:
        entry = destination / VDB / each.category / each.pf
        for directory in (entry.parent, entry):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
        for field, text in _fields(each).items():
            file = entry / field
            file.write_text(f"{text}\n" if text else "", encoding="ascii")
            file.chmod(0o644)
    for top, directories, files_ in os.walk(destination, topdown=False):
        for name in (*files_, *directories):
            os.utime(Path(top, name), (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))


def _parents(path: str) -> Iterator[str]:
    """The directories above a path, the topmost first."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _like(source: Path, target: Path) -> None:
    info = source.stat()
    os.chown(target, info.st_uid, info.st_gid)
    target.chmod(stat.S_IMODE(info.st_mode))


def _fields(known: Provided) -> dict[str, str]:
    """The files of an entry (portage(5), /var/db/pkg), by name."""
    flags = " ".join(known.use)
    ebuild = f'EAPI={_EAPI}\nDESCRIPTION="Debian\'s {known.debian}"\nSLOT="{known.slot}"'
    return {
        f"{known.pf}.ebuild": ebuild,
        "BUILD_TIME": str(SOURCE_DATE_EPOCH),
        "CATEGORY": known.category,
        "CONTENTS": "",
        "COUNTER": "0",
        "DEFINED_PHASES": "-",
        "DESCRIPTION": f"Debian's {known.debian}",
        "EAPI": _EAPI,
        "IUSE": " ".join(sorted((*known.use, *known.off))),
        "PF": known.pf,
        "SIZE": "0",
        "SLOT": known.slot,
        "USE": flags,
        "repository": REPOSITORY,
    }
