"""Reads the host's apt configuration: the mirror of a suite, its keyring, proxy settings.

cloche has no built-in address: Debian packages come from the host's mirror (sources.list(5)), or
from that of an option.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from cloche.errors import Exit
from cloche.seeds.debian.packages import stanzas
from cloche.seeds.errors import SeedError

ETC_APT = Path("/etc/apt")
SUITE = "bookworm"  # of a seed that names none
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# A source of one of these serves the others as well: a Debian mirror holds all living suites.
DEBIAN_SUITES = frozenset(
    {"bullseye", "bookworm", "trixie", "forky", "sid"}
    | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
)
_OFF = ("no", "false", "0", "without", "off", "disable")
_SCHEMES = ("http://", "https://", "file:/", "copy:/")
# How to reach any mirror, as opposed to which: passed on to the apt that mmdebstrap runs, because
# that one does not read the host's apt.conf.
_PASSED_ON = re.compile(
    r"Acquire::(?:https?::.*|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class AptSource:
    """One entry of apt's sources, in either of its two formats."""

    types: tuple[str, ...]
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: Path | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where a suite comes from, and the keyring its signature is verified with."""

    uri: str
    keyring: Path


def _bad_source(file: Path, line: int, reason: str) -> SeedError:
    return SeedError(
        f"not an apt source: {reason}",
        where=f"{file}:{line}",
        todo="correct the line, or give a mirror with --mirror",
    )


def parse_deb822(text: str, file: Path) -> list[AptSource]:
    """The enabled entries of a ``.sources`` file. Raises `SeedError`."""
    found = []
    for line, fields in stanzas(text.splitlines()):
        if fields.get("enabled", "yes").lower() in _OFF:
            continue
        for name in ("types", "uris", "suites"):
            if not fields.get(name):
                raise _bad_source(file, line, f"the stanza has no {name.capitalize()}")
        signed = fields.get("signed-by", "").split()
        found.append(
            AptSource(
                tuple(fields["types"].split()),
                tuple(fields["uris"].split()),
                tuple(fields["suites"].split()),
                tuple(fields.get("components", "").split()),
                _key_file(signed),
            )
        )
    return found


_ONE_LINE = re.compile(r"(?P<type>deb|deb-src)\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<rest>\S.*)")


def parse_one_line(text: str, file: Path) -> list[AptSource]:
    """The entries of a ``.list`` file. Raises `SeedError`."""
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        match = _ONE_LINE.fullmatch(line)
        words = match["rest"].split() if match else []
        if match is None or len(words) < 2:
            raise _bad_source(file, number, "expected `deb [options] URI SUITE COMPONENT…`")
        options = dict(word.partition("=")[::2] for word in (match["options"] or "").split())
        signed = options.get("signed-by", "").split(",")
        found.append(
            AptSource(
                (match["type"],), (words[0],), (words[1],), tuple(words[2:]), _key_file(signed)
            )
        )
    return found


def _key_file(words: list[str]) -> Path | None:
    """``Signed-By`` may also hold fingerprints or a whole key: only a file is of use here."""
    return Path(words[0]) if len(words) == 1 and words[0].startswith("/") else None


def host_sources(etc: Path = ETC_APT) -> Iterator[AptSource]:
    """Every entry of the host's apt, in apt's order. Raises `SeedError`."""
    single = [etc / "sources.list"]
    parts = sorted(
        p for p in (etc / "sources.list.d").glob("*") if p.suffix in (".list", ".sources")
    )
    for file in single + parts:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, PermissionError):
            continue
        yield from (parse_deb822 if file.suffix == ".sources" else parse_one_line)(text, file)


def find_mirror(
    suite: str, *, mirror: str | None = None, keyring: Path | None = None, etc: Path = ETC_APT
) -> Mirror:
    """The mirror for a Debian suite: ``mirror`` where given, otherwise the host's own.

    A source that names the suite is preferred to one that names another of Debian's suites.
    Raises `SeedError`.
    """
    if mirror is not None:
        return Mirror(mirror, find_keyring(keyring))
    usable = [
        (source, uri)
        for source in host_sources(etc)
        if "deb" in source.types and "main" in source.components
        for uri in source.uris
        if uri.startswith(_SCHEMES)
    ]
    for source, uri in usable:
        if suite in source.suites:
            return Mirror(uri, find_keyring(keyring or source.signed_by))
    for source, uri in usable:
        if DEBIAN_SUITES.intersection(source.suites):
            return Mirror(uri, find_keyring(keyring))
    raise SeedError(
        f"no Debian mirror found for the suite {suite}",
        where=etc,
        todo="give one with --mirror",
        status=Exit.HOST,
    )


def find_keyring(wanted: Path | None = None, known: tuple[Path, ...] = KEYRINGS) -> Path:
    """``wanted``, or Debian's archive keyring of the host. Raises `SeedError`."""
    for path in (wanted,) if wanted is not None else known:
        if path.is_file():
            return path
    none = "Debian's archive keyring is not on this host"
    raise SeedError(
        f"the keyring {wanted} cannot be read" if wanted else none,
        todo="apt install debian-archive-keyring, or give one with --keyring",
        status=Exit.HOST,
    )


def apt_options() -> tuple[str, ...]:
    """The host's settings on how to reach mirrors (proxies, certificates, retries, dates)."""
    if shutil.which("apt-config") is None:
        return ()
    dump = subprocess.run(
        ["apt-config", "dump"], capture_output=True, text=True, check=False
    ).stdout
    return tuple(passed_on(dump))


def passed_on(dump: str) -> Iterator[str]:
    """The lines of ``apt-config dump`` that `apt_options` keeps, empty settings left out."""
    for line in dump.splitlines():
        match = re.fullmatch(r'(\S+) "([^"]+)";', line)
        if match and _PASSED_ON.fullmatch(match[1]):
            yield line


def portage_mirrors(mirror: str) -> str:
    """The text of an ``/etc/portage/mirrors`` in which ``mirror://debian/`` is ``mirror``.

    It belongs in the root of a fetch, never in the seed: two hosts with different mirrors have the
    same seed.
    """
    return f"debian {mirror.rstrip('/')}\n"


def without_password(url: str) -> str:
    """An address as it may be shown: what stands before the ``@`` is left out."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
