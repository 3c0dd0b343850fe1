"""``[kernel]`` of a machine, by the configuration of a kernel and the packages that there are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cloche.config.kernel_files import statement

GENTOO_SOURCES = "sys-kernel/gentoo-sources"
_SOURCES = re.compile(r"(sys-kernel/[\w+-]+-sources)-\d.*")
_DIST = re.compile(r"(sys-kernel/(?:gentoo-kernel-bin|gentoo-kernel|vanilla-kernel))-\d.*")


def is_configuration(content: bytes) -> bool:
    """Whether ``[kernel]`` can have a file as its configuration."""
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        return False
    return all(
        not line.strip() or line.startswith("#") or statement(line) is not None for line in lines
    )


def of_packages(packages: Iterable[str]) -> Mapping[str, str]:
    """Where the kernel of a system is from, by its installed packages; empty if none has one."""
    listed = tuple(packages)
    for key, pattern in (("sources", _SOURCES), ("dist", _DIST)):
        found = sorted({match[1] for cpv in listed if (match := pattern.fullmatch(cpv))})
        if found:
            return {key: GENTOO_SOURCES if GENTOO_SOURCES in found else found[0]}
    return {}


def doubts(file: str) -> str:
    """What may not fit in a configuration of another version."""
    return (
        f"{file}: an option that the kernel's version lacks, or a signing key that a build makes, "
        "ends the build with its line (docs/kernels.md)"
    )
