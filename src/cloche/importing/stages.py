"""Which of Gentoo's stage3s and profiles a word, or a profile, stands for.

Source: the names below ``releases/ARCH/autobuilds`` and ``profiles/default/linux/ARCH/23.0``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_RELEASE = "23.0"
#: Words of a profile, and what a stage3 of it and the profile are called.
_FLAVOURS: Final = {
    frozenset(words.split()): (flavour, path)
    for words, flavour, path in (
        ("", "openrc", ""),
        ("systemd", "systemd", "systemd"),
        ("desktop", "desktop-openrc", "desktop"),
        ("desktop systemd", "desktop-systemd", "desktop/systemd"),
        ("hardened", "hardened-openrc", "hardened"),
        ("hardened systemd", "hardened-systemd", "hardened/systemd"),
        ("hardened selinux", "hardened-selinux-openrc", "hardened/selinux"),
        ("llvm", "llvm-openrc", "llvm"),
        ("llvm systemd", "llvm-systemd", "llvm/systemd"),
        ("musl", "musl", "musl"),
        ("musl hardened", "musl-hardened", "musl/hardened"),
        ("musl llvm", "musl-llvm", "musl/llvm"),
        ("no-multilib", "nomultilib-openrc", "no-multilib"),
        ("no-multilib systemd", "nomultilib-systemd", "no-multilib/systemd"),
        ("no-multilib hardened", "hardened-nomultilib-openrc", "no-multilib/hardened"),
    )
}
_SAME: Final = {
    "nomultilib": "no-multilib",
    "clang": "llvm",
    "gnome": "desktop",
    "plasma": "desktop",
}
_WORDS: Final = frozenset().union(*_FLAVOURS)
_ARCHES: Final = {"amd64", "arm64", "arm", "ppc64", "riscv", "x86", "loong", "s390", "sparc"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage3 (ARCH, flavour) and a profile. ``exact`` says whether all words were known."""

    arch: str
    flavour: str
    profile: str
    exact: bool

    @property
    def seed(self) -> str:
        """What its seed is called in a project."""
        return f"stage3-{self.arch}-{self.flavour}"


def stage_named(name: str, arch: str) -> Stage:
    """The stage3 and the profile that a user means by a name such as ``musl-hardened``."""
    words = [_SAME.get(word, word) for word in re.findall(r"no-multilib|[a-z0-9]+", name.lower())]
    known = frozenset(words) & _WORDS
    flavour, path = _FLAVOURS.get(known) or _FLAVOURS[frozenset()]
    rest = set(words) - _WORDS - {arch, "default", "openrc", "stage3", "linux", "vanilla"}
    exact = known in _FLAVOURS and not rest and bool(words)
    below = f"/{path}" if path else ""
    return Stage(arch, flavour, f"gentoo:default/linux/{arch}/{_RELEASE}{below}", exact)


def stage_for(profile: str, arch: str, *, systemd: bool) -> Stage:
    """The stage3 that a system with a profile ``REPO:PATH`` was made of, most likely.

    ``arch`` is used if the profile does not name one.
    """
    parts = profile.partition(":")[2].split("/")
    named = next((part for part in parts if part in _ARCHES), arch)
    words = {_SAME.get(part, part) for part in parts} & _WORDS
    if systemd:
        words.add("systemd")
    flavour, _ = _FLAVOURS.get(frozenset(words)) or _FLAVOURS[frozenset(words & {"systemd"})]
    return Stage(named, flavour, profile, frozenset(words) in _FLAVOURS)
