# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Has all kinds of files that a tar may lose"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	keepdir /opt/odd/kept
	dodir /opt/odd/other
	cd "${ED}/opt/odd" || die
	mkfifo -m 0620 pipe || die
	chgrp 5 pipe || die
	truncate -s 8M sparse || die
	printf 'middle' | dd of=sparse bs=1 seek=4M conv=notrunc status=none || die
	echo data > attributed || die
	echo one > linked || die
	ln linked other/linked || die
	echo setuid > setuid || die
	chmod 4711 setuid || die
	echo capable > capable || die
	echo 'int main(void) { return 0; }' | gcc -g -x c -o program - || die
	echo space > 'a name  with blanks' || die
	echo utf > 'größe' || die
	ln -s 'a name  with blanks' link || die
	python3 - <<-P || die
	import os, struct
	os.setxattr("attributed", "user.colour", b"red\0\xff")
	capability = struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0)
	os.setxattr("capable", "security.capability", capability)
	os.setxattr("program", "security.capability", capability)  # kept when it is stripped
	P
}
