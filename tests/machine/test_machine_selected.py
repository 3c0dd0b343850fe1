"""Building several machines, some packages of one, and packages that are known already."""

from __future__ import annotations

import re

import pytest
import tiny
from tests.support import Store

pytestmark = pytest.mark.real

RANDOM = """EAPI=8
DESCRIPTION="Gives another result each time"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
S="${WORKDIR}"
src_install() {
	echo "${RANDOM}${RANDOM}${RANDOM}" > number || die
	insinto /usr/share
	doins number
}
"""


def test_some_packages_several_machines_and_rebuilding(root_seeded: Store) -> None:
    once = tiny.built_once(root_seeded)
    made = tiny.fresh_copy(once, once.store)
    store, place = made.store, made.project
    text = (place / "machines/tiny.toml").read_text()
    packages = 'packages = ["tiny/report", "tiny/census"]'
    for name, wanted in (("odd", '"tiny/odd", "tiny/leaf"'), ("bad", '"tiny/none"')):
        changed = text.replace(packages, f"packages = [{wanted}]").replace("= true", "= false")
        assert changed.count(wanted) == 1
        (place / f"machines/{name}.toml").write_text(changed)
    (place / "repo/tiny/odd").mkdir()
    (place / "repo/tiny/odd/odd-1.ebuild").write_text(RANDOM)

    def built(*words: str, status: int = 0) -> str:
        done = store.cloche("build", *words, "--progress", "plain", cwd=place)
        assert done.returncode == status, done.stderr
        return done.stderr + done.stdout

    # What they need comes along; nothing is delivered.
    told = built("tiny", "--package", "gr*")
    assert "tiny: 2 packages in the plan" in told
    assert "0 packages built, 2 reused" in told
    assert "stage4" not in told
    assert not (place / "out").exists()

    # What they share is built once, and one that fails does not stop the others.
    told = built("bad", "odd", "tiny", "-k", status=2)
    assert "\nbad: failed\nodd: 1 package built, 1 reused\n" in told
    assert "\ntiny: 0 packages built, 6 reused\n" in told
    assert "cloche: 1 of 3 machines failed: bad" in told
    assert (place / "out/odd/binpkgs/Packages").is_file()
    assert (place / "out/tiny/stage4.tar.zst").is_file()
    assert "\nmachine odd\n" not in built("bad", "odd", status=2)

    # A forced build says whether it gives the same again.
    told = built("odd", "--rebuild", "leaf")
    assert f"tiny/leaf-1: rebuilt: the same layer as before, {made.layers['tiny/leaf-1']}" in told
    assert "1 package built, 1 reused" in told
    told = built("odd", "--rebuild", "odd")
    found = re.search(r"rebuilt: its layer (\w{64}) differs from the earlier one, (\w{64})", told)
    assert found
    again = re.search(
        rf"differs from the earlier one, {found[1]}", built("odd", "--rebuild", "odd")
    )
    assert again
    assert "no package matches “nope”" in built("odd", "--rebuild", "nope", status=2)
