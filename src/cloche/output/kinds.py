"""The kinds of output of a finished machine. A new one is a row.

A kind that a machine asks for has its word in the machine's ``[output]`` table, too
(`cloche.config.machine.OUTPUTS`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.config.machine import Machine
from cloche.output import binhost, stage4
from cloche.output.finished import Finished, Written


@dataclass(frozen=True, slots=True)
class OutputKind:
    """How a kind is written.

    ``write`` puts it into the finished machine's directory, and ``check`` sees before any work that
    it may. With ``always`` a machine need not ask for it.
    """

    write: Callable[[Finished], Written]
    check: Callable[[Path], None] = lambda directory: None
    always: bool = False


KINDS: Mapping[str, OutputKind] = {
    "stage4": OutputKind(stage4.write),
    "packages": OutputKind(binhost.write, binhost.check, always=True),
}


def wanted(machine: Machine) -> tuple[str, ...]:
    """The kinds that are written of a machine, in the order of the table."""
    return tuple(name for name, kind in KINDS.items() if kind.always or name in machine.outputs)
