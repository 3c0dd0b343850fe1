"""Overlays as their makers publish them, in git, with all that packages may bring along."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE pkgmetadata SYSTEM "https://www.gentoo.org/dtd/metadata.dtd">
<pkgmetadata>
	<maintainer type="person">
		<email>somebody@example.org</email>
		<name>Some Body</name>
	</maintainer>
{flags}</pkgmetadata>
"""
_FLAG = '\t<use>\n\t\t<flag name="{name}">Enable what {name} does</flag>\n\t</use>\n'
_HEAD = "# Copyright 2026 Gentoo Authors\n# Distributed under the terms of the GNU GPL v2\n"


def ebuild(name: str, body: str = "", **variables: str) -> str:
    """The text of an ebuild, which installs a file if nothing else is said."""
    said = {
        "DESCRIPTION": f"Does what {name} does",
        "HOMEPAGE": f"https://example.org/{name}",
        "LICENSE": "GPL-2",
        "SLOT": "0",
        "KEYWORDS": "~amd64",
        **variables,
    }
    inherit = said.pop("inherit", "")
    lines = [f'{key}="{value}"' for key, value in said.items()]
    first = f"inherit {inherit}\n\n" if inherit else ""
    home, source = lines[:2], 'S="${WORKDIR}"'
    text = "\n".join([*home, source, *lines[2:]])
    return f"{_HEAD}\nEAPI=8\n\n{first}{text}\n{body}"


def metadata(*flags: str) -> str:
    return _METADATA.format(flags="".join(_FLAG.format(name=name) for name in flags))


def eclass(name: str, body: str, inherit: str = "") -> str:
    guard = f"_{name.upper()}_ECLASS"
    inner = f"inherit {inherit}\n" if inherit else ""
    return f"{_HEAD}\nif [[ -z ${{{guard}}} ]]; then\n{guard}=1\n{inner}{body}\nfi\n"


def manifest(name: str, content: bytes) -> str:
    digest = hashlib.blake2b(content).hexdigest()
    other = hashlib.sha512(content).hexdigest()
    return f"DIST {name} {len(content)} BLAKE2B {digest} SHA512 {other}\n"


#: The repository that the overlay builds on, as Gentoo's own.
MAIN: Mapping[str, str] = {
    "profiles/repo_name": "main\n",
    "profiles/eapi": "8\n",
    "profiles/categories": "acct-group\nacct-user\napp-misc\ndev-libs\nsys-apps\n",
    "profiles/arch.list": "amd64\n",
    "profiles/profiles.desc": "amd64 default stable\n",
    "profiles/default/make.defaults": 'ARCH="amd64"\nACCEPT_KEYWORDS="~amd64"\n',
    "profiles/default/eapi": "8\n",
    "profiles/use.desc": "extra - Adds more\n",
    "metadata/layout.conf": "masters =\nthin-manifests = true\nsign-manifests = false\n",
    "licenses/GPL-2": "A licence.\n",
    "eclass/common.eclass": eclass("common", 'IUSE="extra"'),
    "eclass/shadowed.eclass": eclass("shadowed", 'DESCRIPTION="of the main one"'),
    "dev-libs/there/there-1.ebuild": ebuild("there"),
    "dev-libs/there/metadata.xml": metadata(),
}

SOURCE = b"what upstream publishes\n"

#: The overlay. `app-misc/leaf` needs nearly all of it; `app-misc/other` is not to come along.
OVERLAY: Mapping[str, str] = {
    "README.md": "An overlay.\n",
    "profiles/repo_name": "thicket\n",
    "profiles/eapi": "8\n",
    "profiles/categories": "acct-group\nacct-user\napp-misc\ndev-libs\ngames-misc\n",
    "profiles/package.mask": (
        "# Some Body <somebody@example.org> (2026-01-01)\n# It eats files.\n"
        ">=app-misc/leaf-9\n\n# Not ours.\napp-misc/other\n"
    ),
    "profiles/package.use.mask": "app-misc/leaf wild\napp-misc/other extra\n",
    "profiles/use.desc": "thorn - Has thorns\nunused - Is of nobody here\n",
    "profiles/use.local.desc": "app-misc/leaf:wild - Lets it grow\napp-misc/other:odd - Is odd\n",
    "profiles/desc/leaf_colour.desc": "green - As in spring\nred - As in autumn\n",
    "profiles/thirdpartymirrors": "wood https://wood.invalid/\nstone https://stone.invalid/\n",
    "profiles/license_groups": "EULA thicket-licence other-licence\nODD other-licence\n",
    "profiles/updates/1Q-2026": (
        "move app-misc/blade app-misc/leaf\nmove app-misc/strange app-misc/other\n"
    ),
    "metadata/layout.conf": "masters = main\nthin-manifests = true\nsign-manifests = false\n",
    "licenses/thicket-licence": "You may look.\n",
    "licenses/other-licence": "You may not.\n",
    "eclass/thicket.eclass": eclass("thicket", 'IUSE+=" thorn"', "bark"),
    "eclass/bark.eclass": eclass("bark", "bark_src_install() { :; }"),
    "eclass/shadowed.eclass": eclass("shadowed", 'DESCRIPTION="of the overlay"'),
    "eclass/live.eclass": eclass("live", 'PROPERTIES="live"'),
    "eclass/never.eclass": eclass("never", "NEVER=1"),
    "app-misc/metadata.xml": "<catmetadata/>\n",
    "app-misc/leaf/leaf-1.ebuild": ebuild(
        "leaf",
        'src_install() {\n\tinsinto /usr/share/leaf\n\tdoins "${FILESDIR}"/leaf.txt\n}\n',
        inherit="common thicket",
        LICENSE="thicket-licence",
        RDEPEND="dev-libs/twig acct-user/leaf dev-libs/there",
        IUSE="wild leaf_colour_green",
    ),
    "app-misc/leaf/leaf-9999.ebuild": ebuild(
        "leaf",
        inherit="common $([[ ${PV} == 9999 ]] && echo live) shadowed",
        KEYWORDS="",
        SRC_URI="mirror://wood/leaf.txt",
    ),
    "app-misc/leaf/files/leaf.txt": "green\n",
    "app-misc/leaf/metadata.xml": metadata("wild"),
    "app-misc/leaf/Manifest": manifest("leaf.txt", SOURCE),
    "dev-libs/twig/twig-2.ebuild": ebuild("twig", BDEPEND="|| ( sys-apps/nowhere dev-libs/root )"),
    "dev-libs/twig/metadata.xml": metadata(),
    "dev-libs/root/root-1.ebuild": ebuild("root", RDEPEND=">=dev-libs/there-1 sys-apps/lacking"),
    "dev-libs/root/metadata.xml": metadata(),
    "acct-user/leaf/leaf-0.ebuild": ebuild("leaf", RDEPEND="acct-group/leaf"),
    "acct-user/leaf/metadata.xml": metadata(),
    "acct-group/leaf/leaf-0.ebuild": ebuild("leaf"),
    "acct-group/leaf/metadata.xml": metadata(),
    "app-misc/other/other-1.ebuild": ebuild("other", inherit="never", IUSE="odd"),
    "app-misc/other/metadata.xml": metadata("odd"),
}
LEAF = "app-misc/leaf::thicket"
BROUGHT = ("acct-group/leaf", "acct-user/leaf", "app-misc/leaf", "dev-libs/root", "dev-libs/twig")


@dataclass
class Upstream:
    """A git repository that somebody publishes."""

    path: Path

    @property
    def address(self) -> str:
        return self.path.as_uri()

    def write(self, files: Mapping[str, str | None]) -> str:
        """Change files, None takes one away; the new commit."""
        for name, text in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                place.unlink()
            else:
                place.write_text(text)
        return self.commit()

    def commit(self, *words: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=work", *words)
        return self.git("rev-parse", "HEAD")

    def tree(self, *parts: str) -> str:
        """Make a tree as no git makes it, of "MODE NAME" with a NUL, and an id, in turn."""
        room = self.path / ".git/literal"
        pairs = zip(parts[::2], parts[1::2], strict=True)
        room.write_bytes(b"".join(head.encode() + bytes.fromhex(id_) for head, id_ in pairs))
        return self.git("hash-object", "-w", "-t", "tree", "--literally", room)

    def git(self, *words: str | Path) -> str:
        names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("GNUPGHOME", "/nonexistent"),
            "GIT_CONFIG_NOSYSTEM": "1",
            **dict.fromkeys(names, "somebody@test.invalid"),
        }
        done = subprocess.run(
            ["git", "-C", self.path, *words], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


def publish(path: Path, files: Mapping[str, str] = OVERLAY) -> Upstream:
    """Publish an overlay, which others may read in part."""
    path.mkdir(parents=True)
    made = Upstream(path)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "uploadpack.allowFilter", "true")
    made.write(files)
    return made


def write_tree(top: Path, files: Mapping[str, str]) -> Path:
    """Write a repository without git."""
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    return top


def listed(*overlays: Upstream) -> str:
    """A repositories.xml of these overlays, by the names of their directories."""
    rows = "".join(
        f'<repo quality="experimental"><name>{each.path.name}</name>'
        f'<source type="rsync">rsync://x.invalid/</source>'
        f'<source type="git">{each.address}</source></repo>'
        for each in overlays
    )
    return f'<?xml version="1.0"?>\n<repositories version="1.0">{rows}</repositories>\n'
