"""The ebuild repository that builds the kernel of one machine.

A kernel is a package like others, so it has a key, a layer, a log and a place in the plan; its
sources are a build dependency. A second package has what modules are built against. A virtual of
that repository, newer than any other, leads packages of modules to it, and nothing else. The
repository's name is a digest of what it holds: machines whose kernels have equal inputs share it,
and nothing else has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.kernel import PACKAGE, Kernel
from cloche.config.kernel_files import ConfigFile
from cloche.config.kernel_signing import FRAGMENT

CHECK: Final = "cloche-check.py"
PROJECT: Final = "project"  # the directory of the project's files in FILESDIR, by their names there
KMOD: Final = "sys-apps/kmod"
OPENSSL: Final = "dev-libs/openssl"
BUILD: Final = f"{PACKAGE}-build"
SOURCES: Final = "virtual/linux-sources-99999"
"""What packages of modules depend on (linux-mod-r1.eclass)."""

_BEGIN: Final = "\n# Of the machine's kernel.\n"
_NAME: Final = re.compile(r"kernel-[0-9a-f]{12}")
_VERSION: Final = re.compile(r"-(\d+(?:\.\d+)*[a-z]?(?:_\w+)*(?:-r\d+)?)$")


@dataclass(frozen=True, slots=True)
class Sources:
    """The package that a machine's kernel is built from. ``cpv`` is empty if none is visible.

    ``arch`` is the machine's ARCH, ``there`` those of `KMOD` and `OPENSSL` that a repository has.
    """

    cpv: str
    arch: str
    there: frozenset[str] = frozenset()


def kernel_repository(
    kernel: Kernel, sources: Sources, check: bytes
) -> tuple[str, dict[str, bytes]]:
    """The name of the repository and its files; ``check`` is the program `kernel_config.py`."""
    assert kernel.sources is not None  # noqa: S101
    flags = kernel.sources.atom.partition("[")
    atom = f"={sources.cpv}{flags[1]}{flags[2]}" if sources.cpv else kernel.sources.atom
    kmod = KMOD if KMOD in sources.there else ""
    openssl = OPENSSL if kernel.signing and OPENSSL in sources.there else ""
    version = _version(sources.cpv)
    certificate = kernel.signing.certificate if kernel.signing else None
    values = {
        "COMMON": _text("kernel_common.sh"),
        "CHECK": CHECK,
        "KEYWORDS": sources.arch,
        "BDEPEND": " ".join(filter(None, (atom, kmod, openssl))),
        "IDEPEND": kmod,
        "RDEPEND": atom if kernel.keep_sources else "",
        "SOURCES": sources.cpv,
        "CONFIG": _in_filesdir(kernel.config) if kernel.config else "",
        "TARGET": kernel.target,
        "FRAGMENTS": " ".join(f'"{_in_filesdir(each)}"' for each in kernel.merged),
        "CERTIFICATE": _in_filesdir(certificate) if certificate else "",
        "KERNEL": f"{PACKAGE}-{version}",
        "BUILD": f"{BUILD}-{version}",
    }
    place = f"{PACKAGE}/files"
    files = {
        _ebuild(f"{PACKAGE}-{version}"): _filled(_text("kernel.ebuild"), values).encode(),
        _ebuild(f"{BUILD}-{version}"): _filled(_text("kernel_build.ebuild"), values).encode(),
        _ebuild(SOURCES): _filled(_text("kernel_sources.ebuild"), values).encode(),
        f"{place}/{CHECK}": check,
        "metadata/layout.conf": b"masters =\nuse-manifests = false\n",
        "profiles/categories": b"sys-kernel\nvirtual\n",
        "profiles/eapi": b"8\n",
    }
    for each in filter(None, (kernel.config, *kernel.merged, certificate)):
        files[f"{place}/{_in_filesdir(each)}"] = each.content
    repository = f"kernel-{_digest(files)[:12]}"
    return repository, {**files, "profiles/repo_name": f"{repository}\n".encode()}


def configuring() -> bytes:
    """The program by which `cloche kernel` configures one, in the root where it is built."""
    return _filled(_text("kernel_config.sh"), {"CHECK": CHECK}).encode()


def is_generated(repository: str) -> bool:
    """Whether a repository is one that `kernel_repository` named."""
    return _NAME.fullmatch(repository) is not None


def with_section(repos_conf: str, name: str, location: str) -> str:
    """The text of repos.conf (portage(5)) with the repository."""
    return f"{repos_conf}{_BEGIN}[{name}]\nlocation = {location}\npriority = -1\nauto-sync = no\n"


def without_section(repos_conf: str) -> str:
    """The text of repos.conf as it was before."""
    return repos_conf.partition(_BEGIN)[0]


def _in_filesdir(file: ConfigFile) -> str:
    """The name of a file: the project's are apart from cloche's own."""
    return file.name if file is FRAGMENT else f"{PROJECT}/{file.name}"


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


def _ebuild(cpv: str) -> str:
    """The path of a package's ebuild in its repository."""
    name = cpv.partition("/")[2]
    return f"{_VERSION.sub('', cpv)}/{name}.ebuild"


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
