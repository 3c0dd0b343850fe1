# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DEBIAN_BINARIES="libffi8"
inherit debian-binary

DESCRIPTION="Calls of functions whose types are only known at run time"
SLOT="0/8"
