"""Checks that a root of its own can be built: a C library that suits, a compiler in the seed."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.building.compilers import BUILD_TOOLS, build_tools
from cloche.building.context import BuildContext, Inputs
from cloche.building.crossing import Crossing, build_chost
from cloche.composing.footprint import entries
from cloche.config.chost import cpu_of, tool_prefixes
from cloche.config.elf_formats import programs_of
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.names import cp_of
from cloche.plan.plan import Plan
from cloche.plan.versions import version_key
from cloche.portage.cpv import split_cpv
from cloche.records.events import Note
from cloche.seeds.debian.packages import is_debian

#: What a C library is, or brings one.
C_LIBRARIES = ("sys-libs/glibc", "sys-libs/musl", "dev-libs/dietlibc", "sys-libs/klibc")


def check(context: BuildContext, plan: Plan) -> None:
    """Refuse a machine whose packages cannot be built for its root; warn where some may not be.

    Raises ClocheError.
    """
    inputs = context.inputs
    if not inputs.own_root:
        return
    own = [package for package in plan.packages if not package.broot]
    if not own:
        raise _refused(
            inputs.machine,
            "its root of its own gets no packages",
            "name packages in its file, or @system with a profile whose `packages` files list some "
            f"({':'.join(inputs.profile)} lists none)",
        )
    if inputs.cross is not None:
        check_cross(inputs.cross, inputs, plan)
    if inputs.sysroot or not any(map(may_compile, own)):
        return
    if inputs.cross is None:
        _check_native(inputs, own)
    if not any(package.cp in C_LIBRARIES for package in own):
        raise _refused(
            inputs.machine,
            "its root of its own gets no C library, with which its packages could be built",
            f"add @system of a profile that has one to its sets, or {C_LIBRARIES[0]} or "
            f"{C_LIBRARIES[1]} to its packages",
        )
    native = [each for each in plan.packages if each.broot or inputs.cross is None]
    if any(map(may_compile, native)) and (lacking := _lacking(context, plan)):
        raise _refused(
            inputs.machine,
            f"its seed has no {lacking}",
            "use a seed with a toolchain, such as a stage3, or add it to the seed's packages",
        )
    if warning := newer([package.cpv for package in own], installed(inputs.base)):
        context.bus(Note(text=warning, level="warning"))


def _refused(machine: str, what: str, todo: str) -> ClocheError:
    return ClocheError(what, where=f"machine {machine}", todo=todo, status=Exit.BAD_INPUT)


def _lacking(context: BuildContext, plan: Plan) -> str | None:
    """What the seed lacks of a toolchain: neither it has that, nor is it merged over the seed."""
    if any(p.broot and p.cp in ("sys-devel/gcc", "llvm-core/clang") for p in plan.packages):
        return None
    inputs = context.inputs
    parts = inputs.seed_parts.layers.values() if inputs.seed_parts else ()
    found = {tool for layer in (*inputs.ground, *parts) for tool in build_tools(layer.path)}
    return next((tool for tool in BUILD_TOOLS if tool not in found), None)


def check_cross(cross: Crossing, inputs: Inputs, plan: Plan) -> None:
    """Refuse a machine for another CPU whose packages its seed cannot build. Raises ClocheError."""
    chost = cross.tools.chost
    if not cross.found and any(may_compile(each) for each in plan.packages if not each.broot):
        # Debian only has cross compilers for the GNU C library.
        debian = "-linux-gnu" in chost and is_debian(inputs.base[0].path)
        todo = (
            _debian_compiler(cross) if debian else f"take a seed that has {chost}-gcc in /usr/bin"
        )
        raise _refused(inputs.machine, f"its seed has no compiler for {chost}", todo)
    arches = sorted({package.environment.get("ARCH", "") for package in plan.packages} - {""})
    if arches and cross.cpu.gentoo not in arches:
        what = f"its profile is for {arches[0]}, but its chost {chost} for {cross.cpu.gentoo}"
        todo = f"use a profile whose ARCH is {cross.cpu.gentoo}, or correct `chost`"
        raise _refused(inputs.machine, what, todo)


def _check_native(inputs: Inputs, own: Iterable[Package]) -> None:
    """Refuse a machine without `chost` if its seed's CPU does not run programs of its profile's.

    Raises ClocheError.
    """
    seed = cpu_of(build_chost(inputs.interpreters))
    for chost in sorted({package.environment.get("CHOST", "") for package in own}):
        cpu = cpu_of(chost)
        if seed and cpu and cpu.elf not in programs_of(seed.elf):
            what = f"its profile is for {cpu.gentoo} (CHOST {chost}), its seed for {seed.gentoo}"
            todo = (
                f'add `chost = "{chost}"` and use a seed with a compiler for it, or use a profile '
                f"for {seed.gentoo}"
            )
            raise _refused(inputs.machine, what, todo)


def _debian_compiler(cross: Crossing) -> str:
    """What to add to a Debian seed."""
    triplet = tool_prefixes(cross.tools.chost)[1].rstrip("-")
    return (
        f'add "crossbuild-essential-{cross.cpu.debian}" to `packages` of the seed in cloche.toml, '
        f'or where the suite has no such package, "g++-{triplet}"'
    )


def installed(base: Iterable[Layer]) -> list[str]:
    """CPVs of the seed's VDB; a Debian seed has entries for what its packages stand for."""
    return [cpv for layer in base for cpv in entries(layer.path)]


def newer(own: Iterable[str], seed: Iterable[str]) -> str | None:
    """What to say if the root gets a newer C library than the seed has; both are CPVs.

    What a build makes and runs uses the seed's, and a program that was linked with a newer one may
    need symbols that an older one lacks.
    """
    for cp in C_LIBRARIES:
        ours, theirs = (
            max((split_cpv(cpv).version for cpv in cpvs if cp_of(cpv) == cp), key=version_key,
                default=None)
            for cpvs in (own, seed)
        )  # fmt: skip
        if ours and theirs and version_key(ours) > version_key(theirs):
            return (
                f"{cp}-{ours} is newer than the seed's ({theirs}): builds that run what they have "
                f"made may fail; use a newer seed, or mask >{cp}-{theirs}"
            )
    return None


def may_compile(package: Package) -> bool:
    """Whether a package may compile something: it has sources, or phases of its own for that."""
    if package.binary is not None:
        return False
    return bool(package.distfiles) or not {"configure", "compile"}.isdisjoint(
        package.defined_phases
    )
