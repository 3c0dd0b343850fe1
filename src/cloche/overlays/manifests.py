"""Checks the files of packages against their Manifests (GLEP 74), and that sources have digests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cloche.fetching.download import ALGORITHMS
from cloche.overlays.content import File, Files
from cloche.overlays.source import LINK

_TAGS = ("EBUILD", "MISC", "AUX")


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a Manifest: files that it does not fit, and sources without digests."""

    wrong: tuple[str, ...] = ()
    undigested: tuple[str, ...] = ()


def check(
    package: str, files: Files, distfiles: Mapping[str, str], edited: Collection[str] = ()
) -> Checked:
    """Check the Manifest of a package, whose files have paths in the repository.

    ``distfiles`` are the names of its sources with the version that needs each. Files that are
    ``edited`` here need not fit.
    """
    from gemato.exceptions import ManifestSyntaxError
    from gemato.manifest import ManifestFile

    file = files.get(f"{package}/Manifest")
    manifest = ManifestFile()
    try:
        manifest.load(io.StringIO(file.content.decode() if file else ""), verify_openpgp=False)
    except (ManifestSyntaxError, UnicodeDecodeError) as error:
        return Checked((f"{package}/Manifest cannot be read: {error}",))
    wrong: list[str] = []
    listed: set[str] = set()
    sources: set[str] = set()
    for entry in manifest.entries:
        if entry.tag == "DIST":
            sources.add(entry.path)
        elif entry.tag in _TAGS:
            path = f"{package}/{entry.path}"  # gemato puts files/ before AUX's
            listed.add(path)
            if path not in edited:
                wrong += _differs(path, files.get(path), entry.size, entry.checksums)
    if listed:  # not a thin one
        own = {path for path in files if path.startswith(f"{package}/")}
        others = sorted(own - listed - {f"{package}/Manifest", *edited})
        wrong += [f"{path} is not in its Manifest" for path in others]
    lacking = sorted(distfiles.keys() - sources)
    undigested = (
        f"{package}/Manifest has no digest of {name}, a source of {distfiles[name]}"
        for name in lacking
    )
    return Checked(tuple(wrong), tuple(undigested))


def _differs(
    path: str, file: File | None, size: int, checksums: Mapping[str, str]
) -> Iterator[str]:
    if file is None or file.mode == LINK:
        yield f"{path} is in its Manifest, and not there"
        return
    known = {name: value for name, value in checksums.items() if name in ALGORITHMS}
    same = (
        len(file.content) == size
        and known
        and all(
            hashlib.new(ALGORITHMS[name], file.content).hexdigest() == value.lower()
            for name, value in known.items()
        )
    )
    if not same:
        yield f"{path} does not match its Manifest"
