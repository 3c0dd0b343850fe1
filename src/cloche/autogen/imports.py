"""Imports the Python modules of a package in a root that has only its run-time dependencies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from cloche.building.context import BuildContext
from cloche.building.finish_checks import VDB
from cloche.building.packages import Builder
from cloche.building.stages import stage_command
from cloche.layers import Layer
from cloche.plan.visible import machine_members
from cloche.records.logs import new_log
from cloche.roots import unions
from cloche.sandbox.base import Command, Sandbox
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import ENVIRONMENT, describe, tail_of
from cloche.tasks.worker import make_directory

_SITE = re.compile(
    r"/?(?P<site>(?:\S*/)?lib(?:64)?/(?P<python>python3\.\d+)/(?:site|dist)-packages)/(?P<file>.+)"
)
_MODULE = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)?\.so)")
_NOT_MEANT = frozenset({"conftest", "setup", "test", "tests", "testing", "docs", "examples"})

#: The program that imports, run by the interpreter whose modules they are.
PROGRAM = """\
import importlib, sys
failed = 0
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        print(f"{name}: imported", flush=True)
    except BaseException as error:
        failed = 1
        print(f"{name}: {type(error).__name__}: {error}", flush=True)
sys.exit(failed)
"""


def modules(files: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The top-level modules among the files of a package, by interpreter. A pure function.

    In a namespace package (PEP 420), the modules inside it are returned. Test modules and names
    that begin with ``_`` are returned only if the package has no other modules.
    """
    found: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    packages: set[tuple[str, tuple[str, ...]]] = set()
    for each in files:
        match = _SITE.fullmatch(each)
        if match is None:
            continue
        *above, name = PurePosixPath(match["file"]).parts
        module = _MODULE.fullmatch(name)
        if module is None or not all(part.isidentifier() for part in above):
            continue
        if module["name"] == "__init__":
            packages.add((match["python"], tuple(above)))
            found[match["python"]].add(tuple(above))
        else:
            found[match["python"]].add((*above, module["name"]))
    chosen: dict[str, tuple[str, ...]] = {}
    for python, names in sorted(found.items()):
        outer = [
            name
            for name in names
            if name and not any((python, name[:depth]) in packages for depth in range(1, len(name)))
        ]
        meant = [n for n in outer if not n[0].startswith("_") and n[0] not in _NOT_MEANT]
        chosen[python] = tuple(sorted(".".join(name) for name in meant or outer))
    return chosen


def failed_import(context: BuildContext, builder: Builder, cpv: str) -> StepError | None:
    """Import the modules of a package in a root that has only its run-time dependencies.

    Returns the error for a module that cannot be imported. Raises `ClocheError`.
    """
    package = next(each for each in builder.plan.packages if each.cpv == cpv)
    made = {id: found for id, (found, _) in builder.results.items()}
    alone = tuple(replace(each, requested=each.id == package.id) for each in builder.plan.packages)
    names = machine_members(replace(builder.plan.graph, packages=alone))
    layers = builder.layers(names, made, where=f"the root of {cpv}")
    found = modules(_files((*context.inputs.bottom, *layers), cpv))
    log = new_log(context.store, cpv, "import")
    with context.store.workspace("import") as workspace:
        lowers = unions.lowers(context.store, context.inputs.bottom, layers)
        upper = make_directory(workspace, "root")
        sandbox = Sandbox(lowers=lowers, upper=upper, limits=context.policy.limits)
        for python, wanted in found.items():
            words = (f"/usr/bin/{python}", "-c", PROGRAM, *wanted)
            command = Command(words, ENVIRONMENT, timeout=context.policy.phase_seconds)
            ended = stage_command(context, "import", sandbox, command, log)
            if not ended.ok:
                said = tail_of(log, 100).splitlines()
                wrong = [line for line in said if not line.endswith(": imported")]
                reason = wrong[-1] if wrong else describe(ended)
                return StepError(
                    cpv, "import", reason, log=str(log), todo=f"see {log}", detail="\n".join(wrong)
                )
    return None


def _files(layers: Sequence[Layer], cpv: str) -> Iterator[str]:
    """The files of an installed package, as Portage recorded them in the uppermost layer."""
    places = (each.path / VDB / cpv / "CONTENTS" for each in reversed(layers))
    path = next((each for each in places if each.is_file()), None)
    for line in path.read_text(errors="surrogateescape").splitlines() if path else ():
        if line.startswith("obj "):
            yield line[4:].rsplit(" ", 2)[0]
