# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_EXT="xz"
inherit debian-orig

DESCRIPTION="The language of Autotools, among others"
HOMEPAGE="https://www.perl.org/"

LICENSE="|| ( Artistic GPL-1+ )"
SLOT="0/5.36"
KEYWORDS="amd64"

DEPEND="sys-libs/glibc"
RDEPEND="${DEPEND}"

src_configure() {
	local lib="${EPREFIX}/usr/lib/perl5/${PV}"
	local conf=(
		-Dprefix="${EPREFIX}/usr"
		-Dprivlib="${lib}"
		-Darchlib="${lib}/${CHOST}"
		-Dsitelib="${EPREFIX}/usr/local/lib/perl5/${PV}"
		-Dsitearch="${EPREFIX}/usr/local/lib/perl5/${PV}/${CHOST}"
		-Darchname="${CHOST}"
		-Dcc="${CHOST}-gcc"
		-Dar="${CHOST}-ar"
		-Dnm="${CHOST}-nm"
		-Dranlib="${CHOST}-ranlib"
		-Doptimize="${CFLAGS}"
		-Dldflags="${LDFLAGS}"
		-Duseshrplib=false
		-Dusethreads=false
		-Uusedl=false
		-Ui_db -Ui_gdbm -Ui_ndbm -Ui_rpcsvcdbm
		-Dnoextensions="DB_File GDBM_File NDBM_File ODBM_File"
		-Dman1dir=none
		-Dman3dir=none
		# What it would ask the machine that it is built on.
		-Dusrinc="${EPREFIX}/usr/include"
		-Dlibpth="${EPREFIX}/usr/$(get_libdir)"
		-Dglibpth="${EPREFIX}/usr/$(get_libdir)"
		-Dplibpth=
		-Dlocincpth= -Dloclibpth=
		-Dlibs="-lm -lcrypt -lc"
		-Dperllibs="-lm -lcrypt -lc"
		-Dlibc=
		-Dcf_by=portage
		-Dcf_email=portage@localhost
		-Dcf_time="$(LC_ALL=C TZ=UTC date -d "@${SOURCE_DATE_EPOCH:-0}")"
		-Dmyhostname=localhost
		-Dmydomain=.localdomain
		-Dmyuname=linux
		-Dosvers=linux
		-Dperladmin=root@localhost
		-Dpager=/usr/bin/less
	)
	sh ./Configure -des "${conf[@]}" || die
}

src_install() {
	emake DESTDIR="${D}" install
	find "${ED}" -name .packlist -delete || die
	# Where the compiler of the build has found something: in its own system, or in the new root.
	local lib="${EPREFIX}/usr/$(get_libdir)" include="${EPREFIX}/usr/include"
	sed -i -E \
		-e "s:^(libpth|libspath)=.*:\1='${lib}':; s:^( +libpth => ).*:\1'${lib}',:" \
		-e "s:^(libc|libsdirs|libsfiles|libsfound|plibpth)=.*:\1='':" \
		-e "s:^incpth=.*:incpth='${include}':; s:^timeincl=.*:timeincl='${include}/sys/time.h':" \
		"${ED}/usr/lib/perl5/${PV}/${CHOST}"/Config{.pm,_heavy.pl} || die
}
