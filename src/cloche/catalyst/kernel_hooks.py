"""Scripts that make a kernel's initramfs, or all of a kernel, in the root of a machine.

They see a kernel's keys as variables. KERNEL is its label, SOURCES the atom of its package, and
OPTIONS the options of the tool, one a line. If BOOT is set, it is the directory to which the files
for a medium's boot loader are copied, under the names that catalyst gives them there.
"""

from __future__ import annotations

_BEGIN = """\
#!/bin/bash
set -e
rm -f /etc/localtime
[[ ! -e /usr/share/zoneinfo/UTC ]] || cp /usr/share/zoneinfo/UTC /etc/localtime
options=()
[[ -z ${OPTIONS} ]] || mapfile -t options <<< "${OPTIONS}"
fail() {
	echo "$*" >&2
	exit 1
}
# usage: keep FILE NAME - a file for the boot loader
keep() {
	[[ -n ${BOOT} && -e $1 ]] || return 0
	mkdir -p "${BOOT}"
	cp -L --remove-destination "$1" "${BOOT}/$2"
}
"""

#: The initramfs of a distribution kernel. Device nodes cannot be made in a sandbox: Linux itself
#: has /dev/console in every initramfs, and dracut's init mounts a devtmpfs with all others.
DRACUT = (
    _BEGIN
    + """\
cpv=$(portageq best_version / "${SOURCES}")
[[ -n ${cpv} ]] || fail "${SOURCES} is not installed"
tree=$(portageq contents / "${cpv}" | grep -E -m 1 '^/usr/src/linux-[^/]+$') ||
	fail "${cpv} has no /usr/src/linux-VERSION: it is not a distribution kernel"
version=${tree#/usr/src/linux-}
for image in x86/boot/bzImage arm64/boot/Image.gz arm/boot/zImage riscv/boot/Image.gz \
	loongarch/boot/vmlinuz.efi ../vmlinux; do
	image=${tree}/arch/${image}
	[[ ! -e ${image} ]] || break
done
[[ -e ${image} ]] || fail "there is no kernel in ${tree}"
[[ -z ${IMAGE} ]] || options+=(--include "${IMAGE}" /)
export DRACUT_NO_MKNOD=1
dracut --reproducible "${options[@]}" --force --kernel-image="${image}" --kver="${version}"
for file in /boot/{vmlinux,vmlinuz,kernel}-"${version}"; do
	[[ ! -e ${file} ]] || image=${file}
done
initramfs=
for file in /boot/initr{d,d.img,amfs}-"${version}"{,.img}; do
	[[ ! -e ${file} ]] || initramfs=${file}
done
[[ -n ${initramfs} ]] || fail "dracut made no /boot/initramfs-${version}.img"
keep "${image}" "${KERNEL}"
keep "${initramfs}" "${KERNEL}.igz"
keep "/boot/System.map-${version}" "System-${KERNEL}.map"
keep "/boot/config-${version}" "${KERNEL}-config"
"""
)

WORK = "/var/tmp/cloche-genkernel"  # noqa: S108 - a directory of the sandbox
INPUTS = "/run/cloche/inputs"

#: A kernel, its modules and its initramfs by genkernel. `make clean` removes from the sources what
#: is not needed later.
GENKERNEL = (
    _BEGIN
    + f"""\
export PATH={INPUTS}/bin:${{PATH}}
KBUILD_BUILD_TIMESTAMP=$(date --utc --date="@${{SOURCE_DATE_EPOCH}}")
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=root KBUILD_BUILD_HOST=localhost GZIP=-n
tree=/usr/src/linux
[[ -e ${{tree}}/Makefile ]] || fail "${{SOURCES}} has left no /usr/src/linux"
[[ ! -e ${{tree}}/Makefile.bak ]] || cp ${{tree}}/Makefile{{.bak,}} # that of the kernel before
if [[ -n ${{EXTRAVERSION}} ]]; then
	cp ${{tree}}/Makefile{{,.bak}}
	sed -i "s:EXTRAVERSION \\(=.*\\):EXTRAVERSION \\1-${{EXTRAVERSION}}:" ${{tree}}/Makefile
fi
mkdir -p {WORK}
if ! genkernel "${{options[@]}}"; then
	tail -n 200 {WORK}/log
	fail "genkernel failed"
fi
[[ ${{PART}} != kernel ]] || exit 0
make -s -C ${{tree}} clean
[[ -n ${{BOOT}} ]] || exit 0
mkdir {WORK}/boot
tar -xf {WORK}/kernel.tar -C {WORK}/boot
for file in {WORK}/boot/*; do
	case ${{file##*/}} in
	config-*) keep "${{file}}" "${{KERNEL}}-config" ;;
	kernel-* | vmlinuz-* | kernelz-*) keep "${{file}}" "${{KERNEL}}" ;;
	initramfs-*) keep "${{file}}" "${{KERNEL}}.igz" ;;
	System.map-*) keep "${{file}}" "System-${{KERNEL}}.map" ;;
	esac
done
"""
)

#: Comes first in genkernel's PATH. genkernel unpacks its finished initramfs and packs it again, so
#: each file gets the time of the unpacking, and it calls find to list what cpio packs.
FIND = """\
#!/bin/bash
find=$(PATH=${PATH#*:} type -P find)
if [[ $* == ". -print0" ]]; then
	${find} . -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +
fi
exec "${find}" "$@"
"""
