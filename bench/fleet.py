"""Whole commands of a project: a freshroot to its prompt, one plan over six machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.place import ROOT, BenchError, Place, settle
from bench.starts import stored
from bench.table import Aim, Row, median_row
from cloche.session.choices import Choices
from cloche.session.session import open_session
from cloche.store import Store, gc, names

FLEET = ROOT / "examples/fleet"
WARM = 2  # rounds before the first that counts
PROMPT = 60  # milliseconds
MACHINE = "mini"
LOADED = "import cloche.cli.freshroot, cloche.workflows.freshroot, cloche.workflows.freshroot_desk"


def prompt_rows(place: Place, number: int, runs: int) -> list[Row]:
    """From the command to the first byte of a shell in a freshroot of a machine of many layers."""
    project = place.project("freshroot")
    _pretend_built(place, project, number)
    settle()
    opened: list[float] = []
    started: list[float] = []
    loaded: list[float] = []
    for each in range(WARM + runs):
        words = ("-m", "cloche.cli", "-C", project, "--store", place.store, "freshroot", MACHINE)
        taken = (
            _until_first_byte(*words, "--", "/bin/sh", "-c", "echo"),
            _until_first_byte("-c", "print()"),
            _until_first_byte("-c", f"{LOADED}; print()"),
        )
        if each >= WARM:
            for times, one in zip((opened, started, loaded), taken, strict=True):
                times.append(one)
    what = f"a freshroot of a machine of {number} packages, from the command to its first output"
    return [
        median_row(what, opened, "ms", (started, "Python, to its first output"), _prompt_aim()),
        median_row(what, opened, "ms", (loaded, "Python and cloche's modules, loaded")),
    ]


def _prompt_aim() -> Aim:
    return Aim(PROMPT, of="value")


def _pretend_built(place: Place, project: Path, number: int) -> None:
    """Give a machine layers of one file each, as if it had been built."""
    with open_session(project, store=place.store) as session:
        machine = session.project.machine(MACHINE)
        with session.context(machine, Choices(offline=True)) as context:
            base = [layer.id for layer in context.inputs.base]
        layers = [layer.id for layer in stored(place, session.store, number)]
        data = {"project": str(project), "machine": MACHINE, "base": base, "layers": layers}
        name = names.machine(machine.place, machine.name)
        session.store.pin(name, [*base, *layers], (), data)


def _until_first_byte(*words: str | Path) -> float:
    """Milliseconds from the start of a Python to what it prints first. Raises BenchError."""
    command = [sys.executable, *map(str, words)]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1)
        took = time.monotonic() - began
        process.stdout.read()
    if not first or process.returncode:
        raise BenchError(f"{' '.join(command)}: status {process.returncode}")
    return took * 1e3


def plan_rows(place: Place, rounds: int) -> list[Row]:
    """Plans of all machines of the fleet, and of each alone, from a store that has the seed."""
    shutil.copytree(FLEET.parent / "workbench/repo", place.directory / "workbench/repo")
    project = place.directory / "fleet"
    shutil.copytree(FLEET, project, ignore=shutil.ignore_patterns("out", "cloche.lock"))
    machines = sorted(path.stem for path in (project / "machines").glob("*.toml"))
    times: dict[str, list[float]] = {name: [] for name in (*machines, "--all")}
    for _ in range(rounds):
        for name, own in times.items():
            own.append(_planned(place, project, (name,)))
    longest = max((times[name] for name in machines), key=lambda own: sorted(own)[len(own) // 2])
    what = f"one plan over {len(machines)} machines, from a store that has only the seed"
    return [median_row(what, times["--all"], "s", (longest, "the longest of them alone"), Aim(1.3))]


def _planned(place: Place, project: Path, words: Sequence[str]) -> float:
    """Seconds from the start of a build to its plan; the build is then ended."""
    _forget(place)
    settle()
    own = (sys.executable, "-m", "cloche.cli", "-C", project, "--store", place.store)
    command = [*map(str, own), "build", *words, "--progress", "json"]
    began = time.monotonic()
    took = None
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if took is None and json.loads(line)["event"] == "planned":
                took = time.monotonic() - began
                process.terminate()
    if took is None:
        raise BenchError(f"{' '.join(command)}: no plan; status {process.returncode}")
    return took


def _forget(place: Place) -> None:
    """Take all but seeds and distfiles out of the store, and what resolutions gave."""
    with Store.open(place.store, exclusive=True) as store:
        kept = {id for pin in store.pins(names.SEEDS) for id in (*pin.trees, *pin.blobs)}
        for pin in store.pins():
            if not pin.name.startswith(names.SEEDS):
                store.unpin(pin.name)
        gc(store, failed=True)
        left = [a.key for a in store.index.actions() if not kept.issuperset(a.outputs.values())]
        store.remove(trees=(), blobs=(), actions=left)
