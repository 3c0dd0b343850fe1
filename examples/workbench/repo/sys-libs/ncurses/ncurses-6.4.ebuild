# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig

DESCRIPTION="Terminals, windows and forms on a screen of characters"
HOMEPAGE="https://invisible-island.net/ncurses/"

LICENSE="MIT"
SLOT="0/6" # the number of libtinfo.so and libncursesw.so
KEYWORDS="amd64"
IUSE="minimal"

src_configure() {
	local conf=(
		--with-shared
		--without-normal
		--without-debug
		--without-ada
		--without-cxx
		--without-cxx-binding
		--without-manpages
		--without-tests
		--enable-widec
		--enable-ext-colors
		--disable-stripping

		# The terminal functions in a library of their own and versions on
		# the symbols: the shell and Python that are there already are
		# linked with a libtinfo that has both.
		--with-termlib=tinfo
		--with-versioned-syms

		--enable-pc-files
		--with-pkg-config-libdir="${EPREFIX}/usr/$(get_libdir)/pkgconfig"

		--disable-db-install
		--with-default-terminfo-dir="${EPREFIX}/usr/share/terminfo"
		--with-terminfo-dirs="${EPREFIX}/etc/terminfo:${EPREFIX}/usr/share/terminfo:${EPREFIX}/lib/terminfo"
	)
	econf "${conf[@]}"
}

src_install() {
	emake DESTDIR="${D}" install

	# The database is of some thousand terminals, nearly all in museums.
	local terminals=( ansi dumb linux vt100 vt220 xterm xterm-256color )
	use minimal || terminals+=(
		alacritty foot kitty putty rxvt
		screen screen-256color st st-256color tmux tmux-256color
		vt102 vte vte-256color xterm-color xterm-direct xterm-new
	)
	local IFS=,
	dodir /usr/share/terminfo
	LD_LIBRARY_PATH="${S}/lib" progs/tic -x -o "${ED}/usr/share/terminfo" \
		-e "${terminals[*]}" misc/terminfo.src || die
	unset IFS

	# Programs that ask for the narrow libraries get the wide ones.
	local lib dir="/usr/$(get_libdir)"
	for lib in ncurses form menu panel; do
		echo "INPUT(-l${lib}w)" > "${T}/lib${lib}.so" || die
		insinto "${dir}"
		doins "${T}/lib${lib}.so"
		dosym "${lib}w.pc" "${dir}/pkgconfig/${lib}.pc"
	done
	dosym libncurses.so "${dir}/libcurses.so"

	dodoc ANNOUNCE NEWS README
}
