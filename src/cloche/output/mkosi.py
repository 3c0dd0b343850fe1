"""Images that mkosi makes of the machine's root, with ``Distribution=custom``.

mkosi makes namespaces and mounts of its own. A sandbox has no capabilities for that, but a user
namespace inside of it has: unshare(1) of the tools maps all of its IDs there to themselves. Nothing
is reached there that the sandbox does not have.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import EXTENSIONS
from cloche.layers import SOURCE_DATE_EPOCH, flatten
from cloche.output import mkosi_checks, mkosi_tools
from cloche.output.imaging import GIVEN, IMAGE, OUT, Imaging, linked
from cloche.tasks.task import ROOT
from cloche.tasks.worker import make_directory

_MADE = "made"  # below `OUT`, where mkosi leaves what it made
_INITRD = ("uki", "esp")  # the root is in the kernel's program, as its initrd
_MOUNTS = ("boot", "efi")  # where the EFI system partition's content lies
#: A cpio archive without a file (initramfs-buffer-format): only its trailer, which has one link.
_EMPTY_INITRD = b"070701%032x%08x%048x%08x%08x" % (0, 1, 0, 11, 0) + b"TRAILER!!!\0\0\0\0"
_NESTED = ("/usr/bin/unshare", "--user", "--map-users=all", "--map-groups=all", "--mount", "--")


def make(work: Imaging) -> None:
    """Make the image. Raises StepError, ConfigError."""
    wanted = work.image.format
    assert isinstance(wanted, Mkosi)  # noqa: S101
    mkosi_checks.check(work, wanted)
    name = work.image.name
    hidden = _extra_tree(work, wanted)
    definitions = _definitions(work, wanted, hidden)
    given = work.given / "mkosi"
    given.mkdir()
    (given / "mkosi.conf").write_text(_configuration(work, wanted, hidden, definitions))
    make_directory(work.out, "mkosi")
    directories = [f"--directory={GIVEN}/mkosi", f"--output-directory={OUT}/{_MADE}"]
    make_directory(work.out, _MADE)
    # Both are on one file system, or mkosi would copy what it has made.
    words = ("env", f"TMPDIR={OUT}/mkosi", *mkosi_tools.MKOSI, *directories, "build")
    work.run(*_NESTED, *words)
    file = f"{name}.{wanted.extension}" if wanted.extension else f"{name}.tar"
    if file not in made_files(work.out):
        raise work.failed(f"mkosi left no regular file {file}")
    (work.out / _MADE / file).rename(work.out / IMAGE)


def split_artifacts(work: Imaging) -> Iterator[tuple[str, Path]]:
    """What was asked for besides the image, by the rest of its name (".vmlinuz")."""
    wanted, name = work.image.format, work.image.name
    if not isinstance(wanted, Mkosi):
        return
    for file in made_files(work.out):
        rest = file.removeprefix(name)
        if file.startswith(name) and wanted.splits(rest):
            yield rest, work.out / _MADE / file


def made_files(out: Path) -> list[str]:
    """The regular files that mkosi left. The tools, which are not trusted, may leave links there,
    also one in the place of the directory.
    """
    place = out / _MADE
    if not os.path.lexists(place) or not stat.S_ISDIR(place.lstat().st_mode):
        return []
    return sorted(each.name for each in place.iterdir() if stat.S_ISREG(each.lstat().st_mode))


def _configuration(work: Imaging, wanted: Mkosi, hidden: tuple[str, ...], definitions: bool) -> str:
    """The file mkosi.conf. What is ``hidden`` is not to be in the root of the image."""
    trees = [ROOT, f"{GIVEN}/extra"]
    unwanted = [*_unwanted(work, wanted), *(hidden if wanted.word in _INITRD else ())]
    own = {
        "Distribution": {"Distribution": "custom"},
        "Output": {
            "Format": "tar" if wanted.word == "directory" else wanted.word,
            "Output": work.image.name,
            "Seed": work.uuid("mkosi"),
            "SplitArtifacts": "",
            **({"CompressOutput": "no"} if wanted.word not in ("uki", "esp") else {}),
            **({"RepartDirectories": f"{GIVEN}/repart"} if definitions else {}),
        },
        "Content": {
            "BaseTrees": ",".join(trees),
            "SourceDateEpoch": str(SOURCE_DATE_EPOCH),
            "Bootable": "no",
            "RemoveFiles": ",".join(unwanted),
            **_boot(work, wanted),
        },
        "Build": {
            "WorkspaceDirectory": f"{OUT}/mkosi",
            "PackageCacheDirectory": f"{OUT}/mkosi/packages",
            "Incremental": "no",
            "History": "no",
            "RepartOffline": "yes",
        },
    }
    merged = {name: {**lines, **wanted.settings.get(name, {})} for name, lines in own.items()}
    content = merged["Content"]
    if wanted.initrds or wanted.bootable:
        content["Initrds"] = ",".join(_initrds(work, wanted))
    line = content.get("KernelCommandLine", "")
    if wanted.word == "disk" and wanted.bootable and not _has_root(line) and not wanted.verity:
        content["KernelCommandLine"] = f"root=PARTUUID {line}".strip()
    if remove := wanted.setting("RemoveFiles"):
        content["RemoveFiles"] = ",".join([*unwanted, remove])
    return "\n".join(
        f"[{section}]\n" + "".join(f"{name}={_escaped(value)}\n" for name, value in lines.items())
        for section, lines in merged.items()
    )


def _escaped(value: str) -> str:
    """A value for mkosi, which expands specifiers in all of them."""
    return value.replace("%", "%%")


def _has_root(line: str) -> bool:
    return any(word.startswith(("root=", "roothash=", "mount.usr=")) for word in line.split())


def _boot(work: Imaging, wanted: Mkosi) -> dict[str, str]:
    """Settings of an image that boots, where the user's own do not take their place."""
    if wanted.word in _INITRD:
        return {"Bootloader": "uki"}  # no other one is installed into the root
    if not wanted.bootable:
        return {}
    found = {"Bootable": "yes", "Bootloader": "systemd-boot", "UnifiedKernelImages": "yes"}
    found["UnifiedKernelImageFormat"] = "gentoo-&k"
    found["KernelModulesInitrd"] = "no"
    return found


def _initrds(work: Imaging, wanted: Mkosi) -> Iterator[str]:
    """The files that are given as initrds: of the root, or an empty one."""
    paths = wanted.initrds or tuple(mkosi_checks.own_initrds(work))
    for number, path in enumerate(paths):
        node = work.regular(path)
        assert node  # noqa: S101 - checked before
        linked(node, work.given / f"initrd{number}")
        yield f"{GIVEN}/initrd{number}"
    if not paths:
        (work.given / "initrd").write_bytes(_EMPTY_INITRD)
        yield f"{GIVEN}/initrd"


def _unwanted(work: Imaging, wanted: Mkosi) -> Iterator[str]:
    """What mkosi adds of its own accord, and no machine has asked for."""
    if wanted.word in ("sysext", "confext"):
        return
    if not work.in_root("usr/lib/clock-epoch"):
        yield "/usr/lib/clock-epoch"
    if not work.in_root("etc/kernel/entry-token"):  # bootctl's
        yield "/etc/kernel/entry-token" if work.in_root("etc/kernel") else "/etc/kernel"
    yield from (f"/{name}" for name in mkosi_checks.missing_lists(work))


def _extra_tree(work: Imaging, wanted: Mkosi) -> tuple[str, ...]:
    """Write a tree of what the root lacks; return the paths that are not to be in the image's root.

    systemd-boot and its stub are the tools' where the root has none.
    """
    tree = make_directory(work.given, "extra")
    if wanted.word not in EXTENSIONS:
        for path in mkosi_checks.missing_lists(work):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).touch()
    hidden = _add_boot(work, wanted, tree)
    _like_root(work, tree)
    return hidden


def _like_root(work: Imaging, tree: Path) -> None:
    """Give directories that the root has the same attributes, which they would take there."""
    for place in (tree, *tree.rglob("*")):
        if place.is_dir():
            path = str(place.relative_to(tree)).removeprefix(".")
            node = work.node(path)
            place.chmod(stat.S_IMODE(node.info.st_mode) if node else 0o755)
            if node:
                os.chown(place, node.info.st_uid, node.info.st_gid)


def _add_boot(work: Imaging, wanted: Mkosi, tree: Path) -> tuple[str, ...]:
    """Add what an image that boots needs: mount points, and programs for UEFI."""
    if not wanted.needs_kernel:
        return ()
    for name in _MOUNTS if wanted.bootable else ():
        if not work.in_root(name):
            make_directory(tree, name)
    if work.in_root(mkosi_tools.LOADERS):
        return ()
    place = tree / mkosi_tools.LOADERS
    place.mkdir(parents=True, exist_ok=True)
    for name, source in mkosi_tools.loaders(work.tools).items():
        linked(source, place / name)
    missing = mkosi_tools.LOADERS
    while not work.in_root(above := missing.rpartition("/")[0]):
        missing = above
    return (f"/{missing}",)


def _definitions(work: Imaging, wanted: Mkosi, hidden: tuple[str, ...]) -> bool:
    """Write or copy the definitions of partitions; False if mkosi has its own."""
    if wanted.word != "disk":
        return False
    place = make_directory(work.given, "repart")
    if wanted.repart:
        flatten([layer.path for layer in work.files], place)
        return True
    for name, lines in partitions(wanted, hidden).items():
        (place / name).write_text("[Partition]\n" + "".join(f"{line}\n" for line in lines))
    return True


def partitions(wanted: Mkosi, hidden: tuple[str, ...]) -> dict[str, list[str]]:
    """The definitions of a disk's partitions, by their files. A pure function."""
    found = {}
    if wanted.bootable:
        size = wanted.efi_size
        found["00-esp.conf"] = ["Type=esp", "Format=vfat", "CopyFiles=/boot:/", "CopyFiles=/efi:/",
                                f"SizeMinBytes={size}", f"SizeMaxBytes={size}"]  # fmt: skip
    minimize = "guess" if wanted.root_type == "ext4" else "best"
    root = ["Type=root", f"Format={wanted.root_type}", "CopyFiles=/"]
    root += [f"SizeMinBytes={wanted.size}"] if wanted.size else [f"Minimize={minimize}"]
    root += [f"ExcludeFiles={path}" for path in hidden]
    if wanted.verity:
        root += ["Verity=data", "VerityMatchKey=root"]
        lines = ["Type=root-verity", "Verity=hash", "VerityMatchKey=root", "Minimize=best"]
        found["20-root-verity.conf"] = lines
    found["10-root.conf"] = root
    return found
