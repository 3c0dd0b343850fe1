"""A target: a copy of the Debian seed, in which its own Python and Portage run the client."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.client.handed_out import TEXT

# Nothing of cloche is in here: mounts in a namespace that ends with the script, and chroot(8).
SCRIPT = r"""
set -eu
seed=$1 place=$2
shift 2
mount --make-rprivate /
mount -t overlay -o "lowerdir=$seed,upperdir=$place/upper,workdir=$place/work,userxattr" \
    overlay "$place/root"
mount -t proc proc "$place/root/proc"
mount --rbind /dev "$place/root/dev"
exec chroot "$place/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    LC_ALL=C.UTF-8 TERM=dumb "$@"
"""
LIBRARY = {
    "profiles/repo_name": "gentoo\n",
    "metadata/layout.conf": "masters =\nprofile-formats = portage-2\n",
    "profiles/arch.list": "amd64\n",
    "profiles/categories": "app-misc\nsys-libs\n",
    "profiles/default/eapi": "8\n",
    "profiles/default/make.defaults": 'ARCH="amd64"\nACCEPT_KEYWORDS="amd64"\n'
    'CHOST="x86_64-pc-linux-gnu"\nCFLAGS="-O2 -pipe"\nCXXFLAGS="${CFLAGS}"\n',
}
EBUILD = """EAPI=8
DESCRIPTION="Nothing"
SLOT="0"
KEYWORDS="amd64"
LICENSE="public-domain"
S="${WORKDIR}"
%s
src_install() {
    echo ${PN} > text
    insinto /usr/share
    newins text ${PN}
}
"""
REPOSITORY = {
    **LIBRARY,
    "metadata/layout.conf": "masters =\nprofile-formats = portage-2\nthin-manifests = true\n",
    "licenses/public-domain": "",
    "app-misc/leaf/leaf-1.ebuild": EBUILD % "",
    "app-misc/tool/tool-1.ebuild": EBUILD % 'RDEPEND="app-misc/leaf"',
}
ISOLATION = " ".join(
    f"-{name}"
    for name in ("sandbox", "usersandbox", "ipc-sandbox", "network-sandbox", "pid-sandbox",
                 "mount-sandbox", "userpriv", "userfetch", "news")
)  # fmt: skip
ENTRY = {"SLOT": "0/1\n", "EAPI": "8\n", "USE": "amd64 nls\n", "repository": "gentoo\n"}


@dataclass(frozen=True)
class Target:
    """A root over the seed: what is written stays in ``place``/upper between two runs."""

    seed: Path
    place: Path

    def run(self, *words: str, stdin: str = "", check: bool = True, **environment: str) -> str:
        """Run a program in the root as root; what it prints, without ``check`` all of it."""
        done = subprocess.run(
            self.command(*words, **environment),
            input=stdin, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout if check else f"{done.stdout}{done.stderr}exit {done.returncode}"

    def command(self, *words: str, **environment: str) -> list[str | Path]:
        """The command line that does so."""
        given = [f"{name}={value}" for name, value in environment.items()]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "sh",
                self.seed, self.place, *given, *words]  # fmt: skip

    def client(self, *arguments: str, check: bool = True, **environment: str) -> str:
        """Run the client from standard input, as over ssh."""
        text = TEXT
        return self.run("python3", "-", *arguments, stdin=text, check=check, **environment)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the root, as a new one: so does Portage."""
        file = self.place / "upper" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        return file

    def install(self, cpv: str, **files: str) -> None:
        """Write an entry of the VDB."""
        for name, text in {**ENTRY, **files}.items():
            self.write(f"var/db/pkg/{cpv}/{name}", text)


def make_target(seed: Path, place: Path, repository: Mapping[str, str] = LIBRARY) -> Target:
    """A target with a repository, a profile of it, and an empty make.conf."""
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True)
    target = Target(seed, place)
    for path, text in repository.items():
        target.write(f"var/db/repos/gentoo/{path}", text)
    target.write("etc/portage/make.conf", "")
    profile = place / "upper/etc/portage/make.profile"
    profile.symlink_to("../../var/db/repos/gentoo/profiles/default")
    return target
