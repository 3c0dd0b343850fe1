"""The keys of spec files: what each means, which target knows it, and which it does not read.

From catalyst's source (df01e21b, April 2026). A key that a target does not know is fatal there; one
that it knows and does not read is accepted and has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Keys of every target but snapshot. The first seven are required.
COMMON = {
    "profile": "profile of the stage, below profiles/ of the main repository, or REPO:PROFILE",
    "rel_type": "directory below builds/, tmp/ and packages/ of storedir",
    "snapshot_treeish": "commit, tag or branch whose snapshot is used",
    "source_subpath": "tarball to start from, below builds/, without its extension",
    "subarch": "subarchitecture (arch/*.toml of catalyst): CHOST, COMMON_FLAGS",
    "target": "what is made",
    "version_stamp": "end of the output's name",
    "asflags": "ASFLAGS",
    "binrepo_path": "path below `binhost` (catalyst.conf), written to binrepos.conf",
    "catalyst_use": "USE flags during the build",
    "cbuild": "CBUILD",
    "cflags": "CFLAGS",
    "common_flags": "COMMON_FLAGS",
    "compression_mode": "how the output is packed",
    "cxxflags": "CXXFLAGS",
    "decompressor_search_order": "programs tried to unpack the source, best first",
    "fcflags": "FCFLAGS",
    "fflags": "FFLAGS",
    "hostuse": "USE flags of the subarchitecture",
    "install_mask": "INSTALL_MASK",
    "interpreter": "QEMU binaries copied into the root, for another architecture",
    "keep_repos": "names of repositories that stay in repos.conf",
    "kerncache_path": "directory of the kernel cache",
    "ldflags": "LDFLAGS",
    "pkgcache_path": "directory of the binary packages",
    "portage_confdir": "directory copied to /etc/portage for the build",
    "portage_prefix": "name of the files of portage_confdir that are removed at the end",
    "rename_regexp": "`sed -E` expression for the path of the output",
    "repos": "more repositories: directories or squashfs files",
}
REQUIRED = tuple(COMMON)[:7]

#: Keys below boot/kernel/LABEL/, in the targets that know boot/kernel.
KERNEL = {
    "aliases": "more names of the kernel",
    "config": "kernel configuration (with distkernel a part of it)",
    "console": "consoles of the boot menu",
    "distkernel": "`yes`: a distribution kernel, no genkernel",
    "dracut_args": "options for dracut",
    "extraversion": "EXTRAVERSION of the kernel",
    "gk_action": "action of genkernel",
    "gk_kernargs": "options for genkernel",
    "initramfs_overlay": "directory copied into the initramfs",
    "packages": "packages built for this kernel; options of emerge may be among them",
    "softlevel": "runlevels that the boot menu offers",
    "sources": "package of the sources",
    "use": "USE flags of the kernel's packages",
}

_BOOT = {"boot/kernel": "labels of the kernels"}
_CLEANING = {
    "empty": "directories that are emptied at the end",
    "rm": "files that are removed at the end (globs)",
    "unmerge": "packages that are unmerged at the end",
}
_SERVICES = {
    "rcadd": "services added to runlevels, SERVICE|RUNLEVEL",
    "rcdel": "services removed from runlevels, SERVICE|RUNLEVEL",
}
_PACKAGES = {
    "packages": "packages to install; options of emerge may be among them",
    "use": "USE flags",
}
_SCRIPT = {"fsscript": "script that runs in the root after the packages are installed"}
_OVERLAY = {"root_overlay": "directories copied over the root"}
_GENKERNEL = {"gk_mainargs": "options for genkernel, for all kernels"}
_LINUXRC = {"linuxrc": "/linuxrc of genkernel's initramfs"}
_MEDIUM = {
    "bootargs": "kernel arguments of the boot menu",
    "depclean": "`no`: packages that nothing needs stay; `keepbdeps`: build dependencies, too",
    "fsops": "options for the tool that makes the file system",
    "modblacklist": "kernel modules that are not loaded by themselves",
    "motd": "file for /etc/motd",
    "readme": "file for the README of the medium",
    "type": "kind of medium, which sets up its services",
    "users": "users to add",
    "verify": "`blake2`: the medium can verify itself at boot",
    "volid": "volume ID, up to 32 characters",
}

#: What is made of an installed system: a medium, a disk.
_SYSTEM = (_MEDIUM, _CLEANING, _SERVICES, _SCRIPT, _GENKERNEL)


@dataclass(frozen=True, slots=True)
class Target:
    """A target: the prefix of its own keys, what it requires, and what it knows.

    ``own`` has its keys with their meaning, ``unread`` those that have no effect there.
    """

    name: str
    prefix: str
    required: tuple[str, ...]
    own: Mapping[str, str]
    unread: frozenset[str] = field(default_factory=frozenset)

    @property
    def common(self) -> Mapping[str, str]:
        """The keys that it shares with others."""
        return {} if self.name == "snapshot" else COMMON

    def keys(self, spec: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
        """All keys that it knows in a spec, whose labels and packages are a part of some keys."""
        known = {**self.common, **self.own}
        if "boot/kernel" in self.own:
            for label in spec.get("boot/kernel", ()):
                known |= {f"boot/kernel/{label}/{key}": what for key, what in KERNEL.items()}
        if self.name == "netboot":
            for package in spec.get("netboot/packages", ()):
                known[f"netboot/packages/{package}/files"] = "files of it for the image"
        return known


def _target(
    name: str,
    *groups: Mapping[str, str],
    prefix: str | None = None,
    required: tuple[str, ...] = (),
    plain: Mapping[str, str] | None = None,
    reads: tuple[str, ...] = (),
    unread: tuple[str, ...] = (),
) -> Target:
    prefix = prefix or name
    own = {f"{prefix}/{key}": what for group in groups for key, what in group.items()}
    own |= plain or {}
    ignored = {*_UNREAD, *(f"{prefix}/{key}" for key in unread)} - set(reads)
    needed = () if name == "snapshot" else REQUIRED
    return Target(name, prefix, (*needed, *required), own, frozenset(ignored))


#: Flags are those of the source's make.conf, unless a target reads them; catalyst_use is looked for
#: below the target's prefix, where it is not allowed; HOSTUSE is the subarchitecture's; only
#: embedded reads install_mask.
_UNREAD = (
    *("asflags", "cflags", "common_flags", "cxxflags", "fcflags", "fflags", "ldflags"),
    *("catalyst_use", "cbuild", "hostuse", "install_mask"),
)
_CHOST = {"chost": "CHOST"}

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target(
            "snapshot",
            "snapshot",
            ("target", "snapshot_treeish"),
            {key: COMMON[key] for key in ("target", "snapshot_treeish")},
        ),
        _target(
            "stage1",
            plain={
                **_CHOST,
                "update_seed": "`yes`: the seed is updated first",
                "update_seed_command": "options of that emerge",
            },
            reads=("common_flags", "cflags", "cxxflags", "fcflags", "fflags", "ldflags"),
        ),
        _target("stage2", plain=_CHOST, reads=("cflags", "cxxflags", "ldflags")),
        _target("stage3"),
        _target(
            "stage4",
            _PACKAGES,
            _CLEANING,
            _SERVICES,
            _SCRIPT,
            _OVERLAY,
            _GENKERNEL,
            _LINUXRC,
            {
                "groups": "groups to add",
                "ssh_public_keys": "keys for users, USER=FILE",
                "users": "users to add, USER or USER=GROUPS",
            },
            plain=_BOOT,
            required=("stage4/packages",),
        ),
        _target("livecd-stage1", _PACKAGES, prefix="livecd", required=("livecd/packages",)),
        _target(
            "livecd-stage2",
            *_SYSTEM,
            _OVERLAY,
            _LINUXRC,
            {
                "cdtar": "tarball with the files of the boot loader",
                "fstype": "file system of the root: squashfs",
                "iso": "name of the ISO image",
                "iso_extra_partition": "size of one more partition, in KiB",
                "overlay": "directories copied over the medium, beside the root",
            },
            prefix="livecd",
            plain=_BOOT,
            required=("boot/kernel",),
            unread=("users",),
        ),
        _target(
            "diskimage-stage1", _PACKAGES, prefix="diskimage", required=("diskimage/packages",)
        ),
        _target(
            "diskimage-stage2",
            *_SYSTEM,
            {
                "qcow2": "name of the disk image",
                "qcow2_efisize": "size of the EFI partition",
                "qcow2_roottype": "file system of the root partition",
                "qcow2_size": "size of the disk",
                "sshkey": "authorized_keys of root, with type ssh",
            },
            prefix="diskimage",
            plain=_BOOT,
            required=("boot/kernel",),
            unread=(
                *("bootargs", "fsops", "motd", "readme", "users", "volid"),
                *("qcow2_efisize", "qcow2_roottype", "qcow2_size"),
            ),
        ),
        _target(
            "netboot",
            _PACKAGES,
            _OVERLAY,
            _LINUXRC,
            {
                "busybox_config": "configuration of genkernel's busybox",
                "extra_files": "more files for the image",
                "overlay": "directories copied over the image",
            },
            plain=_BOOT,
            required=("boot/kernel",),
        ),
        _target(
            "embedded",
            _PACKAGES,
            _CLEANING,
            _OVERLAY,
            _LINUXRC,
            {
                "fs-finish": "command after the file system is made",
                "fs-ops": "options of the tool that makes the file system",
                "fs-prepare": "command before the file system is made",
                "fs-type": "file system to make",
                "mergeroot": "directory of the new root",
                "runscript": "script that makes the file system",
            },
            plain=_BOOT,
            reads=("install_mask",),
            unread=("fs-finish", "fs-ops", "fs-prepare", "fs-type", "mergeroot", "runscript"),
        ),
    )
}

#: Keys of a kernel that no target reads.
KERNEL_UNREAD = frozenset({"aliases", "gk_action", "softlevel"})
#: Keys that are read only for a kernel by genkernel, or only for one whose initramfs dracut makes.
GENKERNEL_ONLY = frozenset({"extraversion", "gk_kernargs", "initramfs_overlay"})
DRACUT_ONLY = frozenset({"dracut_args"})
