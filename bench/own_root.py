"""Machines with a root of their own: cold builds, starts, and one package more."""

from __future__ import annotations

from pathlib import Path

from bench import builds, starts
from bench.builds import Cold, Subject
from bench.own_project import own_root
from bench.place import BenchError, Place, settle
from bench.starts import Composed
from bench.table import Aim, Row, median_row
from cloche.config.machine import place_of
from cloche.layers import Layer, stored_layer
from cloche.sandbox.base import Command
from cloche.store import Store, names
from cloche.tasks.guestcall import ENVIRONMENT

CATEGORY = "app-misc"
MACHINE = "many"
JOBS = 2
MORE = 3.0  # seconds that one package more may cost beside its build
NOTHING = Command(("/bin/sh", "-c", ":"), ENVIRONMENT)  # what both roots have

EBUILD = """\
EAPI=8
DESCRIPTION="Installs one file"
HOMEPAGE="https://example.org/"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="{needs}"

src_install() {{
	insinto /usr/share/${{PN}}
	newins - file <<< "${{PN}}"
}}
"""


def cold_rows(place: Place, subject: Subject, rounds: int) -> tuple[list[Row], Cold]:
    """The machine in a root of its own, by cloche and by emerge."""
    cold = builds.cold(place, subject, rounds, own=True)
    return list(builds.cold_rows(cold)[:2]), cold  # the third is no part of the work


def composed_rows(
    place: Place, seed: Path, cold: Cold, machine: str, number: int, runs: int
) -> list[Row]:
    """First commands in such a root, and in one that builds into it."""
    bottom = starts.on_seed(seed).bottom
    layers = _layers(place, cold.project, machine)
    ready = cold.plain.root / "own"
    finished = Composed("a root of its own, of {number} packages", (), layers, command=NOTHING)
    what = "a root for builds, the seed and beside it a root of {number} packages"
    building = Composed(what, bottom, layers, beside=True, command=NOTHING)
    return [
        row
        for root in (finished, building)
        for row in starts.composed_rows(place, root, number, ready, runs)
    ]


def _layers(place: Place, project: Path, machine: str) -> tuple[Layer, ...]:
    """The layers of a machine as it was built last."""
    with Store.open(place.store) as store:
        pin = store.pin_of(names.machine(place_of(project.resolve()), machine))
        if pin is None:
            raise BenchError(f"{machine} is not built")
        return tuple(stored_layer(store, id) for id in pin.data["layers"])


def adding_rows(place: Place, number: int, rounds: int) -> list[Row]:
    """A machine of many packages is built; then it gets another one, several times."""
    more = [f"more-{chr(ord('a') + each)}" for each in range(rounds)]
    project = place.project("many", lambda project: _grow(project, number, more))
    own_root(project, MACHINE)
    place.build(project, MACHINE, jobs=JOBS)
    file = project / f"machines/{MACHINE}.toml"
    whole, beside = [], []
    for name in more:
        text = file.read_text()
        file.write_text(text.replace("packages = [", f'packages = ["{CATEGORY}/{name}", '))
        settle()
        build = place.build(project, MACHINE, jobs=JOBS)
        took = build.took()
        if len(took) != 1:
            raise BenchError(f"one package more, but {len(took)} are built")
        whole.append(build.seconds)
        beside.append(build.seconds - sum(took.values()))
    what = f"a package more in a finished machine of {number} packages, in a root of its own"
    return [
        median_row(f"{what}: whole command", whole, "s"),
        median_row(f"{what}: beside its build and merge", beside, "s", aim=Aim(MORE, of="value")),
    ]


def _grow(project: Path, number: int, more: list[str]) -> None:
    """Add packages of which each needs one of a tenth of them, and a machine that wants many."""
    many = [_name_of(each) for each in range(number)]
    for each, name in enumerate([*many, *more]):
        needs = f"{CATEGORY}/{many[each // 10]}" if each >= 10 else ""
        directory = project / "repo" / CATEGORY / name
        directory.mkdir()
        (directory / f"{name}-1.ebuild").write_text(EBUILD.format(needs=needs))
    mini = (project / "machines/mini.toml").read_text().splitlines()
    atoms = ", ".join(f'"{CATEGORY}/{name}"' for name in many)
    lines = [line for line in mini if not line.startswith("packages")]
    (project / f"machines/{MACHINE}.toml").write_text("\n".join([*lines, f"packages = [{atoms}]"]))


def _name_of(number: int) -> str:
    """The name of a package, which may not end in a hyphen and digits (PMS 3.1.2)."""
    return "one" + "".join(chr(ord("a") + int(digit)) for digit in str(number))
