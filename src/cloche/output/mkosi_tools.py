"""A layer over the tools of an image that mkosi makes, so that it makes what was asked for.

The root is finished: users, volatile files, presets and the hardware database are the machine's own
business, so the programs with which mkosi would add them are hidden. Others are called through a
script: with the option that makes equal inputs give equal bytes, or without one that hangs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from cloche.layers import SOURCE_DATE_EPOCH, Layer, Merged
from cloche.layers.merge import Node
from cloche.output.imaging import linked

LOADERS = "usr/lib/systemd/boot/efi"
MKOSI = ("/usr/bin/python3", "-I", "/usr/lib/cloche/mkosi.py")
_REAL = "usr/lib/cloche"  # where the programs are that a script stands for
_PATH = ("usr/bin", "usr/sbin")
_HIDDEN = ("systemd-sysusers", "systemd-tmpfiles", "systemd-hwdb", "kernel-install")
_DATED = f"export SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}\n"
#: By their names in usr/bin: what stands in their place.
_SCRIPTS = {
    # It would read a FIFO, and so wait for ever. Lists of modules that are older than a module
    # would be made anew, by a depmod of the root.
    "cp": """\
for word; do
    shift
    [ "$word" = --copy-contents ] || set -- "$@" "$word"
done
/usr/lib/cloche/cp "$@" || exit
for list in "$word"/usr/lib/modules/*/modules.dep; do
    [ ! -e "$list" ] || touch -c "$list"
done
""",
    # The order of names would be that of a directory on this host's disk, and whether zeros in a
    # file are a hole depends on how the store's copy of it was written.
    "tar": """\
for word; do
    shift
    [ "$word" = --sparse ] || set -- "$@" "$word"
done
exec /usr/lib/cloche/tar --sort=name --numeric-owner "$@"
""",
    # The day on which a password was changed would be today.
    "systemd-firstboot": """\
/usr/lib/cloche/systemd-firstboot "$@" || exit
case $* in *--root-password*)
    day=$((SOURCE_DATE_EPOCH / 86400))
    sed -i "s/^\\(root:[^:]*\\):[0-9]*:/\\1:$day:/" "${1#--root=}/etc/shadow"
esac
""",
    # Presets are the machine's business, but the unit that `Ssh` adds is not known to it.
    "systemctl": """\
units=${1#--root=}/usr/lib/systemd/system
wants=${1#--root=}/etc/systemd/system/sockets.target.wants
if [ "$2" = preset-all ] && [ -e "$units/ssh.socket" ] &&
    grep -q 'Mkosi SSH' "$units/ssh.socket"; then
    mkdir -p "$wants"
    ln -sfn /usr/lib/systemd/system/ssh.socket "$wants/ssh.socket"
fi
""",
    # It would keep the time of a file that was made just now; without -m, it has the one date.
    "mcopy": """\
for word; do
    shift
    [ "$word" = -m ] || set -- "$@" "$word"
done
exec /usr/bin/mtools -c mcopy "$@"
""",
    # The hashes of directories are seeded at random otherwise.
    "mkfs.ext4": """\
last= uuid=
for word; do
    [ "$last" = -U ] && uuid=$word
    last=$word
done
last=
for word; do
    shift
    [ "$last" = -E ] && word=$word,hash_seed=$uuid
    last=$word
    set -- "$@" "$word"
done
exec /usr/sbin/mke2fs -t ext4 "$@"
""",
}
#: mkosi runs the root's depmod whenever it copies a root, which may have none; the machine's lists
#: of modules are complete. mkosi logs the options of a program that fails; the hash of a password,
#: which may be among them, is replaced.
_MKOSI = """\
import logging
import re
from pathlib import Path

import mkosi
from mkosi.__main__ import main

depmod = mkosi.run_depmod
mkosi.run_depmod = lambda context, *, cache=False: None if cache else depmod(context)
given = Path("/run/cloche/given/mkosi/mkosi.conf").read_text()
secrets = re.findall("^RootPassword=hashed:(.+)$", given, re.MULTILINE)


def unsaid(record):
    record.msg, record.args = record.getMessage(), ()
    for each in secrets:
        record.msg = record.msg.replace(each, "(a hash)")
    return True


logging.getLogger().addFilter(unsaid)
main()
"""
_PYTHON = b"usr/lib/python3/dist-packages"
_MKOSI_VERSION = re.compile(rb"mkosi-(\d+)[.\w~+]*\.(dist|egg)-info")
_LIBRARY = re.compile(rb"libsystemd-shared-(\d+)[.\w~-]*\.so")


def scripts_digest() -> str:
    """What of this file decides about an image besides the tools, as one digest."""
    text = json.dumps([_HIDDEN, _SCRIPTS, _MKOSI, _DATED], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_over(tools: Layer, place: Path) -> None:
    """Write the layer. The tools are a seed, whose files are only linked."""
    make = [name for name in (*_HIDDEN, *_SCRIPTS) if _place_of(tools, name)]
    for directory in {_REAL, *(_place_of(tools, name) for name in make)}:
        (place / directory).mkdir(parents=True, exist_ok=True)
    for each in (place, *place.rglob("*")):
        each.chmod(0o755)
    (place / _REAL / "mkosi.py").write_text(_MKOSI)
    for name in make:
        file = place / _place_of(tools, name) / name
        if name in _HIDDEN:
            file.touch(0o644)
            continue
        node = Merged([tools.path]).lookup(f"{_place_of(tools, name)}/{name}".encode())
        if node and f"{_REAL}/{name}" in _SCRIPTS[name]:
            linked(node, place / _REAL / name)
        file.write_text(f"#!/bin/sh\n{_DATED}{_SCRIPTS[name]}")
        file.chmod(0o755)


def _place_of(tools: Layer, name: str) -> str:
    """The directory where the tools have a program, "" if they have none."""
    merged = Merged([tools.path])
    places = (place for place in _PATH if merged.lookup(f"{place}/{name}".encode()))
    return next(places, "")


def loaders(tools: Layer) -> Mapping[str, Node]:
    """systemd-boot and its stubs among the tools, by their names."""
    merged = Merged([tools.path])
    directory = merged.lookup(LOADERS.encode())
    if directory is None or not directory.is_directory:
        return {}
    nodes = merged.children(directory)
    return {os.fsdecode(node.path.rpartition(b"/")[2]): node for node in nodes}


def systemd_version(tools: Layer) -> int | None:
    """The version of systemd among the tools, by the name of its library."""
    merged = Merged([tools.path])
    for place in (b"usr/lib", b"usr/lib64"):
        top = merged.lookup(place)
        if top is None or not top.is_directory:
            continue
        for above in (top, *(node for node in merged.children(top) if node.is_directory)):
            for directory in (above, merged.lookup(above.path + b"/systemd")):
                if directory is None or not directory.is_directory:
                    continue
                for node in merged.children(directory):
                    if found := _LIBRARY.fullmatch(node.path.rpartition(b"/")[2]):
                        return int(found[1])
    return None


def mkosi_version(tools: Layer) -> int | None:
    """The version of mkosi among the tools, by what Python knows of it."""
    merged = Merged([tools.path])
    top = merged.lookup(_PYTHON)
    for node in merged.children(top) if top and top.is_directory else ():
        if found := _MKOSI_VERSION.fullmatch(node.path.rpartition(b"/")[2]):
            return int(found[1])
    return None
