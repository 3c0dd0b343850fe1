"""Crates as a registry has them, and the files of cargo that name them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pycargoebuild.cargo import CRATE_REGISTRY
from tests.autogen.forge import git_archive
from tests.autogen.published import Index, tarball

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MAPPING = """\
[spdx-to-ebuild]
Apache-2.0 = Apache-2.0
Apache-2.0 WITH LLVM-exception = Apache-2.0-with-LLVM-exceptions
BSD-3-Clause = BSD
MIT = MIT
Unicode-3.0 = Unicode-3.0
"""


def manifest(name: str, version: str, licence: str | None = "MIT OR Apache-2.0") -> str:
    stated = "" if licence is None else f'license = "{licence}"\n'
    return f'[package]\nname = "{name}"\nversion = "{version}"\n{stated}rust-version = "1.74"\n'


class Registry:
    """Crates that an index serves below ``/files``; ``lock`` names all of them."""

    def __init__(self, index: Index) -> None:
        self.index, self.lock = index, "version = 4\n"
        self.local("hello")

    @property
    def address(self) -> str:
        return f"{self.index.address}/files"

    def local(self, name: str) -> None:
        self.lock += f'\n[[package]]\nname = "{name}"\nversion = "1.2.0"\n'

    def add(self, name: str, version: str, licence: str | None = "MIT OR Apache-2.0") -> bytes:
        """Publish a crate; the archive."""
        files = {"Cargo.toml": manifest(name, version, licence), "src/lib.rs": ""}
        data = tarball(f"{name}-{version}", files)
        self.publish(name, version, data)
        return data

    def publish(self, name: str, version: str, data: bytes) -> None:
        self.index.files[f"{name}/{version}/download"] = data
        digest = hashlib.sha256(data).hexdigest()
        self.lock += (
            f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n'
            f'source = "{CRATE_REGISTRY}"\nchecksum = "{digest}"\n'
        )

    def commit(self, distdir: Path, name: str, place: str = "crates/inner") -> None:
        """Put the archive of a commit among the distfiles, and name it."""
        workspace = (
            f'[workspace]\nmembers = ["{place}"]\n[workspace.package]\nlicense = "BSD-3-Clause"\n'
        )
        own = f'[package]\nname = "{name}"\nversion = "0.3.0"\nlicense.workspace = true\n'
        data = git_archive(
            f"tools-{COMMIT}", COMMIT, {"Cargo.toml": workspace, f"{place}/Cargo.toml": own}
        )
        distdir.mkdir(exist_ok=True)
        (distdir / f"tools-{COMMIT}.gh.tar.gz").write_bytes(data)
        self.lock += (
            f'\n[[package]]\nname = "{name}"\nversion = "0.3.0"\n'
            f'source = "git+https://github.com/larry/tools?rev=0123456#{COMMIT}"\n'
        )
