# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

inherit debian-orig python-bytecode

DESCRIPTION="A build system, in Python"
HOMEPAGE="https://mesonbuild.com/"

LICENSE="Apache-2.0"
SLOT="0"
KEYWORDS="amd64"

RDEPEND="
	dev-build/ninja
	dev-lang/python:3.11
"
BDEPEND="dev-lang/python:3.11"

src_install() {
	# Pure Python, found beside the program.
	local python=/usr/lib/python3.11/site-packages
	insinto "${python}"
	doins -r mesonbuild
	python-bytecode_compile python3.11 "${python}/mesonbuild"
	newbin - meson <<-'EOF'
		#!/usr/bin/python3.11
		from mesonbuild.mesonmain import main
		raise SystemExit(main())
	EOF
}
