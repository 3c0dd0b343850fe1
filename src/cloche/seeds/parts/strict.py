"""What a strict build sees of a seed: a named toolchain, and the parts that its package declares.

The implicit system of a seed is larger than it need be: autoconf, bison, pkg-config and the like
are there although packages have to name them as dependencies. A strict build sees one layer with
what no package owns and the toolchain, the `ground`, and besides it the parts that stand for what
it depends on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from cloche.layers import Layer
from cloche.seeds.debian.packages import Installed
from cloche.seeds.debian.provided import Provided
from cloche.seeds.parts.splitting import REST

# What stays of Debian, with all that it needs at run time and Debian's essential packages (which no
# package has to name, Debian Policy 3.8): what Portage itself runs, and what stands for Gentoo's
# @system. And ccache, which shows in no result.
TOOLCHAIN = frozenset(
    {"bash", "binutils", "bzip2", "coreutils", "diffutils", "file", "findutils", "g++", "gawk"}
    | {"ccache", "gcc", "grep", "gzip", "libc-bin", "libc6", "libc6-dev", "make", "mount", "passwd"}
    | {"patch", "pax-utils", "procps", "python3", "sed", "tar", "tzdata", "util-linux", "wget"}
    | {"xz-utils", "zstd"}
)
# The cross compilers that a Debian seed may have.
_CROSS = re.compile(r"(gcc|g\+\+)-[a-z0-9-]+-linux-[a-z0-9]+")
# Had done its work when the tree was made, and would bring all of Perl along.
_DONE = frozenset({"usrmerge"})
# The same of a Gentoo system. All of a category where the name ends with a slash: what stands for
# one program or another (awk, sh, libc) is small, and goes where the toolchain goes.
GENTOO_TOOLCHAIN = (
    *("app-alternatives/", "app-arch/bzip2", "app-arch/gzip", "app-arch/tar", "app-arch/xz-utils"),
    *("app-arch/zstd", "app-misc/pax-utils", "app-shells/bash", "dev-build/make"),
    *("dev-lang/python", "dev-util/ccache", "llvm-core/", "net-misc/wget", "sys-apps/baselayout"),
    *("sys-apps/coreutils", "sys-apps/diffutils", "sys-apps/file", "sys-apps/findutils"),
    *("sys-apps/gawk", "sys-apps/grep", "sys-apps/portage", "sys-apps/sandbox", "sys-apps/sed"),
    *("sys-apps/shadow", "sys-apps/util-linux", "sys-devel/binutils", "sys-devel/binutils-config"),
    *("sys-devel/gcc", "sys-devel/gcc-config", "sys-devel/patch", "sys-kernel/linux-headers"),
    *("sys-libs/glibc", "sys-libs/musl", "sys-libs/timezone-data", "sys-process/procps"),
    *("virtual/libc", "virtual/os-headers"),
)

Needs = Mapping[str, tuple[str, ...]]
"""For each part the parts that it needs at run time."""


@dataclass(frozen=True, slots=True)
class SeedParts:
    """A seed in parts: ``ground`` is what every build sees, ``layers`` are the parts besides it.

    The latter lie over each other in their order. ``merged`` are the ids of the parts that the
    ground was made of.
    """

    ground: Layer
    layers: Mapping[str, Layer]
    needs: Needs
    merged: tuple[str, ...] = ()

    @property
    def trees(self) -> frozenset[str]:
        """The ids of all that has to be kept for it."""
        return frozenset({self.ground.id, *self.merged, *(p.id for p in self.layers.values())})

    def visible(self, names: Iterable[str]) -> tuple[Layer, ...]:
        """The layers of these parts and of what they need, in order; none of the ground."""
        wanted = closure(names, self.needs)
        return tuple(
            # A package may have the same name, and be another one's part of the seed.
            replace(layer, kind="seed-part", label=f"seed:{name}")
            for name, layer in self.layers.items()
            if name in wanted
        )

    def declarable(self, names: Iterable[str]) -> tuple[str, ...]:
        """The Gentoo packages (CATEGORY/PF) that bring these parts."""
        wanted = frozenset(names)
        return tuple(
            name
            for name in sorted(self.layers)
            if "/" in name and (name in wanted or not wanted.isdisjoint(self.needs.get(name, ())))
        )


def closure(names: Iterable[str], needs: Needs) -> frozenset[str]:
    """Names with all that they need."""
    todo, found = list(names), set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += needs.get(name, ())
    return frozenset(found)


def in_parts(
    parts: Mapping[str, Layer],
    toolchain: Iterable[str],
    needs: Needs,
    merged: Callable[[Mapping[str, Layer]], Layer],
) -> SeedParts:
    """Divide the parts into ground and others; ``merged`` makes one layer of several.

    Both are sorted by name.
    """
    kept = closure([REST, *toolchain], needs)
    parts = dict(sorted(parts.items()))
    ground = {name: layer for name, layer in parts.items() if name in kept}
    others = {name: layer for name, layer in parts.items() if name not in kept}
    return SeedParts(merged(ground), others, needs, tuple(p.id for p in ground.values()))


def debian_needs(packages: Iterable[Installed], known: Iterable[Provided]) -> dict[str, set[str]]:
    """What Debian's packages need of each other, and what Gentoo's names stand for.

    Of alternatives the real packages count, and who provides them only where there is none.
    """
    packages = list(packages)
    names = {package.name for package in packages}
    providers: dict[str, list[str]] = {}
    for package in packages:
        for name in package.provides:
            providers.setdefault(name, []).append(package.name)
    needs: dict[str, set[str]] = {name: set() for name in names}
    for package in packages:
        for group in package.needs:
            real = [need for need in group if need in names]
            virtual = [name for need in group for name in providers.get(need, ())]
            needs[package.name].update(real or virtual)
    for each in known:
        needs[each.cpv] = {each.debian, *each.needs}
    return {name: needed - _DONE for name, needed in needs.items()}


def debian_toolchain(
    packages: Iterable[Installed], known: Iterable[Provided], needs: Needs
) -> frozenset[str]:
    """The toolchain of a Debian seed, with Gentoo's names for what is in it."""
    packages = list(packages)
    names = {package.name for package in packages}
    essential = {package.name for package in packages if package.essential}
    cross = {name for name in names if _CROSS.fullmatch(name)}
    kept = closure((TOOLCHAIN & names | essential | cross) - _DONE, needs)
    return kept | {each.cpv for each in known if {each.debian, *each.needs} <= kept}


def gentoo_toolchain(installed: Iterable[str]) -> frozenset[str]:
    """Those of the installed packages (CATEGORY/PF) that are the toolchain's."""
    patterns = [
        re.escape(name) + (r".*" if name.endswith("/") else r"-\d[^/]*")
        for name in GENTOO_TOOLCHAIN
    ]
    wanted = re.compile("|".join(patterns))
    return frozenset(cpv for cpv in installed if wanted.fullmatch(cpv))
