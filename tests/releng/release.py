"""A small release for catalyst: 15 packages made of Debian's, five that are compiled, and specs.

The same inputs were given to catalyst itself (df01e21b, April 2026); `release/outputs` has what it
made of them, as listings. A mirror has Debian's packages in one version only, so the repository is
made of what it has now.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.support import WORKBENCH, Store

from cloche.archives.decompression import unpacked
from cloche.archives.tarformat import TarReader
from cloche.seeds.debian.apt import find_mirror

HERE = Path(__file__).parent / "release"
SPECS = Path(__file__).parents[1] / "catalyst/release"
STAMP, TREEISH = "20261127T000000Z", "abc"
COMPILED = ("app-misc/hello", "app-text/tree", "app-editors/ed", "sys-apps/pv", "app-arch/lz4")
EBUILD = """\
EAPI=8

inherit deb-bundle

DESCRIPTION="{name} out of Debian's packages"
HOMEPAGE="https://example.org/"
SRC_URI="
{uris}
"

LICENSE="metapackage"
SLOT="0"
KEYWORDS="amd64"
{more}"""


@dataclass(frozen=True)
class Pooled:
    """One of Debian's packages: its address, and the name of its file in DISTDIR."""

    address: str
    file: str


def make_release(place: Path, store: Store) -> None:
    """Write all that catalyst reads below a directory, the seed's tarball of a store's seed."""
    inputs = place / "inputs"
    shutil.copytree(HERE, inputs, ignore=shutil.ignore_patterns("outputs"))
    distdir = place / "store/distfiles"
    distdir.mkdir(parents=True)
    repo = place / "repo"
    (sdist,) = (store.path / "downloads").glob("portage-*.tar.gz")
    shutil.copy(sdist, distdir)
    _write_repository(repo, distdir)
    snapshot = place / f"store/snapshots/gentoo-{TREEISH}.sqfs"
    snapshot.parent.mkdir()
    options = ("-quiet", "-no-progress", "-all-root")
    subprocess.run(["mksquashfs", repo, snapshot, *options], check=True)
    (place / "specs").mkdir()
    for file in (*SPECS.glob("*.spec"), SPECS / "catalyst.conf"):
        text = file.read_text().replace("@INPUTS@", str(inputs)).replace("@R@", str(place))
        (place / "specs" / file.name).write_text(text)
    _pack_seed(place, store)


def _pack_seed(place: Path, store: Store) -> None:
    root = place / "seed"
    subprocess.run(["cp", "-a", store.seed_layer, root], check=True)
    # Where the release's Portage puts its modules.
    (root / "usr/lib/python3.11/site-packages").symlink_to("../python3/dist-packages")
    target = place / "store/builds/r1-default/stage3-amd64-seed-latest.tar.zst"
    target.parent.mkdir(parents=True)
    store.pack_layer(root, target, "-I", "zstd -1 -T0")
    shutil.rmtree(root)


def _write_repository(repo: Path, distdir: Path) -> None:
    """Write the repository ``gentoo``, and fetch what it is made of."""
    groups = dict(_groups())
    pool = pool_of({name for names in groups.values() for name in names})
    with ThreadPoolExecutor(2) as workers:
        list(workers.map(lambda each: fetch(each, distdir), pool.values()))
    extra = dict(extra_parts())
    for name, packages in groups.items():
        version = "12.1" if name in ("sys-apps/coreutils", "sys-apps/baselayout") else "12"
        place = repo / name
        place.mkdir(parents=True)
        uris = "\n".join(f"\tmirror://debian/{pool[each].file}" for each in packages)
        text = EBUILD.format(name=name, uris=uris, more=extra.get(name, ""))
        (place / f"{place.name}-{version}.ebuild").write_text(text)
        write_manifest(place, (distdir / pool[each].file for each in packages))
    for name, text in extra.items():
        if name.startswith("file:"):
            path = repo / name.removeprefix("file:")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if path.suffix == ".sh" else 0o644)
    write_manifest(repo / "sys-apps/portage", distdir.glob("portage-*.tar.gz"))
    bench = WORKBENCH / "repo"
    mirror = find_mirror("bookworm").uri.rstrip("/").replace("copy:", "file:")
    for name in COMPILED:
        shutil.copytree(bench / name, repo / name)
        for file in re.findall(
            r"^DIST (\S+)", (repo / name / "Manifest").read_text(), re.MULTILINE
        ):
            source = file.partition("_")[0]
            below = f"{source[:4] if source.startswith('lib') else source[0]}/{source}"
            fetch(Pooled(f"{mirror}/pool/main/{below}/{file}", file), distdir)
    for name in ("debian-orig", "plain-autotools"):
        shutil.copy(bench / f"eclass/{name}.eclass", repo / "eclass")
    shutil.copytree(bench / "licenses", repo / "licenses")
    (repo / "licenses/metapackage").write_text("see the packages\n")
    categories = sorted({path.parent.parent.name for path in repo.glob("*/*/*.ebuild")})
    (repo / "profiles/categories").write_text("\n".join(categories) + "\n")


def _groups() -> Iterator[tuple[str, list[str]]]:
    for line in (HERE / "debs.conf").read_text().splitlines():
        if line and not line.startswith("#"):
            name, packages = line.split(" : ")
            yield name, packages.split()


def extra_parts() -> Iterator[tuple[str, str]]:
    """The parts of extra.txt: more of an ebuild, or a ``file:``."""
    for part in (HERE / "extra.txt").read_text().split("\n@@ "):
        head, _, body = part.lstrip("@ ").partition("\n")
        if head.strip():
            yield head.strip(), body


def pool_of(names: Iterable[str]) -> Mapping[str, Pooled]:
    """What apt would fetch for these packages."""
    told = subprocess.run(
        ["apt-get", "download", "--print-uris", "-q", *sorted(names)],
        check=True,
        text=True,
        capture_output=True,
        cwd="/",
    ).stdout
    found = {}
    for address, name in re.findall(r"'(\S+)' (\S+) \d+", told):
        file = urllib.parse.unquote(name)
        found[file.split("_")[0]] = Pooled(address, file.replace(":", "."))
    assert set(names) <= found.keys()
    return found


def fetch(pooled: Pooled, distdir: Path) -> None:
    with urlopen(pooled.address, timeout=120) as answer:
        (distdir / pooled.file).write_bytes(answer.read())


def write_manifest(package: Path, files: Iterable[Path]) -> None:
    lines = []
    for file in sorted(files):
        data = file.read_bytes()
        digest = hashlib.blake2b(data).hexdigest()
        lines.append(f"DIST {file.name} {len(data)} BLAKE2B {digest}\n")
    (package / "Manifest").write_text("".join(lines))


Listing = dict[str, str]
"""Type, mode, owner and target of a link, by path."""
_TYPES = {"file": "f", "link": "f", "directory": "d", "symlink": "l", "fifo": "p"}


def of_catalyst(name: str) -> tuple[Listing, dict[str, str]]:
    """The listing of a tarball that catalyst made, and the texts of some files."""
    found = {}
    with lzma.open(HERE / f"outputs/{name}.list.xz", "rt") as lines:
        for line in lines:
            kind, mode, owner, path = line.rstrip("\n").split(" ", 3)
            path, _, target = path.partition(" -> ")
            path = path.removeprefix(".").removeprefix("/")
            path = path.split(" security.")[0]
            kind, target = ("f", "") if kind == "h" else (kind, target)
            found[path] = f"{kind} {mode} {owner} {target}".strip()
    texts: dict[str, str] = {}
    current = ""
    with lzma.open(HERE / f"outputs/{name}.text.xz", "rt") as lines:
        for line in lines:
            if line.startswith("=== ./"):
                current = line[6:].strip()
                texts[current] = ""
            else:
                texts[current] += line
    return found, texts


def of_tarball(file: Path, wanted: Iterable[str]) -> tuple[Listing, dict[str, str]]:
    """The same of one of ours."""
    wanted = frozenset(wanted)
    found, texts = {}, {}
    with unpacked(file) as stream:
        reader = TarReader(stream, file, 1 << 20)
        for member in reader:
            path = member.name.decode().removeprefix("./").strip("/").removeprefix(".")
            kind = _TYPES[member.type]
            target = member.target.decode() if member.type == "symlink" else ""
            line = f"{kind} {member.mode:04o} {member.uid}:{member.gid} {target}"
            found[path] = line.strip()
            if member.type == "file" and path in wanted:
                texts[path] = reader.read(1 << 20).decode()
    return found, texts
