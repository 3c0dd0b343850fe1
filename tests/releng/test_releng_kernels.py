"""A distribution kernel in a netboot, built by ``cloche catalyst -f``, and a root for embedded.

The kernel and dracut are Debian's, as packages in the tree of `small`. genkernel is not part of any
test; `docs/catalyst.md` says what was tried by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.releng.kernel import add_kernel
from tests.releng.small import COMMON, Release, released
from tests.support import Store

from cloche.layers import SOURCE_DATE_EPOCH

pytestmark = pytest.mark.real

NETBOOT = """\
target: netboot
profile: default
netboot/packages: app-misc/note
netboot/packages/app-misc/note/files: /usr/share/note/u*
netboot/extra_files: /usr/bin/true /none
netboot/overlay: {place}/overlay
boot/kernel: one
boot/kernel/one/distkernel: yes
boot/kernel/one/config: {place}/live.config
boot/kernel/one/use: live
boot/kernel/one/dracut_args: -m "base kernel-modules" --no-hostonly --no-compress
"""
EMBEDDED = """\
target: embedded
profile: default
embedded/use: extra
embedded/packages: app-misc/note app-misc/needy
embedded/rm: /usr/share/note/r*
install_mask: /usr/share/needy
"""
#: Its build dependency exists while it is built, but not in the result.
NEEDY = """\
EAPI=8
DESCRIPTION="Needs another package at build time"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
DEPEND="app-misc/gone"
RDEPEND="app-misc/base"

src_compile() {
	cat "${SYSROOT}/usr/share/gone/use" > found || die
	$(tc-getCC) -o needy -x c - <<< 'int main(void) { return 0; }' || die
}

src_install() {
	dobin needy
	insinto /usr/share/needy
	doins found
	insinto /usr/share/kept
	doins found
}
"""


def add(tree: Path) -> None:
    """Add the kernel, and a package with dependencies."""
    add_kernel(tree)
    needy = tree / "app-misc/needy/needy-1.ebuild"
    needy.parent.mkdir()
    needy.write_text(NEEDY.replace("EAPI=8\n", "EAPI=8\ninherit toolchain-funcs\n"))
    (tree / "eclass/toolchain-funcs.eclass").write_text('tc-getCC() { echo "${CC:-gcc}"; }\n')


@pytest.fixture(scope="module")
def built(root_seeded: Store, ground: Path) -> Iterator[Release]:
    """Both specs, built."""
    with released(root_seeded, ground, "kernels", add) as made:
        place = made.place
        (place / "live.config").write_text("CONFIG_SPECIAL=y\n")
        for name, text in (("netboot", NETBOOT), ("embedded", EMBEDDED)):
            (place / f"{name}.spec").write_text((COMMON + text).replace("{place}", str(place)))
            told = made.run(name)
            assert told.returncode == 0, told.stderr
        yield made


def directory(built: Release) -> Path:
    """Where the netboot is."""
    return built.tarball("netboot").with_suffix("").with_suffix("")


def names_in(archive: bytes) -> dict[str, int]:
    """The names in an initramfs, and their times.

    The format is newc, of Linux's Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    found, place = {}, 0
    while True:
        assert archive[place : place + 6] == b"070701"
        numbers = [int(archive[at : at + 8], 16) for at in range(place + 6, place + 110, 8)]
        begin, (time, size, length) = place + 110, (numbers[5], numbers[6], numbers[11])
        name = archive[begin : begin + length - 1].decode()
        if name == "TRAILER!!!":
            return found
        found[name] = time
        place = (begin + length + 3 & ~3) + size + 3 & ~3


def test_netboot_is_a_kernel_with_the_files_of_packages_in_its_initramfs(built: Release) -> None:
    place = directory(built)
    files = {str(each.relative_to(place)) for each in place.rglob("*") if each.is_file()}
    assert files == {
        "kernels/one", "kernels/misc/one.igz", "kernels/misc/System-one.map", "boot/one-config",
    }  # fmt: skip
    assert (place / "kernels/one").read_bytes()[0x202:0x206] == b"HdrS"  # boot.rst of Linux
    assert (place / "boot/one-config").read_text() == "CONFIG_SPECIAL=y\n"
    names = names_in((place / "kernels/misc/one.igz").read_bytes())
    assert {"usr/share/note/use", "etc/motd", "usr/bin/true"} <= names.keys()
    assert any(name.endswith("virtio.ko") for name in names)
    assert any(name.endswith("etc/initrd-release") for name in names)  # dracut's own
    assert max(names.values()) <= SOURCE_DATE_EPOCH


def test_the_same_kernel_is_not_built_again_for_another_stamp(built: Release) -> None:
    before = {each: each.read_bytes() for each in directory(built).rglob("*") if each.is_file()}
    told = built.run("netboot", "--set", "TIMESTAMP=20261130T000000Z")
    assert told.returncode == 0, told.stderr
    assert "0 packages built, " in told.stdout
    for path, content in before.items():
        other = Path(str(path).replace("20261128", "20261130"))
        assert other.read_bytes() == content


def test_a_directory_with_other_files_is_refused_before_anything_begins(built: Release) -> None:
    kept = directory(built) / "mine"
    kept.write_text("mine\n")
    told = built.run("netboot")
    kept.unlink()
    assert told.returncode == 2
    assert told.stderr == (
        f"cloche: {kept} is not a file of a netboot; "
        "move it, so that the directory can be replaced\n"
    )


def test_embedded_is_its_packages_alone(built: Release) -> None:
    members = built.members("embedded")
    assert built.text("embedded", "usr/share/note/use").split() == ["bindist", "extra", "releng"]
    assert "usr/share/note/removed" not in members
    assert "usr/bin/needy" in members
    assert built.text("embedded", "usr/share/kept/found").split() == ["bindist", "extra"]
    assert "usr/share/needy/found" not in members  # install_mask
    for name in ("gone", "base"):  # dependencies, which only builds see
        assert not [each for each in members if f"app-misc/{name}-" in each]
    assert "bin" not in members
    assert members["etc/portage/make.profile"].linkname.endswith("profiles/default")
    assert "etc/portage/make.conf" not in members
