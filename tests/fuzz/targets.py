"""Everything that reads outside data on the host, one target for each kind of data.

A target takes any bytes and must end: with a value, or with the error that it raises for bad input,
which the command line turns into one line. Any other exception is a fault, as is a run that takes
seconds or a gigabyte. The first byte chooses among the parsers of a kind.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import importing, logs, overlays, sources, upstream
from tests.fuzz.samples import LOCK, MACHINE, PROJECT, made_elf, made_gpkg, made_tar, parts

from cloche.archives.tarformat import TarReader
from cloche.audit.elf import read_elf, read_sections
from cloche.audit.needs import interpreters
from cloche.binhosts.gpkg import check_package, unsigned
from cloche.binhosts.index import read_index, without_uri
from cloche.building import diagnose
from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.lint import lint_spec
from cloche.catalyst.plan import plan_spec
from cloche.catalyst.spec import parse_spec
from cloche.config import lock, makeconf, table
from cloche.config.atoms import atom_fault
from cloche.config.fragments import SourceFile, merge
from cloche.config.project import load_project
from cloche.config.sets import parse_set
from cloche.errors import ClocheError
from cloche.layers.xattrtext import acl_from_text
from cloche.plan.depgraph import decode_depgraph
from cloche.portage.repository import profiles_of, read_repository
from cloche.records.events import decode_events
from cloche.seeds.debian.apt import parse_deb822, parse_one_line
from cloche.seeds.debian.packages import installed, pinned
from cloche.seeds.oci import Layout, chosen, layers_of
from cloche.seeds.parts.contents import parse_contents
from cloche.seeds.parts.ownership import owned_by_package
from cloche.seeds.stage3 import digests_of, pointer_of
from cloche.store.tree import walk
from cloche.tasks.kept_roots import read_kept
from cloche.watch import observed
from cloche.watch.resolution import read_answer

Parser = Callable[[bytes], object]
SOMEWHERE = Path("somewhere")
RELEASE = Path(__file__).parent.parent / "catalyst/release"


@dataclass(frozen=True)
class Target:
    """The parsers of one kind of data, and valid data that fuzzing starts from, by parser."""

    parsers: tuple[Parser, ...]
    corpus: tuple[tuple[bytes, ...], ...]
    refusals: tuple[type[Exception], ...] = (ClocheError,)

    def __call__(self, data: bytes) -> None:
        """Run the parser that the first byte chooses; raises what is a fault."""
        parser = self.parsers[data[0] % len(self.parsers)] if data else self.parsers[0]
        try:
            parser(data[1:])
        except self.refusals:
            return

    def inputs(self) -> list[bytes]:
        """The corpus, each with the byte that chooses its parser."""
        return [bytes([number]) + each for number, some in enumerate(self.corpus) for each in some]


def text(data: bytes) -> str:
    """As files of a project are decoded."""
    return data.decode(errors="replace")


def within(files: Mapping[str, bytes], use: Callable[[Path], object]) -> object:
    """Run something over a directory with these files in it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        return use(root)


# TOML: what a project brings


def _lock(data: bytes) -> object:
    return lock.render(lock.parse(text(data), SOMEWHERE))


def _project(data: bytes) -> object:
    project, machine = parts(data, 2)
    files = {"cloche.toml": project, "machines/m.toml": machine, "portage/base/make.conf": b""}
    return within(files, lambda root: load_project(root).machine("m"))


def _positions(data: bytes) -> object:
    return within({"a.toml": data}, lambda root: table.load(root / "a.toml", root))


TOML = Target(
    (_lock, _project, _positions),
    ((LOCK,), (PROJECT + b"\n%%\n" + MACHINE,), (LOCK, PROJECT, b'a = ["x", [1, 2]]')),
)


# JSON: what guests, sandboxes and the store say


def _events(data: bytes) -> object:
    return list(decode_events(data.split(b"\n")))


def _answer(data: bytes) -> object:
    return read_answer(data, data)


_DEPGRAPH = (
    b'{"packages":[{"id":"a/b-1::l","cpv":"a/b-1","category":"a","pn":"b","pf":"b-1","version":"1"'
    b',"slot":"0","sub_slot":"0","repo":"l","eapi":"8","ebuild":"a/b/b-1.ebuild","edges":[{"to":'
    b'"a/b-1::l","kinds":["buildtime"]}],"distfiles":[{"name":"f","size":1,"digests":{"A":"b"}}]}]}'
)
_EVENTS = (
    b'{"event":"planned","machine":"m","packages":["a"],"edges":{},"expected":{},"jobs":1,'
    b'"keep_going":false,"depgraph":"d"}\n{"event":"note","text":"x"}\n'
    b'{"event":"done","package":"a","how":"built"}'
)
JSON = Target(
    (decode_depgraph, read_kept, _events, _answer, observed.decode),
    (
        (_DEPGRAPH,),
        (b'{"package":"a/b-1::l","layers":["aa"],"step":"build"}',),
        (_EVENTS,),
        (b'{"packages":[{"id":"a/b-1","needs":["c/d-1"]}],"log_dir":"/x"}', b'{"packages":null}'),
        (b'{"emerge_pid":1,"type":"snapshot","jobs":{"total":2},"tasks":[{"cpv":"a/b-1"}]}',),
    ),
)


# What people write for Portage, and for catalyst


def _makeconf(data: bytes) -> object:
    return makeconf.parse(text(data), SOMEWHERE)


def _fragments(data: bytes) -> object:
    contents = iter(parts(data, 2 * len(_CONFIG)))
    fragments = [
        (name, tuple(SourceFile(each, Path(each), next(contents)) for each in _CONFIG))
        for name in ("a", "b")
    ]
    return merge(fragments)


def _set(data: bytes) -> object:
    return parse_set("s", data, SOMEWHERE)


def _atom(data: bytes) -> object:
    return atom_fault(text(data))


def _repository(data: bytes) -> object:
    layout, name, desc = parts(data, 3)
    files = {"metadata/layout.conf": layout, "profiles/repo_name": name}
    return within(
        {**files, "profiles/profiles.desc": desc},
        lambda root: profiles_of(read_repository("local", root)),
    )


def _spec(data: bytes) -> object:
    spec = parse_spec(text(data), SOMEWHERE)
    if "rename_regexp" in spec.settings:  # sed would be what is fuzzed
        return None
    return list(lint_spec(spec, {})), plan_spec(spec, Conf())


def _catalyst_conf(data: bytes) -> object:
    return within({"c": data}, lambda root: read_conf([root / "c"]))


_SPEC = (RELEASE / "livecd-stage2.spec").read_bytes()
_CONFIG = ("make.conf", "package.use", "package.mask", "package.env", "package.license")
_MAKE_CONF = b'USE="a -b ${USE} *"\nCFLAGS="-O2 \\\n -pipe"\n# c\nexport X=\'y\'\n'
PORTAGE = Target(
    (_makeconf, _fragments, _set, _atom, _repository, _spec, _catalyst_conf),
    (
        (_MAKE_CONF,),
        (
            b"\n%%\n".join(
                [_MAKE_CONF, b"a/b x -y\n>=c/d-1 z", b"-a/b\n", b"a/b e.conf", b"a/b @F"] * 2
            ),
        ),
        (b"a/b\n@other # c\n=c/d-1*\n",),
        (b"=a/b-1.2_rc3-r1:0/2=::local[x?,!y(+)]", b"!!<a/b-1"),
        (b"masters = \nthin-manifests = true\n%%\nlocal\n%%\namd64 default stable\n",),
        (_SPEC,),
        ((RELEASE / "catalyst.conf").read_bytes(), b'storedir="/x"\noptions="bindist pkgcache"\n'),
    ),
)


# Seeds: stage3s, Debian, VDB, OCI, tarballs


def _pointer(data: bytes) -> object:
    return pointer_of(text(data), "somewhere")


def _digests(data: bytes) -> object:
    return digests_of(text(data), "stage3.tar.xz")


def _acl(data: bytes) -> object:
    with contextlib.suppress(ValueError):  # what it raises for bad text
        acl_from_text(text(data))


def _tar(data: bytes) -> object:
    reader = TarReader(io.BytesIO(data), SOMEWHERE, 1 << 20)
    return [(member, _content(reader)) for member in reader]


def _content(reader: TarReader) -> int:
    size = 0
    while chunk := reader.read(1 << 16):
        size += len(chunk)
    return size


def _gpkg(data: bytes) -> object:
    def check(root: Path) -> object:
        checked = check_package(root / "package", "somewhere", None)
        unsigned(root / "package", root / "plain", checked)
        return checked

    return within({"package": data}, check)


def _index(data: bytes) -> object:
    return within(
        {"Packages": data},
        lambda root: without_uri(read_index(root / "Packages", "somewhere", longest=1 << 20)),
    )


ARCHIVES = Target(
    (_tar, _acl, _pointer, _digests),
    (
        (made_tar(tarfile.GNU_FORMAT), made_tar(tarfile.PAX_FORMAT)),
        (b"user::rwx,group::r-x,other::r--,user:5:rw-,mask::rwx",),
        (b"# Latest\n20260101T000000Z/stage3-amd64-openrc-20260101T000000Z.tar.xz 250000000\n",),
        (b"# SHA512 HASH\naabb  stage3.tar.xz\n# BLAKE2B HASH\nccdd  stage3.tar.xz\n",),
    ),
)


PACKAGES = Target(
    (_gpkg, _index),
    (
        (made_gpkg(),),
        (
            b"TIMESTAMP: 1\nURI: x\n\nCPV: a/b-1\nPATH: a/b/b-1-1.gpkg.tar\n",
            gzip.compress(b"TIMESTAMP: 1\n\n", mtime=0),
        ),
    ),
)


def _vdb(data: bytes) -> object:
    list(parse_contents(data))
    files = {"var/db/pkg/a/b-1/CONTENTS": data, "usr/x": b"", "usr/y -> z": b""}

    def owned(root: Path) -> object:
        (root / "lib").symlink_to("usr")
        list(diagnose.installed_files(root))
        return owned_by_package(root, walk(root))

    return within(files, owned)


def _program(data: bytes) -> object:
    file = io.BytesIO(data)
    return read_elf(file), read_sections(file), list(interpreters(text(data)))


VDB = Target(
    (_vdb, _program),
    (
        (
            b"dir /usr\nobj /usr/x d41d8cd98f00b204e9800998ecf8427e 1\n"
            b"sym /lib/a -> b -> c 12\nfif /f\ndev /d\n",
        ),
        (made_elf("<"), made_elf(">"), b"/usr/bin/env -S A=1 python3 -u"),
    ),
)


def _dpkg(data: bytes) -> object:
    status, listed, diversions, index = parts(data, 4)
    files = {
        "var/lib/dpkg/status": status,
        "var/lib/dpkg/info/gcc.list": listed,
        "var/lib/dpkg/diversions": diversions,
        "var/lib/apt/lists/x_Packages": index,
        "usr/bin/gcc": b"",
    }

    def read(root: Path) -> object:
        installed(root, alone=False)
        owned_by_package(root, walk(root))
        return pinned(root)

    return within(files, read)


def _deb822(data: bytes) -> object:
    return parse_deb822(text(data), SOMEWHERE)


def _one_line(data: bytes) -> object:
    return parse_one_line(text(data), SOMEWHERE)


_STANZA = (
    b"Package: gcc\nStatus: install ok installed\nVersion: 4:12\nArchitecture: amd64\n"
    b"Depends: libc6 (>= 2), a | b\nProvides: c-compiler\nMulti-Arch: same\n\n"
)
_INDEX = b"Package: gcc\nVersion: 4:12\nArchitecture: amd64\nSHA256: aabb\n\n"
DEBIAN = Target(
    (_dpkg, _deb822, _one_line),
    (
        (b"\n%%\n".join([_STANZA, b"/.\n/usr/bin\n/usr/bin/gcc", b"/a\n/b\ngcc", _INDEX]),),
        (b"Types: deb\nURIs: file:/x\nSuites: bookworm\nComponents: main\nSigned-By: /k\n",),
        (b"deb [arch=amd64 signed-by=/k] file:/x bookworm main # c\n",),
    ),
)


def _oci(data: bytes) -> object:
    index, manifest = parts(data, 2)
    digest = hashlib.sha256(manifest).hexdigest()
    files = {
        "index.json": index.replace(b"DIGEST", digest.encode()).replace(
            b"SIZE", str(len(manifest)).encode()
        ),
        f"blobs/sha256/{digest}": manifest,
    }

    def choose(root: Path) -> object:
        layout = Layout(root, root)
        return layers_of(layout, chosen(layout, None))

    return within(files, choose)


OCI = Target(
    (_oci,),
    (
        (
            b'{"manifests":[{"digest":"sha256:DIGEST","size":SIZE,"mediaType":"x",'
            b'"platform":{"architecture":"amd64"},"annotations":{"a":"b"}}]}\n%%\n'
            b'{"layers":[{"digest":"sha256:00"}]}',
        ),
    ),
)


# What tools and ebuilds write


LOGS = Target(logs.PARSERS, logs.VALID)

# What projects are made of


IMPORTING = Target((importing.system, importing.gentoomuch), importing.VALID)

# Overlays, whoever made them


OVERLAYS = Target(overlays.PARSERS, overlays.VALID)

# What ebuilds are made of


UPSTREAM = Target(upstream.PARSERS, upstream.VALID)
SOURCES = Target(sources.PARSERS, sources.VALID)

TARGETS: Mapping[str, Target] = {
    "toml": TOML, "json": JSON, "portage": PORTAGE, "archives": ARCHIVES, "packages": PACKAGES,
    "vdb": VDB,
    "debian": DEBIAN, "oci": OCI, "logs": LOGS, "importing": IMPORTING,
    "overlays": OVERLAYS, "upstream": UPSTREAM, "sources": SOURCES,
}  # fmt: skip
