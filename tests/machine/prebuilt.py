"""The example `native` with a toolchain that Debian has compiled: the same machines in minutes.

A repository over the example's own has the same packages in the same versions, made of Debian's. A
mirror has each of these in one version only, until the next point release: what it has now is
looked up in its index.
"""

from __future__ import annotations

import lzma
import re
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT, Store, project

from cloche.seeds.debian.apt import find_mirror

NATIVE = ROOT / "examples/native"
OVERLAY = Path(__file__).parent / "projects/prebuilt/repo"
SUITE = "bookworm"  # of the example's seed: the C library must not be newer than the seed's
STAGES = ("stage1", "stage2", "stage3")


@dataclass(frozen=True)
class Pooled:
    """A file of a mirror's pool, as its index has it."""

    path: str
    size: int
    sha256: str

    @property
    def manifest(self) -> str:
        """Its line of a Manifest (GLEP 74)."""
        return f"DIST {self.path.rpartition('/')[2]} {self.size} SHA256 {self.sha256}\n"


def pool() -> dict[str, Pooled]:
    """What the mirror of apt has of the suite's ``main``, by the names of the packages."""
    address = find_mirror(SUITE).uri.rstrip("/").replace("copy:", "file:")
    index = f"{address}/dists/{SUITE}/main/binary-amd64/Packages.xz"
    with urllib.request.urlopen(index, timeout=120) as answer:
        text = lzma.decompress(answer.read()).decode()
    found = {}
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Filename|Size|SHA256): (\S+)$", stanza, re.MULTILINE))
        if fields:
            found[fields["Package"]] = Pooled(
                fields["Filename"], int(fields["Size"]), fields["SHA256"]
            )
    return found


def prepared(store: Store) -> Path:
    """A copy of the example whose toolchain is Debian's. Needs the mirror of apt."""
    place = project(store, NATIVE)
    shutil.copytree(ROOT / "examples/workbench/repo", place.parent / "workbench/repo")
    _lay_over(place)
    toml = place / "cloche.toml"
    # No package of the test needs gawk of the seed, so it is the seed that other tests have, too.
    text = toml.read_text().replace('packages = ["gawk"]\n', "")
    toml.write_text(f'{text}\n[repos.prebuilt]\npath = "prebuilt"\npriority = 100\n')
    for stage in STAGES:
        machine = place / f"machines/{stage}.toml"
        text = machine.read_text()
        assert 'profile = "native:default"' in text
        machine.write_text(text.replace("native:default", "prebuilt:default"))
    store.user.own(place.parent)
    return place


def _lay_over(place: Path) -> None:
    """Copy the overlay, its packages with the versions of those that they stand for."""
    repo, known = place / "prebuilt", pool()
    shutil.copytree(OVERLAY, repo)
    used = dict[str, Pooled]()
    for ebuild in sorted(repo.glob("*/*/*.ebuild")):
        if ebuild.stem == ebuild.parent.name:
            ebuild = ebuild.rename(ebuild.with_name(_original(place, ebuild).name))
        names = re.findall(r'^DEBIAN_BINARIES="(.*)"$', ebuild.read_text(), re.MULTILINE)
        files = {name: known[name] for each in names for name in each.split()}
        used |= files
        manifest = "".join(sorted(each.manifest for each in files.values()))
        (ebuild.parent / "Manifest").write_text(manifest)
    lines = "".join(f"\t[{name}]={each.path}\n" for name, each in sorted(used.items()))
    (repo / "eclass/debian-pool.eclass").write_text(f"declare -gA DEBIAN_POOL=(\n{lines})\n")


def _original(place: Path, ebuild: Path) -> Path:
    """The example's ebuild of the same package, which must have the same slot."""
    name = f"{ebuild.parent.parent.name}/{ebuild.parent.name}"
    repos = (place / "repo", place.parent / "workbench/repo")
    (original,) = (file for repo in repos for file in repo.glob(f"{name}/*.ebuild"))
    slot = re.compile(r'^SLOT="(.*?)"', re.MULTILINE)
    assert slot.findall(ebuild.read_text()) == slot.findall(original.read_text()), name
    return original
