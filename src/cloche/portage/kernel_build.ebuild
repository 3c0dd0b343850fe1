# Written by cloche for the [kernel] of a machine: no other command knows this repository.
EAPI=8

DESCRIPTION="What packages of modules are built against: the kernel of a machine, prepared"
HOMEPAGE="https://www.kernel.org/"
LICENSE="GPL-2"
SLOT="0"
KEYWORDS="@KEYWORDS@"
RESTRICT="binchecks strip test"
BDEPEND="@BDEPEND@"
DEPEND="=@KERNEL@"

SOURCES="@SOURCES@"

S=${WORKDIR}

@COMMON@
src_configure() {
	local boot=${ESYSROOT}/boot contents=${ESYSROOT}/var/db/pkg/@KERNEL@/CONTENTS version
	version=$(sed -n -E 's|^obj /boot/config-([^ ]+) .*|\1|p;T;q' "${contents}") && [[ -n ${version} ]] ||
		die "@KERNEL@ has left no configuration in /boot"
	grep -q '^CONFIG_MODULES=y' "${boot}/config-${version}" ||
		die "packages of modules need CONFIG_MODULES=y, but the kernel's configuration lacks it"
	mkdir build || die
	cp "${boot}/config-${version}" build/.config || die
	cp "${boot}/System.map-${version}" build/System.map || die
	gzip -dc "${ESYSROOT}/lib/modules/${version}/symvers.gz" > build/Module.symvers || die
	linux olddefconfig
}

src_compile() {
	linux modules_prepare
}

# usage: copied FROM CONDITION... - copy the files that find(1) finds into the image's tree
copied() {
	(
		set -o pipefail
		cd "$1" && find . "${@:2}" -print0 | tar -c --null -T - | tar -x --no-same-owner -C "${TREE}"
	) || die "copying from $1 failed"
}

src_install() {
	local cpu tree
	cpu=$(cpu)
	tree=/usr/src/linux-$(release)-cloche
	dodir "${tree}"
	local TREE=${ED}${tree}
	copied "$(sources)" \
		\( -path './arch/*' ! -path "./arch/${cpu}" ! -path "./arch/${cpu}/*" -type d -prune \
		-o \( -path ./Documentation -o -path ./samples -o -path ./tools -o -path ./.git \) -prune \
		\) -false -o -type f \( -name 'Makefile*' -o -name 'Kconfig*' -o -name 'Kbuild*' \
		-o -path './scripts/*' -o -path './include/*' -o \( -name '*.h' ! -path './drivers/gpu/*' \) \)
	copied build -type f ! -name '*.cmd' ! -name '*.a' ! \( -name '*.o' ! -name crtsavres.o \) \( \
		-name .config -o -name Module.symvers -o -name System.map \
		-o -path './scripts/*' -o -path './include/*' -o -path './arch/*' \
		-o -path ./tools/objtool/objtool -o -name resolve_btfids \)
	dosym "linux-$(release)-cloche" /usr/src/linux
	# Not relative: /lib may be a link.
	dosym "${tree}" "/lib/modules/$(release)/build"
	dosym "${tree}" "/lib/modules/$(release)/source"
}
