"""What packages of a root of its own use without declaring it: its toolchain and its layout.

By Gentoo's policy an ebuild does not name the C library, the kernel's headers or the compiler's
run-time libraries (Devmanual, "Implicit system dependency"), nor the package that brings the top
directories, links and /etc/passwd. Over a seed they are the seed's. In a root of its own they are
packages of the plan, and come first: every build sees the toolchain, and every build and merge the
layout. Where /usr is merged, linkers find the loader by its link (/lib64). Hooks add users and
groups to its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloche.plan.depgraph import BUILDTIME, INSTALL, RUNTIME, Depgraph, Package

#: In the order in which they are built.
TOOLCHAIN = (
    "sys-kernel/linux-headers",
    "sys-libs/glibc",
    "sys-libs/musl",
    "sys-libs/libxcrypt",
    "sys-devel/gcc",
    "llvm-runtimes/compiler-rt",
    "llvm-runtimes/libunwind",
    "llvm-runtimes/libcxxabi",
    "llvm-runtimes/libcxx",
)
#: Directories, links, users and groups that every root has.
LAYOUT = "sys-apps/baselayout"
_NEEDED_BEFORE = frozenset({BUILDTIME, RUNTIME, INSTALL})


def toolchain(graph: Depgraph) -> tuple[Package, ...]:
    """The packages of the toolchain that go into the root of its own, in their order."""
    return _own(graph, TOOLCHAIN)


def layout(graph: Depgraph) -> tuple[Package, ...]:
    """The package of the layout that goes into the root of its own, if there is one."""
    return _own(graph, (LAYOUT,))


def _own(graph: Depgraph, names: Sequence[str]) -> tuple[Package, ...]:
    own = [package for package in graph.packages if not package.broot]
    return tuple(package for cp in names for package in own if package.cp == cp)


def implicit_first(graph: Depgraph) -> Depgraph:
    """The same packages with layout and toolchain first, each part after all that it needs.

    Otherwise they stay in Portage's merge order, which does not know the undeclared dependency.
    """
    by_id = graph.by_id()
    placed: dict[str, None] = {}
    for part in (*layout(graph), *toolchain(graph)):
        needed, todo = set[str](), [part.id]
        while todo:
            name = todo.pop()
            if name not in needed and name in by_id:
                needed.add(name)
                todo.extend(by_id[name].targets(_NEEDED_BEFORE))
        placed.update(dict.fromkeys(each.id for each in graph.packages if each.id in needed))
    placed.update(dict.fromkeys(by_id))
    return replace(graph, packages=tuple(by_id[name] for name in placed))
