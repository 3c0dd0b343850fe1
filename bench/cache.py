"""What a compile cache saves: a package whose ebuild has a new revision, with one and without."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bench.place import BenchError, Place, settle
from bench.table import Aim, Row, median_row
from cloche.store import Store

PACKAGE = "app-arch/zstd"
MACHINE = "ccache"
SETTING = "\n[build]\nccache = true\n"


def rows(place: Place, rounds: int) -> list[Row]:
    """Build a package of many C files, revision after revision, with a cache and without in turn.

    In a store of its own, whose seed has ccache. Raises BenchError if the results differ.
    """
    place = replace(place, store=place.directory / "ccache-store")
    project = place.project("ccache", _change)
    place.cloche(project, "seed", "bootstrap")
    place.cloche(project, "fetch", MACHINE)
    _cached(project, True)
    filling, having, without = [], [], []
    for number in range(1, rounds + 1):
        place.cloche(project, "store", "gc", "--ccache")
        filling.append(_seconds(place, project, "with an empty cache")[0])
        _revise(project, number)
        seconds, layer = _seconds(place, project, "with a cache")
        having.append(seconds)
        _cached(project, False)
        seconds, same = _seconds(place, project, "without a cache")
        without.append(seconds)
        _cached(project, True)
        if layer != same:
            raise BenchError(f"{PACKAGE} differs with a compile cache and without")
    beside = (without, "the same without a cache")
    what = f"a new revision of the ebuild of `{PACKAGE}`, `[build] ccache`"
    return [
        median_row(f"{what}: build step", having, "s", beside, Aim(0.75)),
        median_row(f"{what}: build step while the cache is empty", filling, "s", beside),
    ]


def _change(project: Path) -> None:
    """A seed with ccache, a machine of one package, and what most people compile with."""
    file = project / "cloche.toml"
    file.write_text(file.read_text().replace('"bookworm"', '"bookworm"\npackages = ["ccache"]'))
    mini = (project / "machines/mini.toml").read_text()
    wanted = re.sub(r"(?m)^packages = .*", f'packages = ["{PACKAGE}"]', mini)
    (project / f"machines/{MACHINE}.toml").write_text(wanted)
    conf = project / "portage/base/make.conf"
    conf.write_text(conf.read_text().replace('"-O1 ', '"-O2 '))


def _cached(project: Path, wanted: bool) -> None:
    file = project / "cloche.toml"
    text = file.read_text().replace(SETTING, "")
    file.write_text(text + SETTING if wanted else text)


def _ebuild(project: Path) -> Path:
    (ebuild,) = (project / "repo" / PACKAGE).glob("*.ebuild")
    return ebuild


def _revise(project: Path, number: int) -> None:
    """Give the ebuild its next revision."""
    ebuild = _ebuild(project)
    name = re.sub(r"(-r\d+)?\.ebuild$", f"-r{number}.ebuild", ebuild.name)
    ebuild.rename(ebuild.with_name(name))


def _seconds(place: Place, project: Path, comment: str) -> tuple[float, str]:
    """Seconds of the build step with a changed comment in the ebuild, and the layer's ID."""
    ebuild = _ebuild(project)
    text = re.sub(r"\n# Now .*\n", "\n", ebuild.read_text())
    ebuild.write_text(f"{text.rstrip()}\n# Now {comment}.\n")
    settle()
    build = place.build(project, MACHINE, jobs=1)
    name = f"{PACKAGE.partition('/')[0]}/{ebuild.stem}::workbench"
    if name not in build.packages("built"):
        raise BenchError(f"{name} was not built")
    (layer,) = (e["layer"] for e in build.events if e["event"] == "done" and e["package"] == name)
    with Store.open(place.store) as store:
        action = store.last_action("build", name)
    assert action is not None
    return action.seconds, layer
