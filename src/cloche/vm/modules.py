"""Kernel modules: which files a driver needs, read from the files themselves.

A package that was only unpacked has no ``modules.dep`` yet; but each module names the modules it
depends on (``depends=`` in its ``.modinfo``), and that is enough.
"""

from __future__ import annotations

import gzip
import lzma
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from cloche.sandbox.errors import HostError

_NAME = re.compile(r"(.+)\.ko(\.(?:gz|xz|zst))?")


def needed(directory: Path, names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return modules and what they depend on as (name, ELF), in the order in which they load.

    ``directory`` is ``/lib/modules/RELEASE``. Raises HostError for a name that is neither a module
    nor listed in ``modules.builtin``.
    """
    files = {plain(path.name): path for path in sorted(directory.rglob("*.ko*"))}
    built_in = _built_in(directory / "modules.builtin")
    found: dict[str, bytes] = {}

    def visit(name: str) -> None:
        if name in found or name in built_in:
            return
        if name not in files:
            raise HostError(f"the kernel of {directory} has no driver {name}")
        data = read(files[name])
        for other in depends(data):
            visit(other)
        found[name] = data

    for name in names:
        visit(name)
    return list(found.items())


def plain(name: str) -> str:
    """A module's name as the kernel spells it: without suffix, with underscores."""
    match = _NAME.fullmatch(name)
    return (match[1] if match else name).replace("-", "_")


def read(path: Path) -> bytes:
    """A module's ELF file, however it is compressed. Raises HostError where zstd is missing."""
    match path.suffix:
        case ".xz":
            return lzma.decompress(path.read_bytes())
        case ".gz":
            return gzip.decompress(path.read_bytes())
        case ".zst":
            try:
                return subprocess.run(
                    ["zstd", "-dcq", path], capture_output=True, check=True
                ).stdout
            except (OSError, subprocess.CalledProcessError) as error:
                raise HostError(f"zstd cannot unpack {path}", "apt install zstd") from error
    return path.read_bytes()


def depends(data: bytes) -> list[str]:
    """The names that a module says it depends on."""
    match = re.search(rb"\0depends=([^\0]*)\0", data)
    return [plain(name) for name in match[1].decode().split(",") if name] if match else []


def _built_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {plain(Path(line).name) for line in path.read_text().split()}
