# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig

DESCRIPTION="The C library of GNU"
HOMEPAGE="https://www.gnu.org/software/libc/"

LICENSE="LGPL-2.1+ BSD ISC"
SLOT="2.2"
KEYWORDS="amd64"

DEPEND="sys-kernel/linux-headers"
RDEPEND="sys-apps/baselayout"
BDEPEND="
	sys-apps/gawk
	dev-lang/python
	sys-devel/bison
"

src_prepare() {
	default
	# Debian has taken the manual out of the tarball.
	sed -i -e 's/ wctype manual / wctype /' Makeconfig || die
}

src_configure() {
	# It has to be optimised, and is tested with no other flags than these.
	export CFLAGS="-O2 -pipe" CXXFLAGS="-O2 -pipe"
	unset LDFLAGS
	local conf=(
		--enable-kernel=4.19
		--enable-bind-now
		--disable-nscd
		--disable-profile
		--disable-werror
		--without-gd
		--without-selinux
		--with-headers="${ESYSROOT}/usr/include"
		libc_cv_slibdir="${EPREFIX}/usr/$(get_libdir)"
		libc_cv_rtlddir="${EPREFIX}/lib64"
		MSGFMT=:
	)
	mkdir "${WORKDIR}/build" && cd "${WORKDIR}/build" || die
	ECONF_SOURCE="${S}" econf "${conf[@]}"
}

src_compile() {
	emake -C "${WORKDIR}/build"
}

src_install() {
	emake -C "${WORKDIR}/build" install_root="${D}" install
	# The loader has its place in the ABI, which baselayout makes a link to this one.
	mv "${D}"/lib64/* "${ED}/usr/$(get_libdir)" && rmdir "${D}"/lib64 || die
	# Scripts for Perl and other shells.
	rm -f "${ED}"/usr/bin/{mtrace,catchsegv,sotruss,tzselect,xtrace} || die
	rm -f "${ED}"/etc/ld.so.cache "${ED}"/usr/share/info/dir || die
	insinto /etc
	newins - nsswitch.conf <<-EOF
		passwd: files
		group: files
		shadow: files
		hosts: files dns
		networks: files dns
		services: files
		protocols: files
	EOF
	newins - host.conf <<< "multi on"
	newenvd - 00glibc <<< 'LDPATH="include ld.so.conf.d/*.conf"'
}
