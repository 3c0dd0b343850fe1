"""Debian's current kernel and dracut as packages of a tree, like a distribution kernel."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import release

DRACUT = ("dracut-core", "cpio")
#: What dracut needs, and a running system, too.
UDEV = ("kmod", "libkmod2", "udev", "dmsetup", "libdevmapper1.02.1", "libapparmor1")
#: Like Gentoo's, the package itself does not own what is in /boot. It has few modules, so that an
#: initramfs is made quickly: those that a virtual machine needs for its disk.
KERNEL = """
src_install() {
	deb-bundle_src_install
	cd "${D}"/usr/lib/modules/* || die
	find kernel -name '*.ko' ! -name 'virtio*' ! -name 'xfs.*' ! -name '*crc32c*' \\
		! -name '*fat.*' ! -name 'nls_*' -delete || die
	mkdir "${D}/lib" && mv "${D}/usr/lib/modules" "${D}/lib" || die # as in Gentoo
	depmod -b "${D}" "${PWD##*/}" || die
	local tree="${D}/usr/src/linux-${PWD##*/}"
	mkdir -p "${tree}/arch/x86/boot" || die
	mv "${D}"/boot/vmlinuz-* "${tree}/arch/x86/boot/bzImage" || die
	mv "${D}"/boot/System.map-* "${tree}/System.map" || die
	cat "${BROOT}"/etc/kernel/config.d/*.config > "${tree}/.config" || die
	rm -r "${D}/boot" || die
}

pkg_postinst() {
	local trees=("${EROOT}"/usr/src/linux-*)
	local version=${trees[0]##*/linux-}
	cp "${trees[0]}/arch/x86/boot/bzImage" "${EROOT}/boot/vmlinuz-${version}" || die
	cp "${trees[0]}/System.map" "${EROOT}/boot/System.map-${version}" || die
	cp "${trees[0]}/.config" "${EROOT}/boot/config-${version}" || die
}
"""


def add_kernel(tree: Path, dracut: tuple[str, ...] = (*DRACUT, *UDEV)) -> None:
    """Add both as packages, their sources to DISTDIR."""
    told = subprocess.run(
        ["apt-cache", "depends", "linux-image-cloud-amd64"],
        check=True, text=True, capture_output=True,
    ).stdout  # fmt: skip
    (image,) = re.findall(r"Depends: (linux-image-\S+)", told)
    (tree / "eclass").mkdir(exist_ok=True)
    eclass = dict(release.extra_parts())["file:eclass/deb-bundle.eclass"]
    (tree / "eclass/deb-bundle.eclass").write_text(eclass)
    with (tree / "profiles/categories").open("a") as categories:
        categories.write("sys-kernel\n")
    add_bundle(tree, "sys-kernel/dracut", dracut)
    add_bundle(tree, "sys-kernel/gentoo-kernel", (image,), KERNEL)


def add_bundle(tree: Path, name: str, packages: tuple[str, ...], more: str = "") -> None:
    """Add a package that consists of packages of Debian. ``more`` is the rest of its ebuild."""
    distdir, place = tree.parent / "store", tree / name
    pool = release.pool_of(packages)
    place.mkdir(parents=True)
    for each in packages:
        release.fetch(pool[each], distdir)
    uris = "\n".join(f"\tmirror://debian/{pool[each].file}" for each in packages)
    text = release.EBUILD.format(name=name, uris=uris, more=f'\nIUSE="initramfs live"\n{more}')
    text = text.replace("metapackage", "public-domain")  # which the profile accepts
    (place / f"{place.name}-1.ebuild").write_text(text)
    release.write_manifest(place, (distdir / pool[each].file for each in packages))
