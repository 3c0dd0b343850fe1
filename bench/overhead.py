"""What is added to each package: packages that compile nothing, by cloche and by stock Portage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import plain
from bench.place import Place, settle
from bench.table import Aim, Row, median_row
from cloche.store import Store

CATEGORY = "app-misc"

EBUILD = """\
EAPI=8
DESCRIPTION="Installs one file"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	insinto /usr/share/${PN}
	newins "${FILESDIR}"/file file
}
"""


def names_of(number: int) -> list[str]:
    """Names of packages that compile nothing."""
    return [f"nothing-{chr(ord('a') + n)}" for n in range(number)]


def add(names: list[str], project: Path) -> None:
    """Add packages to a project that each install one file."""
    for name in names:
        files = project / "repo" / CATEGORY / name / "files"
        files.mkdir(parents=True)
        (files / "file").write_text(f"{name}\n")
        (files.parent / f"{name}-1.ebuild").write_text(EBUILD)


def with_machine(names: list[str]) -> Callable[[Path], None]:
    """A change that adds the packages, and a machine that wants them."""

    def change(project: Path) -> None:
        add(names, project)
        atoms = ", ".join(f'"{CATEGORY}/{name}"' for name in names)
        mini = (project / "machines/mini.toml").read_text().splitlines()
        lines = [line for line in mini if not line.startswith("packages")]
        (project / "machines/nothing.toml").write_text("\n".join([*lines, f"packages = [{atoms}]"]))

    return change


def rows(place: Place, number: int) -> list[Row]:
    """Build and merge packages one by one, on both sides."""
    names = names_of(number)
    project = place.project("overhead", with_machine(names))
    root = plain.make(place, "plain-overhead", project, "nothing")
    settle()
    build = place.build(project, "nothing", jobs=1)
    whole = list(build.took().values())
    steps = _seconds(place, "build", names)
    root.emerge("--version")
    built, merged = [], []
    for name in names:
        ebuild = f"/var/db/repos/workbench/{CATEGORY}/{name}/{name}-1.ebuild"
        built.append(root.run("/usr/bin/ebuild", ebuild, "clean", "package").seconds)
        words = ("--usepkgonly", "--oneshot", "--nodeps", f"{CATEGORY}/{name}")
        merged.append(root.emerge(*words).seconds)
    place.removed(root.root)
    both = [a + b for a, b in zip(built, merged, strict=True)]
    what = "a package that compiles nothing"
    return [
        median_row(
            f"{what}: build step", steps, "s", (built, "`ebuild … clean package`"), Aim(0.75)
        ),
        median_row(
            f"{what}: build, merge, everything",
            whole,
            "s",
            (both, "that and `emerge --usepkgonly --nodeps`"),
            Aim(0.75),
        ),
    ]


def _seconds(place: Place, kind: str, names: list[str]) -> list[float]:
    """Seconds of the last step of this kind of each package, out of the index."""
    with Store.open(place.store) as store:
        ids = [f"{CATEGORY}/{name}-1::workbench" for name in names]
        return [action.seconds for id in ids if (action := store.last_action(kind, id))]
