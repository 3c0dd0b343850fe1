"""Scripts that turn an installed system into that of a live medium or of a disk."""

from __future__ import annotations

#: Adds to the list of modules that are not loaded automatically. MODULES: their names.
MODULES = """\
#!/bin/bash
set -e
mkdir -p /etc/modprobe.d
{
	printf '\\n# Modules that the spec does not want to be loaded.\\n'
	printf 'blacklist %s\\n' ${MODULES}
} >> /etc/modprobe.d/blacklist.conf
"""

#: TYPE: livecd/type. STORAGE: the mount point of the extra partition, if the medium has one.
#: MEDIUM: the directory for files that go to the medium itself.
LIVE = """\
#!/bin/bash
set -e
if [[ -e /etc/ssh/sshd_config ]]; then
	sed -i 's/^#PermitRootLogin.*/# Live media let root log in.\\nPermitRootLogin yes/' \\
		/etc/ssh/sshd_config
fi
if [[ -e /usr/share/zoneinfo/UTC ]]; then
	rm -rf /etc/localtime
	cp /usr/share/zoneinfo/UTC /etc/localtime
fi
mkdir -p /etc/conf.d /etc/sysconfig
echo 'hostname="livecd"' > /etc/conf.d/hostname
if [[ ${TYPE} == gentoo-release-live* ]]; then
	getent group games > /dev/null || groupadd -g 35 games
	getent group plugdev > /dev/null || groupadd plugdev
	useradd -G users,wheel,audio,plugdev,games,cdrom,disk,floppy,usb -g 100 \\
		-c 'Gentoo default user' -m gentoo
fi
[[ ! -f /etc/sudoers ]] || sed -i '/NOPASSWD: ALL/ s/^# //' /etc/sudoers
{
	echo '# fstab of the live medium: an installed system has its own, below /mnt/gentoo.'
	printf 'tmpfs\\t/\\ttmpfs\\tdefaults\\t0 0\\n'
	if [[ -n ${STORAGE} ]]; then
		mkdir -p "${STORAGE}"
		printf 'PARTLABEL=Appended3\\t%s\\txfs\\tlazytime\\t0 2\\n' "${STORAGE}"
	fi
} > /etc/fstab
cat >> /etc/profile <<- 'END'
	alias cp='cp -i'
	alias mv='mv -i'
	alias rm='rm -i'
	alias ls='ls --color=auto'
	alias ll='ls -l'
	alias grep='grep --color=auto'
END
if [[ ${TYPE} == gentoo-release-* ]]; then
	rm -f /var/log/lastlog
	mkdir -p /var/log /usr/share/applications
	: > /var/log/lastlog
	printf '%s\\n' '[Desktop Entry]' 'Version=1.0' 'Type=Link' 'Name=Gentoo Linux Handbook' \\
		'URL=https://wiki.gentoo.org/wiki/Handbook:Main_Page' 'Icon=text-editor' \\
		> /usr/share/applications/gentoo-handbook.desktop
	if [[ -d /home/gentoo ]]; then
		mkdir -p /home/gentoo/Desktop
		cp /usr/share/applications/gentoo-handbook.desktop /home/gentoo/Desktop
		chown -R gentoo:100 /home/gentoo
	fi
fi
mkdir -p "${MEDIUM}"
[[ ! -d /boot/memtest86plus ]] || cp -r /boot/memtest86plus/. "${MEDIUM}"
env-update
"""

#: Services of every live medium. TYPE as above. Services that do not exist are skipped.
SERVICES = """\
#!/bin/bash
type -p rc-update > /dev/null || exit 0
for service in iptables netmount keymaps serial consolefont; do
	rc-update --all del ${service} || :
done
rc-update add autoconfig default || :
for service in sysklogd metalog syslog-ng fixinittab; do
	[[ ! -e /etc/init.d/${service} ]] || rc-update add ${service} default || exit
done
[[ ${TYPE} != gentoo-release-live* ]] || rc-update add xdm default || :
"""

#: BDEPS: y keeps build dependencies.
DEPCLEAN = """\
#!/bin/bash
# The sandbox isolates, and nobody is there to interrupt.
export CLEAN_DELAY=0 CONFIG_PROTECT="-*"
export FEATURES="-news -sandbox -usersandbox -ipc-sandbox -network-sandbox -pid-sandbox"
exec emerge --quiet --depclean --with-bdeps=${BDEPS}
"""

#: TYPE: diskimage/type. SSHKEY: diskimage/sshkey.
DISK = """\
#!/bin/bash
set -e
printf '%s\\n' '# en_US ISO-8859-1' '# en_US.UTF-8 UTF-8' 'C.UTF-8 UTF-8' > /etc/locale.gen
systemctl --root=/ preset-all
echo 'LANG="C.UTF-8"' > /etc/locale.conf
env-update
echo 'KEYMAP=us' > /etc/vconsole.conf
[[ ${TYPE} != console ]] || passwd -d root
# A sandbox hides /proc/cmdline, which systemd-firstboot insists on.
SYSTEMD_PROC_CMDLINE='' systemd-firstboot --timezone=UTC
if [[ ${TYPE} == console || ${TYPE} == ssh ]]; then
	mkdir -p /etc/systemd/network
	printf '%s\\n' '[Match]' 'Name=en*' '' '[Network]' 'DHCP=yes' \\
		> /etc/systemd/network/default.network
fi
case ${TYPE} in
	ssh)
		mkdir -p /root/.ssh
		printf '%s\\n' "${SSHKEY}" > /root/.ssh/authorized_keys
		systemctl --root=/ enable sshd
		;;
	cloud-init | cloudinit)
		for name in cloud-init-main cloud-init-local cloud-init-network cloud-config cloud-final; do
			systemctl --root=/ enable ${name}.service
		done
		;;
esac
"""

#: The last step of a disk. ROOT_TYPE: the file system of its root.
DISK_LAST = """\
#!/bin/bash
set -e
printf '%s\\n' '# Signatures of binary packages are verified.' \\
	'FEATURES="binpkg-request-signature"' >> /etc/portage/make.conf
rm -f /etc/machine-id
: > /etc/machine-id  # systemd makes one at the first boot
mkdir -p /etc/default
printf '%s\\n' "GRUB_TERMINAL='gfxterm serial console'" \\
	"GRUB_SERIAL_COMMAND='serial --speed 115200 --unit=0 --word=8 --parity=no --stop=1'" \\
	'GRUB_CMDLINE_LINUX="console=ttyS0 console=tty0"' >> /etc/default/grub
{
	printf 'LABEL=gentooroot\\t/\\t%s\\tnoatime,rw\\t0 1\\n' "${ROOT_TYPE}"
	printf 'LABEL=gentooefi\\t/boot\\tvfat\\tdefaults\\t1 2\\n'
} > /etc/fstab
"""

README = """\
This is a live medium of Gentoo Linux.

The boot menu offers each kernel of this medium, also copied to memory first (cached), with speech
(accessibility), and on other consoles. Press `e` to change the kernel's options before it boots.
"""

WELCOME = """\
Welcome to the {name}!

The root password on this system is not known to anybody: set one with "passwd", as root, before you
log in from elsewhere, and start the SSH server with "/etc/init.d/sshd start".

Network interfaces that are found at boot are configured by DHCP. "net-setup eth0" sets one up by
hand.
The Handbook is at https://wiki.gentoo.org/wiki/Handbook.
"""

BASHRC = "# Settings of interactive shells.\n"
BASH_PROFILE = "[[ ! -f ~/.bashrc ]] || . ~/.bashrc\n"
LOCAL_START = """\
# Runs at the end of the boot: a medium may have a part of the ebuild repository.
for name in profiles eclass; do
	[ ! -d /usr/livecd/$name ] || ln -snf /usr/livecd/$name /var/db/repos/gentoo/$name
done
"""
