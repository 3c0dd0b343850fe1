"""What catalyst does for each target, step by step, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloche.catalyst.keys import TARGETS
from cloche.catalyst.spec import Spec

_PREPARE = ("unpack", "config_profile_link", "setup_confdir", "process_repos")
_BEGIN = ("bind", "chroot_setup", "setup_environment")
_PACKAGES_ONLY = (("build_packages",), ("clean", "capture"))

#: Each target's own steps: inside of the mount namespace, and after it.
_OWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(
        ("stage1", "stage2", "stage3"), (("run_local", "preclean"), ("clean", "capture"))
    ),
    "stage4": (
        (
            *("build_packages", "build_kernel", "bootloader", "root_overlay"),
            *("fsscript", "preclean", "rcupdate", "unmerge"),
        ),
        ("remove", "groups", "users", "ssh_public_keys", "empty", "clean", "capture"),
    ),
    "livecd-stage1": _PACKAGES_ONLY,
    "livecd-stage2": (
        (
            *("run_local", "build_kernel", "bootloader", "preclean", "livecd_update"),
            *("root_overlay", "fsscript", "rcupdate", "unmerge"),
        ),
        ("remove", "empty", "clean", "target_setup", "setup_overlay", "create_iso", "capture"),
    ),
    "diskimage-stage1": _PACKAGES_ONLY,
    "diskimage-stage2": (
        (
            *("run_local", "build_kernel", "preclean", "diskimage_update"),
            *("fsscript", "rcupdate", "unmerge"),
        ),
        ("remove", "empty", "clean", "create_qcow2"),
    ),
    "netboot": (
        (
            *("build_packages", "root_overlay", "copy_files_to_image", "setup_overlay"),
            *("build_kernel", "move_kernels", "remove", "empty"),
        ),
        ("clean",),
    ),
    "embedded": (
        ("build_kernel", "build_packages", "root_overlay", "fsscript", "unmerge"),
        ("remove", "empty", "clean", "capture", "capture"),  # catalyst itself does it twice
    ),
}

#: What each step does, and the keys without which it does nothing (below the target's prefix,
#: or whole where they have no prefix).
STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unpack": ("unpack the source", ()),
    "config_profile_link": ("link make.profile", ()),
    "setup_confdir": ("copy portage_confdir to /etc/portage", ("portage_confdir",)),
    "process_repos": ("write repos.conf", ()),
    "bind": ("mount repositories, distfiles, caches", ()),
    "chroot_setup": ("make.conf, interpreter, resolv.conf, hosts", ()),
    "setup_environment": ("settings become clst_* variables", ()),
    "build_packages": ("emerge the packages", ("packages",)),
    "build_kernel": ("build the kernels", ("boot/kernel",)),
    "bootloader": ("copy what the boot loader needs", ()),
    "preclean": ("clean up inside of the root", ()),
    "root_overlay": ("copy directories over the root", ("root_overlay",)),
    "fsscript": ("run the script in the root", ("fsscript",)),
    "rcupdate": ("add and remove services", ()),
    "unmerge": ("unmerge packages", ("unmerge",)),
    "livecd_update": ("set up the live system", ()),
    "diskimage_update": ("set up the system of the disk", ()),
    "copy_files_to_image": ("copy files to /tmp/image", ()),
    "move_kernels": ("move the kernels to builds/", ()),
    "remove": ("remove files", ("rm",)),
    "groups": ("add groups", ("groups",)),
    "users": ("add users", ("users",)),
    "ssh_public_keys": ("copy SSH keys of users", ("ssh_public_keys",)),
    "empty": ("empty directories", ("empty",)),
    "clean": ("put back what catalyst changed", ()),
    "target_setup": ("make the root's file system", ()),
    "setup_overlay": ("copy directories over the medium", ("overlay",)),
    "create_iso": ("make the ISO image", ("iso",)),
    "create_qcow2": ("make the disk image", ("qcow2",)),
    "capture": ("pack the root", ()),
    "clear_autoresume": ("forget the points to resume at", ()),
    "remove_autoresume": ("remove the points to resume at", ()),
    "clean_stage1": ("keep ROOT as the source of the next stage", ()),
    "remove_chroot": ("remove the root", ()),
}

_LOCAL = {
    "stage1": "update the seed if asked to; emerge baselayout and the profile's packages.build",
    "stage2": "run the repository's scripts/bootstrap.sh",
    "stage3": "emerge @system anew",
    "livecd-stage2": "blacklist kernel modules",
    "diskimage-stage2": "blacklist kernel modules",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``idle`` if it does nothing for want of a key in the spec."""

    name: str
    does: str
    idle: bool = False


def steps_of(spec: Spec, options: Sequence[str]) -> tuple[Step, ...]:
    """The steps for a spec with ``options`` of catalyst.conf, in order."""
    target = spec.text("target")
    if target == "snapshot":
        return (Step("snapshot", "git archive of the tree, as a squashfs"),)
    build, finish = _OWN[target]
    names = (*_PREPARE, *_BEGIN, *build, *finish, *_end(target, options))
    return tuple(_step(name, spec, target) for name in names)


def _end(target: str, options: Sequence[str]) -> tuple[str, ...]:
    if target == "netboot" or "keepwork" in options:
        return ("clear_autoresume",)
    if "seedcache" not in options:
        return ("remove_autoresume", "remove_chroot")
    return ("remove_autoresume", "clean_stage1") if target == "stage1" else ("remove_autoresume",)


def _step(name: str, spec: Spec, target: str) -> Step:
    if name == "run_local":
        idle = target.endswith("-stage2") and not spec.text(
            f"{TARGETS[target].prefix}/modblacklist"
        )
        return Step(name, _LOCAL[target], idle)
    does, keys = STEPS[name]
    prefix = TARGETS[target].prefix
    given = [key for key in keys if {key, f"{prefix}/{key}"} & spec.settings.keys()]
    return Step(name, does, bool(keys) and not given)
