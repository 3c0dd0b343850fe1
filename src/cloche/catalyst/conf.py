"""catalyst.conf: TOML, or KEY="value" lines as before catalyst 4, with the place of each value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloche.catalyst.conf_values import checked
from cloche.config.errors import ConfigError, Origin, unknown_key
from cloche.config.files import read_text
from cloche.config.positions import positions
from cloche.config.toml import loads

#: Where catalyst looks by itself.
PLACE = Path("/etc/catalyst/catalyst.conf")

#: Every key with its meaning; any other key is an error in catalyst.
CONF_KEYS = {
    "binhost": "URI below which specs' binrepo_path lies",
    "compression_mode": "how outputs are packed, where the spec does not say it",
    "digests": "digests in .DIGESTS; without it neither that nor .sha256 is written",
    "digest_format": "`linux` or `bsd`",
    "distcc_hosts": "hosts for distcc",
    "distdir": "directory of the distfiles",
    "envscript": "script that is sourced in the root (catalystrc)",
    "jobs": "jobs of emerge and make",
    "jobserver-fifo": "FIFO of a jobserver",
    "load-average": "load above which nothing is started",
    "options": "autoresume, bindist, ccache, distcc, icecream, kerncache, pkgcache, seedcache, …",
    "port_logdir": "directory for the logs of the packages",
    "repo_basedir": "where repositories are inside of the root",
    "repo_openpgp_key_path": "keys that must have signed the `stable` tree; empty: do not verify",
    "repo_name": "name of the main repository",
    "repos_storedir": "directory of the git repositories that snapshots are made from",
    "sharedir": "directory of catalyst's own scripts",
    "storedir": "directory of builds/, packages/, snapshots/ and tmp/",
    "target_distdir": "DISTDIR in the root",
    "target_logdir": "PORTAGE_LOGDIR in the root",
    "target_pkgdir": "PKGDIR in the root",
    "var_tmpfs_portage": "size of a tmpfs on /var/tmp/portage, in GiB",
}

#: Catalyst's own values; for `distdir` it asks the host's Portage.
DEFAULTS: Mapping[str, Any] = {
    "binhost": "",
    "compression_mode": "lbzip2",
    "digest_format": "linux",
    "distdir": "/var/cache/distfiles",
    "options": (),
    "repo_basedir": "/var/db/repos",
    "repo_openpgp_key_path": "/usr/share/openpgp-keys/gentoo-release.asc",
    "repo_name": "gentoo",
    "repos_storedir": "%(storedir)s/repos",
    "sharedir": "/usr/share/catalyst",
    "storedir": "/var/tmp/catalyst",  # noqa: S108 - catalyst's own
    "target_distdir": "/var/cache/distfiles",
    "target_logdir": "/var/log/portage",
    "target_pkgdir": "/var/cache/binpkgs",
}

_LINE = re.compile(r"""\s*([A-Za-z0-9_-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'#]*))\s*(?:#.*)?""")
_REFERENCE = re.compile(r"%\(([^)]*)\)s|%%|%")


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings of all files, the later one first; without an origin a value is the default.

    With ``read_pkgcache``, which is set by the command line only, packages are taken from a
    pkgcache.
    """

    values: Mapping[str, Any] = field(default_factory=lambda: _filled(dict(DEFAULTS), {}))
    origins: Mapping[str, Origin] = field(default_factory=dict)
    read_pkgcache: bool = False

    def text(self, key: str) -> str:
        """A value as a string, empty where there is none."""
        return str(self.values.get(key, ""))

    def words(self, key: str) -> tuple[str, ...]:
        """A value that is a list."""
        return tuple(self.values.get(key, ()))


def read_conf(files: Iterable[Path], here: Path = Path()) -> Conf:
    """Read the files in order; of a key given twice the last counts. Raises `ConfigError`.

    Relative paths in them begin at ``here``, the directory where catalyst is started.
    """
    values, origins = dict(DEFAULTS), dict[str, Origin]()
    for file in files:
        text = read_text(file, Path("/"))
        read, lines = _parsed(text, file)
        for key, value in read.items():
            origins[key] = Origin(file, lines.get(key))
            if key not in CONF_KEYS:
                raise unknown_key(origins[key], key, CONF_KEYS)
            values[key] = checked(key, value, origins[key], here)
    return Conf(_filled(values, origins), origins)


def _parsed(text: str, file: Path) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    try:
        read = loads(text)
    except ValueError as error:
        return _old(text, file, error)
    return read, {str(path[0]): line for path, line in positions(text).items() if len(path) == 1}


def _old(text: str, file: Path, reason: ValueError) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """Lines of KEY="value". Raises `ConfigError` with what TOML says of a file that is neither."""
    values, lines = dict[str, str](), dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            what = f'neither TOML ({reason}) nor KEY="value"'
            raise ConfigError(Origin(file, number), what)
        values[match[1]] = match[2] or match[3] or match[4] or ""
        lines[match[1]] = number
    return values, lines


def _filled(values: dict[str, Any], origins: Mapping[str, Origin]) -> Mapping[str, Any]:
    """With `%(KEY)s` replaced, key by key in order, as catalyst does."""
    for key, value in values.items():
        if not isinstance(value, str):
            continue

        def fill(match: re.Match[str], key: str = key, value: str = value) -> str:
            if match[0] == "%%":
                return "%"
            if match[1] in values:
                return str(values[match[1]])
            origin = origins.get(key, Origin(PLACE))
            raise ConfigError(origin, f"“{match[0]}” in “{value}” has no value")

        values[key] = _REFERENCE.sub(fill, value)
    return values
