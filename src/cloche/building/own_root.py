"""Checks that a root of its own can be built at all: a C library in it, a compiler in the seed."""

from __future__ import annotations

from cloche.building.compilers import compiles
from cloche.building.context import BuildContext
from cloche.errors import ClocheError, Exit
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan

#: What a C library is, or brings one.
C_LIBRARIES = ("sys-libs/glibc", "sys-libs/musl", "dev-libs/dietlibc", "sys-libs/klibc")


def check(context: BuildContext, plan: Plan) -> None:
    """Refuse a machine whose packages cannot be built for its root. Raises ClocheError."""
    inputs = context.inputs
    own = [package for package in plan.packages if not package.broot]
    if not inputs.own_root or not any(map(may_compile, own)):
        return
    if not any(package.cp in C_LIBRARIES for package in own):
        raise ClocheError(
            "its root of its own gets no C library, with which its packages could be built",
            where=f"machine {inputs.machine}",
            todo=f"add @system of a profile that has one to its sets, or {C_LIBRARIES[0]} or "
            f"{C_LIBRARIES[1]} to its packages",
            status=Exit.BAD_INPUT,
        )
    parts = inputs.seed_parts.layers.values() if inputs.seed_parts else ()
    if not any(compiles(layer.path) for layer in (*inputs.ground, *parts)) and not any(
        package.cp in ("sys-devel/gcc", "llvm-core/clang") for package in plan.packages
    ):
        raise ClocheError(
            "its seed has no compiler",
            where=f"machine {inputs.machine}",
            todo="use a seed with a toolchain, such as a stage3, or add it to the seed's packages",
            status=Exit.BAD_INPUT,
        )


def may_compile(package: Package) -> bool:
    """Whether a package may compile something: it has sources, or phases of its own for that."""
    if package.binary is not None:
        return False
    return bool(package.distfiles) or not {"configure", "compile"}.isdisjoint(
        package.defined_phases
    )
