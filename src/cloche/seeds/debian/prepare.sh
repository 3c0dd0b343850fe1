#!/bin/bash
# Runs as uid 0 in a sandbox over a fresh Debian tree: installs Portage, and takes away all that
# depends on the host, the mirror or the day. Fixed text; what varies comes in the environment:
#   CHOST              as Gentoo writes it
#   SDIST              Portage's release, a file of the sandbox
#   INSTALL_XATTR      a program of ours, likewise
#   SOURCE_DATE_EPOCH  seconds
# /tmp, /run and /dev are the sandbox's own, so nothing written there stays.
set -eu
umask 022

step() { printf 'step: %s\n' "$*"; }

install_portage() {
    mkdir /tmp/portage
    tar -xf "$SDIST" -C /tmp/portage --strip-components=1 --no-same-owner
    cd /tmp/portage
    meson setup /tmp/build -Dsystem-wide=true --prefix=/usr -Dnative-extensions=false -Ddoc=false
    meson install -C /tmp/build
    cd /
    rm -rf /usr/share/doc/portage*
    # Gentoo has a package of this name. Without it every install(1) of a `make install` starts
    # Portage's Python twice.
    install -m 755 "$INSTALL_XATTR" /usr/bin/install-xattr
}

# The names by which Gentoo's eclasses and Portage's helpers call the tools.
link_names() {
    ln -sf python3 /usr/bin/python
    for name in tar make find xargs; do
        ln -sf "$name" "/usr/bin/g$name"
    done
    for name in gcc g++ cpp c++ gcc-ar gcc-nm gcc-ranlib addr2line ar as c++filt ld ld.bfd nm \
        objcopy objdump pkg-config ranlib readelf size strings strip; do
        if [ -e "/usr/bin/$name" ]; then
            ln -sf "$name" "/usr/bin/$CHOST-$name"
        fi
    done
}

# Gentoo's gzip and bzip2 install NAME-reference, and take NAME for a link to it, which
# app-alternatives would have made: a file there ends their postinst.
link_references() {
    for name in gzip gunzip zcat bzip2; do
        dpkg-divert --quiet --rename --divert "/usr/bin/$name-reference" --add "/usr/bin/$name"
        ln -s "$name-reference" "/usr/bin/$name"
    done
}

# Debian's Python installs below /usr/local unless it is told that it works for a package.
# Portage gives what make.globals says to every phase.
#
# What Gentoo's Python eclasses install are links in /usr/bin to python-exec2, and the scripts
# themselves below /usr/lib/python-exec. Debian has no python-exec; this one knows one Python, and
# gives way to the package's own where a machine has that.
lead_python() {
    echo 'DEB_PYTHON_INSTALL_LAYOUT="deb"' >> /usr/share/portage/config/make.globals
    version=$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    mkdir -p "/usr/lib/python-exec/$version"
    for name in python python3; do
        ln -s "../../../bin/$version" "/usr/lib/python-exec/$version/$name"
    done
    printf '%s\n' '#!/bin/sh' \
        "exec \"/usr/lib/python-exec/\${EPYTHON:-$version}/\${0##*/}\" \"\$@\"" \
        > /usr/lib/python-exec/python-exec2
    chmod 755 /usr/lib/python-exec/python-exec2
}

# What Gentoo's baselayout gives every root and Debian does not (docs/seed.md has the whole list).
# Portage takes PATH and its like from env.d alone as soon as one file there sets them, so the system's
# own directories have to stand there. The name is baselayout's: a machine's own takes its place.
lay_out_base() {
    system=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin
    printf '%s\n' "PATH=\"$system\"" "ROOTPATH=\"$system\"" \
        'MANPATH="/usr/local/share/man:/usr/share/man"' 'INFOPATH="/usr/share/info"' \
        > /etc/env.d/50baselayout
    # Login shells get what env.d says, as everywhere on Gentoo.
    printf '%s\n' '# Settings of /etc/env.d, as env-update(1) collects them.' \
        '[ -r /etc/profile.env ] && . /etc/profile.env' \
        '[ "$(id -u)" = 0 ] && [ -n "$ROOTPATH" ] && PATH=$ROOTPATH' \
        "export PATH=\"\${PATH:-$system}\"" 'unset ROOTPATH' \
        'for file in /etc/profile.d/*.sh; do' '    [ -r "$file" ] && . "$file"' 'done' \
        'unset file' \
        'if [ -n "${PS1-}" ] && [ -n "${BASH-}" ] && [ -f /etc/bash.bashrc ]; then' \
        '    . /etc/bash.bashrc' 'fi' > /etc/profile
    mkdir -p /opt/bin /var/empty /usr/src
    ln -sfn ../proc/self/mounts /etc/mtab  # the package systemd brings one
    # Groups by Gentoo's number where Debian has no other use for it, and no package has the name.
    for group in wheel=11 mem=14 console=17 cdrw=80 usb=85 input=97; do
        getent group "${group%=*}" > /dev/null || groupadd -g "${group#*=}" "${group%=*}"
    done
}

# Owners, and the directories and files that Portage's own ebuild would make.
lay_out() {
    groupadd -g 250 portage
    useradd -u 250 -g portage -d /var/tmp/portage -s /bin/false portage
    mkdir -p /etc/portage /etc/env.d /etc/ld.so.conf.d /usr/lib64 /var/db/pkg /var/db/repos \
        /var/cache/distfiles /var/cache/binpkgs /var/tmp/portage
    [ -e /lib64 ] || ln -s usr/lib64 /lib64
    echo /usr/lib64 > /etc/ld.so.conf.d/00-gentoo-libdir.conf
    printf '%s\n' 'LDPATH="include ld.so.conf.d/*.conf"' \
        'PKG_CONFIG_PATH="/usr/lib64/pkgconfig"' > /etc/env.d/00cloche
    lay_out_base
    ldconfig
}

# Sandboxes show a tree with other time stamps than those it was made with. A pyc that is checked
# against its source's time stamp would then be written again by the first Python that runs in a
# build, and end up in a package's layer.
compile_python() {
    find /usr /etc -xdev -type d -name __pycache__ -prune -exec rm -rf {} +
    # Sources that are not Python of this version (lib2to3's tests, templates) may fail.
    python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /usr/lib/python3* || true
    python3 -c 'import portage, _emerge.depgraph'
}

forget_host() {
    # Whichever of these mmdebstrap copied from the host; empty, to be bound over where wanted.
    rm -f /etc/resolv.conf /etc/hostname /etc/machine-id /var/lib/dbus/machine-id
    : > /etc/resolv.conf
    printf '127.0.0.1 localhost\n::1 localhost\n' > /etc/hosts
    rm -f /etc/apt/sources.list /etc/apt/apt.conf.d/99mmdebstrap /etc/dpkg/dpkg.cfg.d/99mmdebstrap
    find /etc/apt/sources.list.d /var/lib/apt/lists /var/lib/apt/mirrors /var/cache/apt \
        /var/cache/ldconfig /var/log /var/backups -xdev -mindepth 1 -delete
}

forget_day() {
    rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- \
        /etc/.pwd.lock /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/lib/dpkg/lock* \
        /var/lib/apt/daily_lock
    # The third field of shadow(5) is the day of the last change of the password.
    sed -i -E "s/^([^:]*:[^:]*:)[0-9]+:/\\1$((SOURCE_DATE_EPOCH / 86400)):/" /etc/shadow
}

step "installing Portage"
install_portage
step "laying out Gentoo's names and directories"
link_names
link_references
lead_python
lay_out
step "compiling Python modules"
compile_python
step "removing traces of host and day"
forget_host
forget_day
