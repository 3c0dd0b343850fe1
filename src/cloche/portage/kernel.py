"""The ebuild repository that builds the kernel of one machine.

A kernel is a package like others, so it has a key, a layer, a log and a place in the plan; its
sources are a build dependency. The repository's name is a digest of what it holds: machines whose
kernels have equal inputs share it, and nothing else has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.kernel import PACKAGE, Kernel

CHECK: Final = "cloche-check.py"
KMOD: Final = "sys-apps/kmod"

_BEGIN: Final = "\n# Of the machine's kernel.\n"
_EBUILD: Final = Path(__file__).with_suffix(".ebuild")
_NAME: Final = re.compile(r"kernel-[0-9a-f]{12}")
_VERSION: Final = re.compile(r"-(\d+(?:\.\d+)*[a-z]?(?:_\w+)*(?:-r\d+)?)$")


@dataclass(frozen=True, slots=True)
class Sources:
    """The package that a machine's kernel is built from. ``cpv`` is empty if none is visible.

    ``arch`` is the machine's ARCH, ``has_kmod`` says whether a repository has `KMOD`.
    """

    cpv: str
    arch: str
    has_kmod: bool


def kernel_repository(
    kernel: Kernel, sources: Sources, check: bytes
) -> tuple[str, dict[str, bytes]]:
    """The name of the repository and its files; ``check`` is the program `kernel_config.py`."""
    assert kernel.sources is not None  # noqa: S101
    flags = kernel.sources.atom.partition("[")
    atom = f"={sources.cpv}{flags[1]}{flags[2]}" if sources.cpv else kernel.sources.atom
    needs = f"{atom} {KMOD}" if sources.has_kmod else atom
    text = _filled(
        _EBUILD.read_text(),
        {
            "CHECK": CHECK,
            "KEYWORDS": sources.arch,
            "BDEPEND": needs,
            "RDEPEND": atom if kernel.keep_sources else "",
            "SOURCES": sources.cpv,
            "CONFIG": kernel.config.name if kernel.config else "",
            "TARGET": kernel.target,
            "FRAGMENTS": " ".join(f'"{each.name}"' for each in kernel.fragments),
        },
    )
    category, _, name = PACKAGE.partition("/")
    place = f"{category}/{name}"
    files = {
        f"{place}/{name}-{_version(sources.cpv)}.ebuild": text.encode(),
        f"{place}/files/{CHECK}": check,
        "metadata/layout.conf": b"masters =\nuse-manifests = false\n",
        "profiles/categories": f"{category}\n".encode(),
        "profiles/eapi": b"8\n",
    }
    for each in (*((kernel.config,) if kernel.config else ()), *kernel.fragments):
        files[f"{place}/files/{each.name}"] = each.content
    repository = f"kernel-{_digest(files)[:12]}"
    return repository, {**files, "profiles/repo_name": f"{repository}\n".encode()}


def configuring() -> bytes:
    """The program by which `cloche kernel` configures one, in the root where it is built."""
    text = _EBUILD.with_name("kernel_config.sh").read_text()
    return _filled(text, {"CHECK": CHECK}).encode()


def is_generated(repository: str) -> bool:
    """Whether a repository is one that `kernel_repository` named."""
    return _NAME.fullmatch(repository) is not None


def with_section(repos_conf: str, name: str, location: str) -> str:
    """The text of repos.conf (portage(5)) with the repository."""
    return f"{repos_conf}{_BEGIN}[{name}]\nlocation = {location}\npriority = -1\nauto-sync = no\n"


def without_section(repos_conf: str) -> str:
    """The text of repos.conf as it was before."""
    return repos_conf.partition(_BEGIN)[0]


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _version(cpv: str) -> str:
    found = _VERSION.search(cpv)
    return found[1] if found else "0"


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
