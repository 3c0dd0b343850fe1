"""A machine of three hundred packages, resolved by cloche and by `emerge --pretend`."""

from __future__ import annotations

from pathlib import Path

from bench import plain
from bench.place import Place, settle
from bench.table import Aim, Row, median_row
from cloche.store import Store

CATEGORY = "app-misc"
LEVELS = 6  # of eclasses, each inheriting the one below
MACHINE = "many"

ECLASS = """\
# One of several levels, so that reading an ebuild costs what it costs in a real tree.
if [[ -z ${{_LEVEL_{number}_ECLASS}} ]]; then
_LEVEL_{number}_ECLASS=1
{inherit}
IUSE="level-{number}"
level-{number}_value() {{
	echo {number}
}}
fi
"""

EBUILD = """\
EAPI=8
inherit level-{level}
DESCRIPTION="One of many"
HOMEPAGE="https://example.org/"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="+extra doc"
RDEPEND="{needs}{more}"
DEPEND="${{RDEPEND}}"
"""


def rows(place: Place, number: int, rounds: int) -> list[Row]:
    """Resolve anew in every round, the two sides in turn; both have a metadata cache."""
    project = place.project("resolution", lambda project: _grow(project, number))
    root = plain.make(place, "plain-resolution", project, MACHINE)
    root.run("/usr/bin/egencache", "--update", "--repo", "workbench", "--jobs", "2")
    root.emerge("--pretend", *root.targets)
    settle()
    whole, resolved, pretended = [], [], []
    for number_of_round in range(rounds):
        _touch(project, number_of_round)
        pretended.append(root.emerge("--pretend", *root.targets).seconds)
        whole.append(place.cloche(project, "plan", MACHINE, "--json").seconds)
        resolved.append(_resolve_seconds(place))
    packages = len(root.graph.packages)
    place.removed(root.root)
    beside = (pretended, "`emerge --pretend`, starting of Portage included")
    what = f"resolution of a machine of {packages} packages, with a metadata cache"
    return [
        median_row(what, resolved, "s", beside, Aim(1.2)),
        median_row(f"{what}: all of `cloche plan`", whole, "s", beside, Aim(1.3)),
    ]


def _grow(project: Path, number: int) -> None:
    """Add packages, eclasses, and a machine that wants all of them."""
    repo = project / "repo"
    (repo / "eclass").mkdir(exist_ok=True)
    for level in range(LEVELS):
        inherit = f"inherit level-{level - 1}" if level else ""
        text = ECLASS.format(number=level, inherit=inherit)
        (repo / f"eclass/level-{level}.eclass").write_text(text)
    for each in range(number):
        place = repo / CATEGORY / _name(each)
        place.mkdir()
        (place / f"{_name(each)}-1.ebuild").write_text(_ebuild(each))
    mini = (project / "machines/mini.toml").read_text().splitlines()
    lines = [line for line in mini if not line.startswith("packages")]
    atoms = ", ".join(f'"{CATEGORY}/{_name(each)}"' for each in range(number))
    lines.append(f"packages = [{atoms}]")
    (project / f"machines/{MACHINE}.toml").write_text("\n".join(lines))


def _name(number: int) -> str:
    """The name of a package, which may not end in a hyphen and digits (PMS 3.1.2)."""
    return "one" + "".join(chr(ord("a") + int(digit)) for digit in str(number))


def _ebuild(number: int) -> str:
    """A package that needs about eight of those before it."""
    below = [number - step for step in (1, 2, 3, 5, 8, 13, 40, 90) if step <= number]
    atoms = [f"{CATEGORY}/{_name(each)}" for each in below]
    needs = " ".join(f">={atom}-1" for atom in atoms[:5])
    more = "".join(f" extra? ( {atom}[extra] ) doc? ( {atom} )" for atom in atoms[5:])
    return EBUILD.format(level=number % LEVELS, needs=needs, more=more)


def _touch(project: Path, number: int) -> None:
    """Change the configuration, so that the resolution of the last time will not do."""
    fragment = project / "portage/base/make.conf"
    kept = fragment.read_text().split("# round")[0]
    fragment.write_text(f"{kept}# round {number}\n")


def _resolve_seconds(place: Place) -> float:
    """Seconds of the last resolution, out of the index."""
    with Store.open(place.store) as store:
        action = store.last_action("resolve", MACHINE)
        return action.seconds if action else 0.0
