"""Who would bring a file that a root lacks: packages whose layers are in the store, or the seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cloche.building.context import BuildContext
from cloche.building.diagnose import installed_files
from cloche.building.hints import layers_of_repositories
from cloche.composing.places import Places, look_into
from cloche.plan.names import cp_of

_LIBRARIES = ("lib64", "lib", "usr/lib64", "usr/lib")
_PROGRAMS = ("usr/bin", "bin", "usr/sbin", "sbin")


def bringers(context: BuildContext, wanted: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The packages (CATEGORY/PN) that own files, for each library (soname), program or path.

    Of a path, ``/usr`` at its beginning is left out: /bin and /usr/bin may be one.
    """
    names = {name.rpartition("/")[2] for name in wanted}
    found: dict[str, set[str]] = {name: set() for name in wanted}
    for layer in layers_of_repositories(context):
        for cpv, path in installed_files(layer):
            if path.rpartition("/")[2] in names:
                for name in wanted:
                    if _is(path, name):
                        found[name].add(cp_of(cpv))
    return {name: tuple(sorted(packages)) for name, packages in found.items()}


def _is(path: str, name: str) -> bool:
    if name.startswith("/"):
        return path.removeprefix("/usr") == name.removeprefix("/usr")
    return path.rpartition("/")[2] == name


def in_seed(context: BuildContext, name: str) -> str | None:
    """Where the seed has a library, program or path."""
    places = Places(look_into(context.inputs.base))
    if name.startswith("/"):
        candidates = [name.strip("/")]
    else:
        triplets = [
            f"usr/lib/{cpu}-linux-{abi}"
            for cpu in ("x86_64", "i386", "aarch64", "arm", "riscv64", "powerpc64le")
            for abi in ("gnu", "gnueabihf")
        ]
        candidates = [f"{at}/{name}" for at in (*_LIBRARIES, *triplets, *_PROGRAMS)]
    for path in candidates:
        real = places.place(path).real
        if real is not None and places.look(real) is not None:
            return f"/{path}"
    return None
