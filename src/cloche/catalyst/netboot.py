"""Machines of the target netboot: kernels whose initramfs holds files of some packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloche.catalyst.emerge import emerge_call
from cloche.catalyst.kernels import BOOT, LEFT, kernels
from cloche.catalyst.making import Machines, Making, keys_of

#: The directory that is added to the initramfs, and the one that becomes the output.
IMAGE, DELIVERED = f"{LEFT}/image", f"{LEFT}/netboot"

COPY = f"""\
#!/bin/bash
# FILES has paths, one a line, with wildcards as in a shell.
set -e
mkdir -p {IMAGE}
mapfile -t patterns <<< "${{FILES}}"
IFS=
for pattern in "${{patterns[@]}}"; do
	for file in ${{pattern}}; do
		if [[ ! -e ${{file}} && ! -L ${{file}} ]]; then
			echo "nothing there: ${{file}}"
			continue
		fi
		cp -pPRf --parents "${{file}}" {IMAGE}
		[[ -f ${{file}} && -x ${{file}} && ! -L ${{file}} ]] || continue
		cmp -s -n 4 "${{file}}" <(printf '\\x7fELF') || continue
		strip -R .comment -R .note "{IMAGE}${{file}}"
	done
done
"""

#: Palo and SILO's tools are packages of the spec; other CPUs need no further step.
DELIVER = f"""\
#!/bin/bash
# KERNELS has the labels, SUBARCH the subarchitecture.
set -e
mkdir -p {DELIVERED}/kernels/misc
cd {DELIVERED}
for label in ${{KERNELS}}; do
	mv {BOOT}/${{label}} kernels
	mv {BOOT}/${{label}}.igz kernels/misc
	[[ ! -e {BOOT}/System-${{label}}.map ]] || mv {BOOT}/System-${{label}}.map kernels/misc
	case ${{SUBARCH}} in
	hppa*)
		palo -k kernels/${{label}} -r kernels/misc/${{label}}.igz -s ${{label}}-hppa.lif \\
			-f /dev/null -b /usr/share/palo/iplboot -c "0/vmlinux initrd=0/ramdisk"
		;;
	sparc*)
		piggyback=piggyback64
		[[ ${{SUBARCH}} != sparc ]] || piggyback=piggyback
		elftoaout kernels/${{label}} -o ${{label}}-a.out
		${{piggyback}} ${{label}}-a.out kernels/misc/System-${{label}}.map \\
			kernels/misc/${{label}}.igz
		;;
	esac
done
rm -f {BOOT}/gentoo-config
rmdir {BOOT} 2> /dev/null || mv {BOOT} boot
"""


def netboot(making: Making) -> Machines:
    """The packages over the source, then kernels whose initramfs has a directory of their files."""
    origin = making.spec.origin("netboot/packages")
    keys = keys_of(emerge_call(making.words("packages")), origin)
    packages = making.between("source", keep_world=True, **keys)
    packages["finish"] = [*_image(making), *packages["finish"]]
    yield "packages", packages
    last = yield from kernels(making, "packages", boot=True, image=IMAGE)
    variables = {"KERNELS": making.spec.text("boot/kernel"), "SUBARCH": making.spec.text("subarch")}
    yield (
        "netboot",
        making.machine(
            last,
            output={"stage4": True, "compression": "none", "below": DELIVERED},
            finish=[making.script("netboot", DELIVER, variables)],
        ),
    )


def _image(making: Making) -> Iterator[dict[str, Any]]:
    """Steps that fill the directory, in catalyst's order."""
    yield from making.overlays("root_overlay")
    names = [*(f"packages/{each}/files" for each in making.words("packages")), "extra_files"]
    files = [word for name in names for word in making.words(name)]
    yield making.script("image", COPY, {"FILES": "\n".join(files)})
    yield from making.overlays("overlay", IMAGE)
