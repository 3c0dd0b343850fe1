"""Machines of livecd-stage2: the source with kernels, set up as a live system, on an ISO medium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cloche.catalyst import media_hooks as hooks
from cloche.catalyst import menu, tools
from cloche.catalyst.kernels import BOOT, LEFT, Kernels, kernels, kernels_of
from cloche.catalyst.makeconf import make_conf
from cloche.catalyst.making import Copied, Machines, Making, Unpacked
from cloche.catalyst.packages import cleaned, finish_steps
from cloche.config.errors import ConfigError

MEDIUM = f"{LEFT}/medium"
#: Scripts may write it; catalyst removes it, because it describes the network of the build.
RESOLV_CONF = "/etc/resolv.conf"
STORAGE = "/mnt/storage"  # where a live system mounts the partition of iso_extra_partition
_MINIMAL = "gentoo-release-minimal"


def livecd_stage2(making: Making) -> Machines:
    """The kernels over the source, then the steps that set up the live system."""
    if (kind := making.text("fstype")) not in ("", "squashfs"):
        what = f"“{kind}” is not a supported file system of the root"
        raise ConfigError(making.origin("fstype"), what, "write squashfs")
    seed = yield from blacklisted(making)
    seed = yield from kernels(making, seed, boot=True)
    output = making.tarball
    if making.text("iso"):
        making.seeds[tools.NAME] = tools_of(making, "iso")
        output["images"] = {**output.get("images", {}), "iso": _iso(making)}
    finish = [*_live(making), *_cleaned(making)]
    yield "livecd-stage2", making.machine(seed, keep_world=True, output=output, finish=finish)


def blacklisted(making: Making) -> Kernels:
    """The machine with the list of blacklisted modules, which each initramfs over it has, too."""
    if not (modules := making.words("modblacklist")):
        return "source"
    script = {"MODULES": " ".join(modules)}
    yield (
        "modules",
        making.machine(
            "source", keep_world=True, finish=[making.script("modules", hooks.MODULES, script)]
        ),
    )
    return "modules"


def _live(making: Making) -> Iterator[dict[str, Any]]:
    """Steps in catalyst's order: from preclean to empty."""
    kind = _type(making)
    for path, content in _files(making, kind):
        making.files[f"live/{path}"] = content
    yield {"files": "live"}
    variables = {
        "TYPE": kind,
        "STORAGE": STORAGE if making.text("iso_extra_partition") else "",
        "MEDIUM": MEDIUM,
    }
    yield making.script("live", hooks.LIVE, variables)
    services = making.script("services", hooks.SERVICES, {"TYPE": kind})
    yield from finish_steps(making, services=[services], cleaning=depclean(making))


def _type(making: Making) -> str:
    return making.text("type") or "generic-livecd"


def depclean(making: Making) -> Iterator[dict[str, Any]]:
    """The step that removes packages that nothing needs, unless the spec has `depclean: no`."""
    if (given := making.text("depclean")) != "no":
        bdeps = {"BDEPS": "y" if given == "keepbdeps" else "n"}
        yield making.script("depclean", hooks.DEPCLEAN, bdeps)


def _files(making: Making, kind: str) -> Iterator[tuple[str, str | Copied]]:
    """Files of a live system that no package installs."""
    yield "root/.bashrc", hooks.BASHRC
    yield "root/.bash_profile", hooks.BASH_PROFILE
    yield "etc/conf.d/local.start", hooks.LOCAL_START
    conf = make_conf(making.spec, making.conf, making.inputs.subarch, building=True)
    yield "etc/portage/make.conf.old", conf
    if kind.startswith("gentoo-"):
        name = "LiveCD" if kind != _MINIMAL else "Minimal Installation CD"
        yield "etc/motd", hooks.WELCOME.format(name=f"Gentoo Linux {name}")
    elif motd := making.text("motd"):
        yield "etc/motd", Copied(Path(motd))


def _cleaned(making: Making) -> Iterator[dict[str, Any]]:
    more = [f"/usr/share/{name}/*" for name in ("man", "doc", "info")]
    yield {"remove": [LEFT, RESOLV_CONF, *(more if _type(making) == _MINIMAL else ())]}
    yield from cleaned(making)


def _iso(making: Making) -> dict[str, Any]:
    """The image of the medium. Raises `ConfigError`."""
    volid = (making.text("volid") or f"catalyst {making.spec.text('snapshot_treeish')}")[:32]
    files = list(_medium(making, volid))
    wanted: dict[str, Any] = {
        "format": "iso",
        "tools": tools.NAME,
        "volid": volid,
        "squashfs_options": making.words("fsops"),
        "files": files,
        "copy": {".": MEDIUM, "boot": BOOT},
        "verify": bool(making.text("verify")),
    }
    if extra := making.text("iso_extra_partition"):
        if not extra.isdecimal() or not int(extra):
            what = f"“{extra}” is not a size"
            raise ConfigError(making.origin("iso_extra_partition"), what, "write a number of KiB")
        wanted["extra_partition"] = f"{extra}K"
    return wanted


def tools_of(making: Making, key: str) -> dict[str, Any]:
    """The tools for an image, with the GRUB of its CPU. Raises `ConfigError` if there is none."""
    cpu = making.inputs.subarch.cpu
    if cpu not in tools.GRUB:
        why = tools.why_not(cpu) or "cloche has no GRUB for it"
        what = f"cloche makes no media or disks for {cpu}: {why}"
        raise ConfigError(making.origin(key), what, f"leave out “{making.target.prefix}/{key}”")
    return tools.seed(cpu)


def _medium(making: Making, volid: str) -> Iterator[str]:
    """The directories whose content goes to the medium, each over the one before."""
    if cdtar := making.text("cdtar"):
        making.files["cdtar"] = Unpacked(Path(cdtar))
        yield "cdtar"
    readme = making.text("readme")
    making.files["medium/livecd"] = ""
    making.files["medium/README.txt"] = Copied(Path(readme)) if readme else hooks.README
    if _type(making) in ("gentoo-release-livecd", "gentoo-release-livedvd"):
        snapshot = making.inputs.snapshot
        making.files[f"medium/snapshots/{snapshot.name}"] = Copied(snapshot)
    choices = [
        menu.Choice(each.label, each.is_distribution, making.spec.words(f"{each.key}/console"))
        for each in kernels_of(making.spec)
    ]
    bootargs = " ".join(making.words("bootargs"))
    making.files["medium/boot/grub/grub.cfg"] = menu.menu(choices, volid, bootargs)
    yield "medium"
    yield from (step["files"] for step in making.overlays("overlay"))
