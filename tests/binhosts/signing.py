"""Binary packages as a publisher makes them: signed, with an index that says so."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.mirrors import Signer

Change = Callable[[dict[str, bytes]], Mapping[str, bytes]]


def repacked(package: bytes, change: Change) -> bytes:
    """A GPKG with its members, by name without the directory, changed."""
    with tarfile.open(fileobj=io.BytesIO(package)) as source:
        directory = source.getnames()[0].partition("/")[0]
        members = {
            each.name.partition("/")[2]: source.extractfile(each).read()  # type: ignore[union-attr]
            for each in source
        }
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as target:
        for name, content in change(members).items():
            info = tarfile.TarInfo(f"{directory}/{name}")
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def signed(package: bytes, signer: Signer) -> bytes:
    """A GPKG with detached signatures, and its Manifest signed in clear text (GLEP 78)."""

    def change(members: dict[str, bytes]) -> Mapping[str, bytes]:
        manifest = members.pop("Manifest").decode()
        for name in [name for name in members if ".tar" in name]:
            with tempfile.NamedTemporaryFile() as file:
                file.write(members[name])
                file.flush()
                members[f"{name}.sig"] = sig = signer.detached(Path(file.name)).encode()
            digests = f"BLAKE2B {hashlib.blake2b(sig).hexdigest()}"
            manifest += f"DATA {name}.sig {len(sig)} {digests}\n"
        return {**members, "Manifest": signer.clear(manifest).encode()}

    return repacked(package, change)


def published(
    directory: Path, change: Callable[[bytes], bytes] = lambda data: data
) -> dict[str, bytes]:
    """The files of a PKGDIR by path, packages changed, the index made to fit."""
    index = (directory / "Packages").read_text()
    files = {}
    for path in directory.rglob("*.gpkg.tar"):
        name = str(path.relative_to(directory))
        before, after = path.read_bytes(), change(path.read_bytes())
        files[name] = after
        for kind in ("md5", "sha1"):
            old, new = (hashlib.new(kind, data).hexdigest() for data in (before, after))
            index = index.replace(old, new)
        index = re.sub(
            rf"(PATH: {re.escape(name)}\n(?:.+\n)*?SIZE: )\d+", rf"\g<1>{len(after)}", index
        )
    return {**files, "Packages": index.encode()}
