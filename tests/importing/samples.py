"""A gentoomuch configuration in its own layout, as the tests need one."""

from __future__ import annotations

from pathlib import Path

from tests.values import write_files

FILES = {
    "README.md": "Configuration files for Gentoomuch\n",
    "env/arch": "amd64",
    "env/uid": "1000",
    "profiles": "musl-hardened\n",
    "cpu.defines/old-xeon/make.conf": (
        'GENTOOMUCH_ARCH_FLAGS="-march=core-avx2"\nCPU_FLAGS_X86="aes avx2"\nUSE="cpu"\n'
    ),
    "portage.global/make.conf": (
        "# Flags of all machines\n"
        'COMMON_FLAGS="-pipe -O2 ${GENTOOMUCH_ARCH_FLAGS}"\n'
        'CFLAGS="${COMMON_FLAGS}"\n'
        'PORTDIR="/var/db/repos/gentoo"\n'
        'USE="global\n     -X"\n'
        'FEATURES="xattr"\n'
    ),
    "portage.global/package.license": "sys-kernel/linux-firmware linux-fw-redistributable\n",
    "portage.global/repos.conf/local.conf": (
        "[DEFAULT]\nmain-repo = local\n\n"
        "[local]\nlocation = /var/db/repos/local\nsync-type = git\nsync-uri = URI\n"
    ),
    "portage.locals/server/make.conf": 'USE="-X server"\nL10N="de"\n',
    "portage.locals/server/package.use/editors": "app-misc/tree tall -old\napp-misc/wood dry\n",
    "portage.locals/server/package.mask": "app-misc/broken\n",
    "portage.locals/desktop/make.conf": 'USE="X desktop"\nL10N="en"\n',
    "portage.locals/desktop/package.use/editors": "app-misc/tree -tall gui  # for the screen\n",
    "portage.locals/desktop/package.use/video": "*/* VIDEO_CARDS: -* amdgpu radeonsi\n",
    "portage.locals/desktop/package.unmask": "app-misc/broken\n",
    "package.sets/README.md": "sets\n",
    "package.sets/woods": "# trees\napp-misc/tree\n@more\n@lost\nnano\n",
    "package.sets/more": "app-misc/wood\n",
    "stage3.defines/office/cpu": "old-xeon",
    "stage3.defines/office/portage.local": "server\ndesktop",
    "stage3.defines/office/packages": "@woods\napp-misc/stone\nvim\n@absent",
    "stage3.defines/gentoomuch-builder/cpu": "old-xeon\n",
    "stage3.defines/gentoomuch-builder/portage.local": "server\n",
    "stage3.defines/gentoomuch-builder/packages": "app-misc/plank\n",
    "stage3.defines/gentoomuch-builder/scripts": "setup.sh\n",
    "stage4.defines/office/stage3": "office",
    "stage4.defines/office/profile": "musl-hardened",
    "stage4.defines/office/kconf": "office",
    "stage4.defines/office/scripts": "setup.sh\nmissing.sh\nREADME.md\n",
    "stage4.defines/office/removes": "logs\n",
    "kernel.configs/office.kconf": "CONFIG_64BIT=y\n",
    "user.patches/README.md": "patches\n",
    "user.patches/fix-tree/app-misc/tree-1/fix-tree.patch": "--- a/x\n+++ b/x\n",
    "user.patches/stray.patch": "--- a/x\n+++ b/x\n",
    "user.scripts/setup.sh": "gcc-config latest",
    "user.removes/logs": "/var/log/portage\nusr/share/doc\n../../etc\n",
}


def write_config(top: Path, uri: str = "https://example.org/local.git", **more: str) -> Path:
    """Write the configuration; ``uri`` is that of its repository."""
    files = {**FILES, **more}
    write_files(top, {name: text.replace("URI", uri) for name, text in files.items()})
    (top / "user.scripts/setup.sh").chmod(0o755)
    return top


ROOT = {
    "etc/portage/make.conf": (
        '# My flags\nCOMMON_FLAGS="-O2 -march=native"\nUSE="X -gtk"\nMAKEOPTS="-j9"\n'
        'GENTOO_MIRRORS="https://larry:moo@mirror.example/gentoo"\n'
    ),
    "etc/portage/package.use/editors": "app-misc/tree tall  # for the screen\n",
    "etc/portage/package.use/.old": "app-misc/tree small\n",
    "etc/portage/sets/mine": "app-misc/stone\n@lost\n",
    "etc/portage/patches/app-misc/tree/x.patch": "--- a/x\n+++ b/x\n",
    "etc/portage/gnupg/pubring.kbx": "MOO-KEY",
    "etc/portage/postsync.d/run": "#!/bin/sh\n",
    "etc/portage/repos.conf/local.conf": (
        "[DEFAULT]\nmain-repo = local\n[local]\nlocation = /var/db/repos/local\nauto-sync = no\n"
    ),
    "usr/share/portage/config/repos.conf": "# Portage's own, which names gentoo elsewhere\n",
    "etc/portage/binrepos.conf": (
        "[host]\nsync-uri = https://larry:moo@bin.example/packages\npriority = 1\n"
    ),
    "var/lib/portage/world": "app-misc/wood\napp-misc/tree\nnano\n",
    "var/lib/portage/world_sets": "@mine\n@system\n@gone\n",
    "etc/conf.d/hostname": '# name\nhostname="moo"\n',
    "etc/timezone": "Europe/Berlin\n",
    "etc/locale.gen": "# C.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n",
    "etc/env.d/02locale": 'LANG="de_DE.utf8"\nLC_TIME="en_DK.UTF-8"\n',
    "etc/conf.d/keymaps": 'keymap="de"\n',
    "etc/shadow": "larry:MOO-HASH:1::::::\n",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n"
    "larry:x:1000:1000:the cow:/srv/larry:/bin/sh\nodd user:x:1001:1000::/:/bin/sh\n",
    "etc/group": "larry:x:1000:\nherd:x:1100:larry\naudio:x:18:root,larry\n",
    "usr/src/linux-6/.config": "CONFIG_MOO=y\n",
    "var/db/pkg/sys-apps/openrc-1/PF": "openrc-1\n",
    "var/db/pkg/sys-apps/openrc-1/CHOST": "x86_64-pc-linux-gnu\n",
    "var/db/pkg/sys-apps/openrc-1/CONTENTS": (
        "dir /etc/init.d\nobj /etc/init.d/sshd 0 0\nobj /etc/init.d/net.lo 0 0\n"
    ),
    "var/db/repos/local/profiles/repo_name": "local\n",
    "var/db/repos/local/profiles/default/eapi": "8\n",
}
LINKS = {
    "etc/portage/make.profile": "../../var/db/repos/local/profiles/default",
    "etc/runlevels/default/sshd": "/etc/init.d/sshd",
    "etc/runlevels/boot/net.lo": "/etc/init.d/net.lo",
    "etc/runlevels/default/mine": "/etc/init.d/mine",
    "usr/src/linux": "linux-6",
    "etc/portage/package.mask": "/etc/masks",  # as if the root were /
    "etc/portage/package.license": "../../../../../../../etc/shadow",
}


def write_root(top: Path, *, without: tuple[str, ...] = (), **more: str) -> Path:
    """Write the root of a system with OpenRC."""
    files = {**ROOT, "etc/masks": "app-misc/broken\n", **more}
    write_files(top, {name: text for name, text in files.items() if name not in without})
    for name, target in LINKS.items():
        if name not in without:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).symlink_to(target)
    return top
