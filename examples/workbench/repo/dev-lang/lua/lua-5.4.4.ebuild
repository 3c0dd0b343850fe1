# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_ORIG_PN="lua5.4"
inherit debian-orig

DESCRIPTION="A small language to be built into programs"
HOMEPAGE="https://www.lua.org/"

LICENSE="MIT"
SLOT="5.4"
KEYWORDS="amd64"
IUSE="+readline"

DEPEND="readline? ( sys-libs/readline:= )"
RDEPEND="${DEPEND}"

src_compile() {
	local cc=${CC:-${CHOST}-gcc}
	emake -C src all \
		CC="${cc} -std=gnu99" \
		AR="${AR:-${CHOST}-ar} rcu" \
		RANLIB="${RANLIB:-${CHOST}-ranlib}" \
		CFLAGS="${CFLAGS} -fPIC -DLUA_COMPAT_5_3 -DLUA_USE_LINUX $(usev readline -DLUA_USE_READLINE)" \
		LDFLAGS="${LDFLAGS}" \
		LIBS="-Wl,-E -lm $(usev readline -lreadline)"

	# Upstream leaves the shared library to whoever wants one.
	${cc} ${CFLAGS} ${LDFLAGS} -shared -Wl,-soname,liblua5.4.so.0 \
		-o src/liblua5.4.so.0 -Wl,--whole-archive src/liblua.a \
		-Wl,--no-whole-archive -lm || die

	cat > lua5.4.pc <<-EOF || die
		Name: Lua
		Description: ${DESCRIPTION}
		Version: ${PV}
		Cflags: -I${EPREFIX}/usr/include/lua5.4
		Libs: -L${EPREFIX}/usr/$(get_libdir) -llua5.4
	EOF
}

src_install() {
	# Versions live side by side, each under its own name.
	newbin src/lua lua5.4
	newbin src/luac luac5.4
	newman doc/lua.1 lua5.4.1
	newman doc/luac.1 luac5.4.1
	dolib.so src/liblua5.4.so.0
	dosym liblua5.4.so.0 "/usr/$(get_libdir)/liblua5.4.so"
	insinto /usr/include/lua5.4
	doins src/{lua,luaconf,lualib,lauxlib}.h src/lua.hpp
	insinto "/usr/$(get_libdir)/pkgconfig"
	doins lua5.4.pc
	dodoc README
}
