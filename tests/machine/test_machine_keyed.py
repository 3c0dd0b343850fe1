"""What a machine's configuration says reaches a build only if it is part of the build's key."""

from __future__ import annotations

import re

import pytest
import tiny
from tests.support import Store, project

from cloche.config.makeconf import OWNED
from cloche.guest import variables

pytestmark = pytest.mark.real

#: Portage reads these values itself, and refuses what they are set to here.
READ = variables.COVERED | {
    *("ARCH", "CONFIG_PROTECT", "CONFIG_PROTECT_MASK", "PATH", "PORTAGE_EBUILD_EXTRA_SOURCE"),
}
NAMES = sorted(
    (variables.PLACES | variables.JOBS | variables.COSMETICS) - READ
    | {"LANG", "BUILD_ID", "GNUMAKEFLAGS", "MAKEFLAGS", "MAKELEVEL", "SAMUFLAGS", "SOME_SWITCH"}
    | {"CCACHE_PREFIX", "DISTCC_HOSTS", "PORTAGE_BINPKG_TAR_OPTS", "PORTAGE_GZ", "PORTAGE_LATER"}
)
SHOW = """EAPI=8
DESCRIPTION="shows what of the machine's configuration reaches it"
HOMEPAGE="https://example.org/show"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
src_compile() {
    declare -p | grep -a marker > reached || die "nothing reaches the build"
}
src_install() {
    insinto /usr/share/show
    doins reached
}
"""


@pytest.mark.parametrize("place", ["make.conf", "package.env", "profile"])
def test_nothing_reaches_a_build_but_what_is_in_its_key(root_seeded: Store, place: str) -> None:
    store = tiny.built_once(root_seeded).store
    where = project(store, tiny.PROJECT)
    ebuild = where / "repo/tiny/show/show-1.ebuild"
    ebuild.parent.mkdir()
    ebuild.write_text(SHOW)
    machine = where / "machines/tiny.toml"
    machine.write_text(re.sub("packages = .*", 'packages = ["tiny/show"]', machine.read_text()))
    base = where / "portage/base"
    set_here = [name for name in NAMES if name not in OWNED]
    lines = "".join(f'{name}="marker-{place}-{name}"\n' for name in set_here)
    if place == "package.env":
        (base / "package.env").write_text("tiny/show all\n")
        (base / "env").mkdir()
        (base / "env/all").write_text(lines)
    elif place == "profile":
        (base / "profile").mkdir()
        (base / "profile/make.defaults").write_text(lines)
    else:
        (base / "make.conf").write_text((base / "make.conf").read_text() + lines)
    made = tiny.build(store, where)
    reached = store.path / "layers" / made.layers["tiny/show-1"] / "usr/share/show/reached"
    found = set(re.findall(r'^declare \S+ (\w+)="marker-', reached.read_text(), re.MULTILINE))
    assert {"MAKEFLAGS", "SOME_SWITCH"} <= found
    assert {name for name in found if not variables.matters(name)} == set()
