"""What reads systems and configurations that projects are made of."""

from __future__ import annotations

import zlib

from tests.fuzz.samples import parts

from cloche.importing.folder import Read
from cloche.importing.from_gentoomuch import Wishes
from cloche.importing.from_gentoomuch import project_of as gentoomuch_project
from cloche.importing.from_system import Wish
from cloche.importing.from_system import project_of as system_project
from cloche.importing.gentoomuch import understand
from cloche.importing.system import decode_system
from cloche.importing.writing import check as check_import


def system(data: bytes) -> object:
    system = decode_system(zlib.compress(data), "somewhere")
    return system_project(system, "somewhere", Wish())


def gentoomuch(data: bytes) -> object:
    names = (
        *("cpu.defines/a/make.conf", "portage.global/make.conf", "portage.locals/a/make.conf"),
        *(
            "portage.locals/a/package.use/x",
            "portage.global/package.use",
            "portage.global/repos.conf",
        ),
        *(
            "package.sets/a",
            "stage3.defines/a/packages",
            "user.removes/a",
            "stage4.defines/a/profile",
        ),
    )
    files = dict(zip(names, parts(data, len(names)), strict=True))
    lists = {
        **{f"stage3.defines/a/{name}": b"a" for name in ("cpu", "portage.local")},
        **{f"stage4.defines/a/{name}": b"a" for name in ("stage3", "removes")},
    }
    config = understand(Read({**files, **lists}))
    return check_import(gentoomuch_project(config, "somewhere", Wishes()))


VALID = (
    (
        b'{"portage":true,"files":{"etc/portage/make.conf":"VVNFPSJhIgo=","etc/portage/repos.conf":'
        b'"W2dlbnRvb10KbG9jYXRpb24gPSAvZwpzeW5jLXR5cGUgPSBnaXQKc3luYy11cmkgPSBodHRwczovL3gK"},'
        b'"links":{"etc/runlevels/boot/a":"/etc/init.d/a"},"closed":{"etc/x":"no"},"packages":'
        b'["a/openrc-1"],"owned":["etc/init.d/a"],"users":[["l",1000,"l",["w"],"c","/h","/s"]],"profile":"g/profiles/x"}',
    ),
    (
        b"\n%%\n".join(
            (
                b'USE="a"',
                b'USE="-a b"\nX=1',
                b'USE="-b"\nX=2',
                b"a/b x V: -* y",
                b"a/b -x z",
                b"[gentoo]\nlocation = /g\nsync-type = git\nsync-uri = https://x",
                b"a/b",
                b"@a a/b",
                b"/a",
                b"musl",
            )
        ),
    ),
)
