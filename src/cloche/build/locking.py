"""What of a machine goes into cloche.lock, and holding a machine to it."""

from __future__ import annotations

from collections.abc import Iterable

from cloche.build.errors import LockDriftError, NotLockedError
from cloche.build.workshop import Inputs
from cloche.config.drift import inputs_drift, packages_drift
from cloche.config.lock import DistfilePin, Lock, MachineLock, RepoPin, with_machine
from cloche.config.machine import Machine
from cloche.plan.depgraph import Distfile, Package

_STRONGEST = ("BLAKE2B", "SHA512", "SHA256")  # Manifest hash names (GLEP 74), the best first


def repo_pins(inputs: Inputs) -> dict[str, RepoPin]:
    """The repositories as they are now."""
    return {name: repo.pin for name, repo in inputs.repos.items()}


def machine_lock(machine: Machine, inputs: Inputs, packages: Iterable[Package] = ()) -> MachineLock:
    """The machine's entry: its inputs, and what Portage resolved."""
    packages = tuple(packages)
    pins = {pin_of(file) for package in packages for file in package.distfiles}
    return MachineLock(
        seed=machine.seed,
        profile=f"{machine.profile.repo}:{machine.profile.path}",
        config=next(layer.id for layer in inputs.base if layer.kind == "config"),
        repos=tuple(sorted(inputs.repos)),
        packages=tuple(sorted(package.id for package in packages)),
        distfiles=tuple(sorted(pins)),
    )


def pin_of(file: Distfile) -> DistfilePin:
    """A distfile with the strongest digest that its Manifest gives."""
    kind = next((name for name in _STRONGEST if name in file.digests), "")
    return DistfilePin(file.name, file.size, f"{kind}:{file.digests.get(kind, '')}")


def locked(lock: Lock, machine: Machine, inputs: Inputs, packages: Iterable[Package]) -> Lock:
    """The lock with the machine, and its repositories, as they are now."""
    entry = machine_lock(machine, inputs, packages)
    return with_machine(lock, machine.name, entry, repo_pins(inputs))


def hold_inputs(lock: Lock, machine: Machine, inputs: Inputs) -> None:
    """Refuse inputs that are not the locked ones, before any work.

    Raises `NotLockedError`, `LockDriftError`.
    """
    entry, seed = lock.machines.get(machine.name), lock.seeds.get(machine.seed)
    if entry is None or seed is None:
        raise NotLockedError(machine.name)
    actual = machine_lock(machine, inputs)
    differences = inputs_drift(entry, actual, lock.repos, repo_pins(inputs))
    if seed.layer and seed.layer != inputs.base[0].id:
        differences.append(f"the seed is {inputs.base[0].id[:12]}, locked {seed.layer[:12]}")
    if differences:
        raise LockDriftError(machine.name, tuple(differences))


def hold_packages(
    lock: Lock, machine: Machine, inputs: Inputs, packages: Iterable[Package]
) -> None:
    """Refuse a resolution that is not the locked one. Raises `LockDriftError`."""
    entry = lock.machines[machine.name]
    differences = packages_drift(entry, machine_lock(machine, inputs, packages))
    if differences:
        raise LockDriftError(machine.name, tuple(differences))
