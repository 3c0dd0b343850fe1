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
