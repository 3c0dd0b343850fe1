# Distributed under the terms of the GNU General Public License v2

EAPI=8

DESCRIPTION="The names of Gentoo's baselayout that the seed has as well"
HOMEPAGE="https://example.org/"
S="${WORKDIR}"

LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"

src_install() {
	newenvd - 50baselayout <<-E
	PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/own"
	ROOTPATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/own"
	E
	insinto /etc
	newins - profile <<-E
	. /etc/profile.env
	E
	newins - hosts <<-E
	127.0.0.1 localhost own
	::1 localhost
	E
	dosym ../proc/self/mounts /etc/mtab
	keepdir /var/empty /usr/src /opt
}
