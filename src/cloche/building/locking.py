"""Writes a machine's entry of cloche.lock, and checks a machine against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cloche.binhosts import index
from cloche.building.configuration import has_patches
from cloche.building.context import BuildContext, Inputs
from cloche.building.errors import lock_drift
from cloche.building.kernels import GENERATED
from cloche.building.livepins import is_live
from cloche.config.drift import config_drift, inputs_drift, live_drift, packages_drift
from cloche.config.lock import BinpkgPin, DistfilePin, Lock, MachineLock, RepoPin
from cloche.config.lock_entries import with_machine
from cloche.config.machine import Machine
from cloche.errors import ClocheError
from cloche.plan.depgraph import Distfile, Package
from cloche.tasks import distfiles


def repo_pins(inputs: Inputs) -> dict[str, RepoPin]:
    """The repositories as they are now, without one whose name is a digest of its content."""
    return {name: repo.pin for name, repo in inputs.repos.items() if repo.pin.type != GENERATED}


def machine_lock(
    machine: Machine,
    inputs: Inputs,
    packages: Iterable[Package] = (),
    gpkgs: Mapping[str, str] | None = None,
) -> MachineLock:
    """The machine's entry: its inputs, and what Portage resolved.

    ``gpkgs`` are the blobs of packages from binary package hosts, by package.
    """
    packages = tuple(packages)
    pins = {pin_of(file) for package in packages for file in package.distfiles}
    return MachineLock(
        seed=machine.seed,
        profile=f"{machine.profile.repo}:{machine.profile.path}",
        config=next(layer.id for layer in inputs.base if layer.kind == "config"),
        repos=tuple(sorted(repo_pins(inputs))),
        packages=tuple(sorted(package.id for package in packages)),
        distfiles=tuple(sorted(pins)),
        binrepos=tuple(inputs.binhosts),
        binpkgs=tuple(sorted(binpkg_pin(each, gpkgs or {}) for each in packages if each.binary)),
    )


def pin_of(file: Distfile) -> DistfilePin:
    """A distfile with the strongest digest that its Manifest gives."""
    kind = next((name for name in distfiles.ALGORITHMS if name in file.digests), "")
    return DistfilePin(file.name, file.size, f"{kind}:{file.digests.get(kind, '')}")


def binpkg_pin(package: Package, gpkgs: Mapping[str, str]) -> BinpkgPin:
    """The pin of a package from a host; its digest is empty if it was not fetched."""
    binary = package.binary
    assert binary is not None  # noqa: S101
    return BinpkgPin(f"{binary.host}/{binary.path}", binary.size, gpkgs.get(package.id, ""))


def fetched_binpkgs(context: BuildContext, packages: Iterable[Package]) -> dict[str, str]:
    """Fetch and verify those packages that come from a host; return their blobs by package.

    A host's index only has weak digests, so a package must be fetched to be pinned. Raises as
    `binpkg.obtain`.
    """
    from cloche.building import binpkg

    return {each.id: binpkg.obtain(context, each) for each in packages if each.binary}


def locked(
    lock: Lock,
    machine: Machine,
    inputs: Inputs,
    packages: Iterable[Package],
    gpkgs: Mapping[str, str],
) -> Lock:
    """The lock with the present state of the machine and all its inputs."""
    entry = machine_lock(machine, inputs, packages, gpkgs)
    return with_machine(lock, machine.name, entry, repo_pins(inputs), index.pins(inputs.binhosts))


def hold_inputs(lock: Lock, machine: Machine, inputs: Inputs) -> None:
    """Refuse inputs that differ from the locked ones, before any work.

    Where there are user patches, the configuration is compared by `hold_packages`. Raises
    `ClocheError`.
    """
    entry, seed = lock.machines.get(machine.name), lock.seeds.get(machine.seed)
    if entry is None or seed is None:
        raise ClocheError(
            f"the machine {machine.name} is not in cloche.lock",
            todo=f"run `cloche lock {machine.name}`, and put the file under version control",
        )
    actual = machine_lock(machine, inputs)
    if has_patches(inputs.etc):  # the layer gets those of the machine's packages
        actual = replace(actual, config="")
    differences = inputs_drift(entry, actual, lock.repos, repo_pins(inputs))
    if seed.layer and seed.layer != inputs.base[0].id:
        differences.append(f"the seed is {inputs.base[0].id[:12]}, locked {seed.layer[:12]}")
    for name, host in inputs.binhosts.items():
        pin = lock.binrepos.get(name)
        if name in entry.binrepos and (pin is None or pin.index != host.index):
            was = pin.index[:12] if pin else "none"
            differences.append(f"the index of {name} is {host.index[:12]}, locked {was}")
    if differences:
        raise lock_drift(machine.name, tuple(differences))


def locked_binpkgs(lock: Lock, machine: Machine) -> dict[str, str]:
    """Digests of the machine's packages from hosts, by host and path."""
    return {pin.path: pin.sha256 for pin in lock.machines[machine.name].binpkgs}


def hold_packages(
    lock: Lock, machine: Machine, inputs: Inputs, packages: Iterable[Package]
) -> None:
    """Refuse a resolution that differs from the locked one. Raises `ClocheError`."""
    entry, packages = lock.machines[machine.name], tuple(packages)
    actual = machine_lock(machine, inputs, packages)
    differences = config_drift(entry, actual) + packages_drift(entry, actual)
    differences += live_drift([each.id for each in packages if is_live(each)], lock, lock)
    if differences:
        raise lock_drift(machine.name, tuple(differences))
