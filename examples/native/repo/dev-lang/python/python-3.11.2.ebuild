# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="python3.11"
inherit debian-orig python-bytecode

DESCRIPTION="The language that Portage is written in"
HOMEPAGE="https://www.python.org/"
S="${WORKDIR}/Python-${PV}"

LICENSE="PSF-2"
SLOT="3.11"
KEYWORDS="amd64"

DEPEND="
	app-arch/bzip2:=
	app-arch/xz-utils:=
	dev-libs/libffi:=
	sys-libs/ncurses:=
	sys-libs/readline:=
	sys-libs/zlib:=
"
RDEPEND="${DEPEND}"

src_prepare() {
	default
	# Its own search for headers and libraries is for the machine that it is built on.
	sed -i -E \
		-e '/^ +self\.add_multiarch_paths\(\)$/d' \
		-e "s:'/usr/include/ncursesw':'${ESYSROOT}/usr/include/ncursesw':" \
		-e "/system_(lib|include)_dirs = \[/,/\]/s:'(/(usr/)?(lib64|lib|include)[^']*)':'${ESYSROOT}\1':g" \
		setup.py || die
	# It would compile its modules three times, with as many processes as there are processors.
	sed -i -e 's:\$(PYTHON_FOR_BUILD) -Wi .*/compileall\.py:true:' Makefile.pre.in || die
	# Its first line names a Python that no root has.
	sed -i -e '1s:/usr/local/bin/python:/usr/bin/python3:' Lib/cgi.py || die
}

src_configure() {
	local conf=(
		--disable-test-modules
		--enable-ipv6
		--with-computed-gotos
		--with-platlibdir=lib
		--without-ensurepip
		--without-doc-strings
		ac_cv_working_tzset=yes
	)
	econf "${conf[@]}"
}

src_compile() {
	# Nothing of the build machine's own packages.
	emake CPPFLAGS= CFLAGS_NODIST=
}

src_install() {
	emake DESTDIR="${D}" install
	dosym python3.11 /usr/bin/python
	rm -rf "${ED}"/usr/lib/python3.11/{test,idlelib,tkinter,turtledemo,ensurepip} || die
	rm -f "${ED}"/usr/bin/idle* || die
	python-bytecode_compile ./python /usr/lib/python3.11
}
