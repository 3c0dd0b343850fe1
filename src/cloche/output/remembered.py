"""What the store remembers of machines that were built."""

from __future__ import annotations

from cloche.config.machine import Machine
from cloche.store import Pin, Store, names


def finished_machine(store: Store, machine: Machine) -> Pin | None:
    """What the store remembers of a machine that was built to its end."""
    pin = store.pin_of(names.machine(machine.place, machine.name))
    return pin if pin is not None and pin.data.get("layers") else None
