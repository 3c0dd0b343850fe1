# Copyright 2026 The cloche authors
# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="Directories, links and accounts that every root has"
HOMEPAGE="https://example.org/native"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	local name
	for name in bin lib lib64 sbin; do
		keepdir /usr/${name}
		dosym usr/${name} /${name}
	done
	keepdir /boot /dev /etc /home /media /mnt /opt /proc /run /srv /sys
	keepdir /usr/{include,local/bin,local/lib,local/sbin,share,src}
	keepdir /var/{cache/binpkgs,cache/distfiles,db/pkg,db/repos,empty,lib,log,spool}
	dosym ../run /var/run
	dosym ../run/lock /var/lock
	dosym ../proc/self/mounts /etc/mtab
	diropts -m 0700
	keepdir /root
	diropts -m 1777
	keepdir /tmp /var/tmp
	insinto /etc
	newins - passwd <<-EOF
		root:x:0:0:root:/root:/bin/bash
		portage:x:250:250:portage:/var/lib/portage/home:/bin/false
		nobody:x:65534:65534:nobody:/var/empty:/bin/false
	EOF
	newins - group <<-EOF
		root:x:0:
		bin:x:1:
		daemon:x:2:
		sys:x:3:
		adm:x:4:
		tty:x:5:
		disk:x:6:
		mail:x:8:
		wheel:x:10:root
		mem:x:14:
		utmp:x:16:
		audio:x:18:
		cdrom:x:19:
		video:x:27:
		kvm:x:78:
		input:x:97:
		users:x:100:
		portage:x:250:
		nogroup:x:65534:
	EOF
	newins - hosts <<< $'127.0.0.1 localhost\n::1 localhost'
	newins - shells <<< $'/bin/sh\n/bin/bash'
	newins - services <<< $'http 80/tcp\nhttps 443/tcp\ndomain 53/tcp\ndomain 53/udp'
	newins - protocols <<< $'ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP'
	newins - profile <<-'EOF'
		# Settings of /etc/env.d, as env-update(1) collects them.
		[ -r /etc/profile.env ] && . /etc/profile.env
		[ "$(id -u)" = 0 ] && [ -n "$ROOTPATH" ] && PATH=$ROOTPATH
		export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
		unset ROOTPATH
		umask 022
		for file in /etc/profile.d/*.sh; do [ -r "$file" ] && . "$file"; done
		unset file
	EOF
	insopts -m 0640
	newins - shadow <<< $'root:*:1::::::\nportage:*:1::::::\nnobody:*:1::::::'
	local paths=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
	newenvd - 50baselayout <<-EOF
		PATH="${paths}"
		ROOTPATH="${paths}"
		LDPATH="/usr/lib64:/usr/lib:/usr/local/lib"
		PKG_CONFIG_PATH="/usr/lib64/pkgconfig"
	EOF
}
