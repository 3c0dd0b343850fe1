"""Specs of a few packages, with a tree and the other files that they name.

All start from a tarball of the Debian seed. Their tree is that of the tests of roots of their own,
whose C library is the seed's, with the files that catalyst reads: packages.build, bootstrap.sh.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.own_project import BASH
from tests.support import ROOT, Store, User

REPO = ROOT / "tests/machine/projects/own/repo"
STAMP = "20261128T000000Z"
COMMON = """\
subarch: amd64
rel_type: small
snapshot_treeish: abc
compression_mode: zstd
portage_prefix: releng
portage_confdir: {place}/confdir
source_subpath: small/seed
version_stamp: @TIMESTAMP@
"""
SPECS = {
    "stage1": "target: stage1\nprofile: default\nchost: x86_64-pc-linux-gnu\n",
    "stage2": "target: stage2\nprofile: default\n",
    "stage4": """\
target: stage4
profile: system
stage4/use: extra
stage4/packages: app-misc/note app-misc/gone
stage4/root_overlay: {place}/overlay
stage4/fsscript: {place}/fsscript.sh
stage4/unmerge: app-misc/gone
stage4/rm: /usr/share/note/r* /none
stage4/groups: people
stage4/users: larry=people
stage4/ssh_public_keys: larry={place}/larry.pub
stage4/empty: /srv/full
""",
}
NOTE = """\
EAPI=8
DESCRIPTION="Writes down its USE"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
IUSE="bindist bootstrap extra releng"

src_install() {
	insinto /usr/share/${PN}
	newins - use <<< "${USE}"
	newins - removed <<< here
	newins - exported <<< "${NOTE_SAYS}"
}
"""
BOOTSTRAP = """\
#!/bin/bash
# Not all that it does is calling emerge.
[[ $(portageq envvar ARCH) == amd64 ]] || exit 1
USE="-* bootstrap" emerge --oneshot "$@" app-misc/note || exit 1
emerge --oneshot --jobs 2 app-misc/gone
"""
GCC_CONFIG = """\
EAPI=8
DESCRIPTION="Writes down how it is called"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	newbin - gcc-config <<-'EOF'
		#!/bin/bash
		echo "$@" > /etc/env.d/04gcc-config
	EOF
	insinto /etc/env.d/gcc
	newins - config-x86_64-pc-linux-gnu <<< none
	newins - x86_64-pc-linux-gnu-12 <<< here
}
"""
FSSCRIPT = """\
#!/bin/bash
set -e
env -0 > /etc/environment-of-hook
echo "${clst_target} ${clst_use} ${clst_stage4_packages}" > /etc/said
[[ $(env) != */overlay* ]] # it sees no path of the host
[[ $0 == /tmp/fsscript.sh ]]
source /tmp/envscript
[[ ${NOTE_SAYS} == "from envscript" ]]
[[ -f /etc/portage/make.conf && $(portageq envvar USE) == *extra* ]]
echo '# more' >> /etc/portage/make.conf
mkdir -p /srv/full && touch /srv/full/file
[[ $(wc -l < /proc/net/route) == 1 ]] # only its heading: no route leads anywhere
"""


@dataclass(frozen=True)
class Release:
    """A storedir with its outputs, and the store."""

    store: Store
    place: Path

    def run(
        self, spec: str, *words: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``cloche catalyst -f SPEC``."""
        return self.store.cloche(
            "catalyst", "-a", "-c", "catalyst.conf", "-f", f"{spec}.spec",
            "--set", f"TIMESTAMP={STAMP}", *words, cwd=self.place, env=env,
        )  # fmt: skip

    def compare(self, *words: object) -> subprocess.CompletedProcess[str]:
        """``cloche catalyst compare``; ``-C DIR`` may come first."""
        place = [str(word) for word in words[:2]] if words[0] == "-C" else []
        return self.store.cloche(
            *place, "catalyst", "compare", *map(str, words[len(place) :]), cwd=self.place
        )

    def tarball(self, spec: str) -> Path:
        """Its tarball, under catalyst's name."""
        return self.place / f"store/builds/small/{spec}-amd64-{STAMP}.tar.zstd"

    def members(self, spec: str) -> Mapping[str, tarfile.TarInfo]:
        """Its members by path."""
        return {name: info for name, (info, _) in self._all(spec).items()}

    def text(self, spec: str, name: str) -> str:
        """A file of it."""
        return self._all(spec)[name][1]

    def _all(self, spec: str) -> dict[str, tuple[tarfile.TarInfo, str]]:
        plain = self.place / f"{spec}.tar"
        if not plain.exists():
            subprocess.run(["zstd", "-dqf", self.tarball(spec), "-o", plain], check=True)
        found = {}
        with tarfile.open(plain) as archive:
            for info in archive:
                file = archive.extractfile(info) if info.isfile() and info.size < 10_000 else None
                text = file.read().decode(errors="replace") if file else ""
                found[info.name.removeprefix("./")] = (info, text)
        return found


def inputs(store: Store, place: Path, more: Callable[[Path], None] = lambda tree: None) -> None:
    """Write specs, catalyst.conf, the seed's tarball, the snapshot, and the files that specs name.

    ``more`` adds to the snapshot's tree.
    """
    for directory in ("store/builds/small", "store/snapshots", "overlay/etc"):
        (place / directory).mkdir(parents=True)
    store.pack_layer(
        store.seed_layer, place / "store/builds/small/seed.tar.zst", "-I", "zstd -1 -T0"
    )
    tree = place / "tree"
    shutil.copytree(REPO, tree)
    bash = tree / "app-shells/bash/bash-5.2.ebuild"
    bash.parent.mkdir()
    bash.write_text(BASH)
    layout = tree / "sys-apps/baselayout/baselayout-1.ebuild"
    accounts = "root:x:0:0:root:/root:/bin/sh\\nportage:x:250:250::/var/tmp/portage:/bin/false"
    layout.write_text(
        layout.read_text().replace(
            'newins - passwd <<< "root:x:0:0:root:/root:/bin/sh"',
            f"printf '{accounts}\\n' | newins - passwd",
        )
    )
    config = tree / "sys-devel/gcc-config/gcc-config-2.ebuild"
    config.parent.mkdir()
    config.write_text(GCC_CONFIG)
    for name in ("base", "gone", "note"):
        (tree / "app-misc" / name).mkdir()
        (tree / "app-misc" / name / f"{name}-1.ebuild").write_text(NOTE)
    profile = tree / "profiles/default"
    system = tree / "profiles/system"
    system.mkdir()
    (system / "eapi").write_text("8\n")
    (system / "parent").write_text("../default\n")
    (system / "packages").write_text("*app-misc/base\n")
    build = ("sys-apps/baselayout", "sys-libs/glibc", "sys-devel/gcc", "app-shells/dash")
    build += ("sys-devel/gcc-config",)
    (profile / "packages.build").write_text("\n".join([*build, "app-shells/bash", "app-misc/note"]))
    with (profile / "make.defaults").open("a") as defaults:
        defaults.write('\nBOOTSTRAP_USE="bootstrap"\n')
    (tree / "scripts").mkdir()
    (tree / "scripts/bootstrap.sh").write_text(BOOTSTRAP)
    (tree / "scripts/bootstrap.sh").chmod(0o755)
    more(tree)
    for ebuild in tree.glob("*/*/*.ebuild"):
        (ebuild.parent / "Manifest").touch()
    pack_tree(place, "abc")
    (place / "confdir/package.use").mkdir(parents=True)
    (place / "confdir/package.use/releng").write_text("app-misc/note releng\n")
    (place / "confdir/package.use/kept").write_text("# stays\n")
    (place / "overlay/etc/motd").write_text("hello\n")
    (place / "fsscript.sh").write_text(FSSCRIPT)
    (place / "catalyst.conf").write_text(
        f'storedir = "{place}/store"\nrepo_name = "own"\njobs = 2\n'
        f'options = ["bindist", "pkgcache"]\n'
        f'distdir = "{place}/store"\ndigests = ["sha512", "blake2b"]\n'
        'envscript = "catalystrc"\nrepo_openpgp_key_path = ""\n'
    )
    said = "[[ ${clst_repo_name} == own ]] && export NOTE_SAYS=from\\ envscript"
    exports = f'{said}\nexport MAKEOPTS="-j$(nproc)"\n'
    (place / "catalystrc").write_text(f"#!/bin/bash\n{exports}")
    (place / "larry.pub").write_text("ssh-ed25519 AAAA larry\n")
    for name, text in SPECS.items():
        (place / f"{name}.spec").write_text((COMMON + text).replace("{place}", str(place)))


def pack_tree(place: Path, treeish: str) -> None:
    """Make a snapshot of the tree."""
    image = place / f"store/snapshots/own-{treeish}.sqfs"
    options = ("-quiet", "-no-progress", "-all-root")
    subprocess.run(["mksquashfs", place / "tree", image, *options], check=True)


@contextmanager
def released(
    seeded: Store, ground: Path, name: str, more: Callable[[Path], None] = lambda tree: None
) -> Iterator[Release]:
    """The inputs in a directory of their own, with a copy of the store, for a block."""
    place = ground / name
    place.mkdir()
    store = seeded.copy(place / "cloche-store")
    inputs(store, place, more)
    yield Release(store, place)
    shutil.rmtree(place)


def differing(one: Path, other: Path) -> list[str]:
    """The names of the members in which two tarballs differ."""
    found = [_members(each) for each in (one, other)]
    return sorted(
        name
        for name in found[0].keys() | found[1].keys()
        if found[0].get(name) != found[1].get(name)
    )


def _members(tarball: Path) -> dict[str, object]:
    plain = subprocess.run(["zstd", "-dcq", tarball], check=True, capture_output=True).stdout
    found: dict[str, object] = {}
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        for info in archive:
            file = archive.extractfile(info) if info.isfile() else None
            about = (info.mode, info.uid, info.gid, info.mtime, info.linkname, info.pax_headers)
            found[info.name] = about, file.read() if file else b""
    return found


#: Programs of the host that no build may run; here each records that it ran, and fails.
POISON = (
    *("tar", "rsync", "xorriso", "grub-mkrescue", "mksquashfs", "gensquashfs", "xz", "gzip"),
    *("bzip2", "chroot", "mount", "emerge", "ebuild", "useradd"),
)
_ELSEWHERE = """\
hostname somewhere-else
printf '127.0.0.1 localhost poisoned\\n' > "$1/hosts" && mount --bind "$1/hosts" /etc/hosts
umask 027
shift
exec "$@"
"""


class OtherHost:
    """The inputs of a release, built by another user on a host that differs in many ways."""

    def __init__(self, release: Release, user: User) -> None:
        self.user, self.place = user, user.home / "elsewhere"
        built = ("cloche-store", "tree", "imported", "cloche", "packages", "repos")
        ignored = shutil.ignore_patterns(*built, "*.lock", "*.tar", "stage*-*", "*.new")
        shutil.copytree(release.place, self.place, ignore=ignored)
        self.place.chmod(0o755)
        for file in (*self.place.glob("*.spec"), self.place / "catalyst.conf"):
            file.write_text(file.read_text().replace(str(release.place), str(self.place)))
        (self.place / "poison").mkdir()
        for name in POISON:
            program = self.place / "poison" / name
            program.write_text(f"#!/bin/sh\necho {name} >> {self.place}/run\nexit 1\n")
            program.chmod(0o755)
        user.own(self.place)

    def run(self, spec: str) -> subprocess.CompletedProcess[str]:
        """``cloche catalyst -f SPEC`` with a store of its own."""
        path = f"{self.place}/poison:{os.environ['PATH']}"
        env = {"PATH": path, "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}
        command = self.user.command(
            "--store", self.place / "own-store", "catalyst", "-c", "catalyst.conf",
            "-f", f"{spec}.spec", "--set", f"TIMESTAMP={STAMP}", env=env,
        )  # fmt: skip
        outside = ["unshare", "--uts", "--mount", "sh", "-ec", _ELSEWHERE, "sh", self.place]
        return subprocess.run(
            [*outside, *command], cwd=self.place, capture_output=True, text=True, check=False
        )

    @property
    def poisoned(self) -> str:
        """The names of the programs that were run."""
        file = self.place / "run"
        return file.read_text() if file.exists() else ""
