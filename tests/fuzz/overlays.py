"""What an overlay brings, and what lists overlays and their packages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from cloche.config.errors import Origin
from cloche.overlays import known, manifests, profiles, record, repositories, wishes
from cloche.overlays.content import File, check_links, check_names, write_files
from cloche.overlays.source import Entry

_USED = profiles.Used({"a/b", "c/d"}, {"doc", "x_y"}, {"MIT"}, {"m"})
_PROFILES = (
    *("package.mask", "package.use.mask/x", "use.desc", "use.local.desc", "desc/x.desc", "eapi"),
    *("thirdpartymirrors", "updates/1Q-2026", "categories", "license_groups", "use.mask"),
)


def listed(data: bytes) -> object:
    """A repositories.xml."""
    return known.parse(data.decode(errors="replace"), "somewhere")


def wanted(data: bytes) -> object:
    """The list of packages: what is read is added to and taken from again."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "packages")
        place.write_bytes(data)
        found = wishes.read(place)
        new = wishes.parse("new/one::here", Origin(place))
        wishes.by_overlay(found)
        return wishes.added(place, [new]), wishes.removed(place, [each.pair for each in found])


def recorded(data: bytes) -> object:
    """The lock of a repository."""
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name, "o")
        (repository / record.RECORD).parent.mkdir(parents=True)
        (repository / record.RECORD).write_bytes(data)
        found = record.read(repository)
        return found and record.encoded(found)


def profile(data: bytes) -> object:
    """Files of `profiles/` and `metadata/`."""
    text = data.decode(errors="replace")
    taken = [profiles.concerning(path, text, _USED) for path in _PROFILES]
    return taken, profiles.layout(text, "gentoo"), profiles.license_groups(text, _USED)


def configured(data: bytes) -> object:
    """Cloche's own file in repos.conf, which a user may have changed."""
    text = data.decode(errors="replace")
    return repositories.rewritten(text, {"o": "/var/lib/o"}, lambda name: f"/var/lib/{name}")


def manifest(data: bytes) -> object:
    """A Manifest beside an ebuild and a link."""
    files = {
        "a/b/Manifest": File("100644", data),
        "a/b/b-1.ebuild": File("100644", b"EAPI=8\n"),
        "a/b/files/x": File("120000", b"y"),
    }
    return manifests.check("a/b", files, {"b-1.tar.gz": "b-1"})


def tree(data: bytes) -> object:
    """Names, modes and contents of files: what is not refused can be written, below the top."""
    files = {}
    for line in data.splitlines():
        mode, path, content = (*line.split(b" ", 2), b"", b"")[:3]
        files[path.decode(errors="surrogateescape")] = File(mode.decode("latin-1"), content)
    entries = {path: Entry(file.mode, "0" * 40) for path, file in files.items()}
    check_names("o", entries)
    check_links("o", files)
    with tempfile.TemporaryDirectory() as name:
        top = Path(name, "o")
        write_files(top, files)
        for path in files:
            assert (top / path).parent.resolve().is_relative_to(top.resolve())
    return files


PARSERS = (listed, wanted, recorded, profile, configured, manifest, tree)
VALID = (
    (
        b'<repositories><repo quality="core"><name>guru</name><source type="git">https://x/g.git'
        b'</source><source type="git">git+ssh://x/g.git</source></repo></repositories>',
    ),
    (b"a/b::o https://x/o.git branch=main keyring=/k deps=p,q # c\nc/d::p\n\nx/y-z::o\n",),
    (
        b'{"overlay":"o","address":"https://x/o.git","commit":"' + b"0" * 40 + b'","branch":"main",'
        b'"packages":{"a/b":"","c/d":"a/b"},"lacking":{"e/f":["a/b"]},'
        b'"files":{"x":{"id":"100644:00","origin":"y"}}}',
    ),
    (
        b"# why\na/b doc\n-c/d\n\n~a/b-1 x_y\ndoc - what\na/b:doc - what\nx - y\nm https://x/\n"
        b"move e/f a/b\nslotmove a/b 0 1\nGPL MIT @FREE\nmasters = gentoo\ncache-formats = pms\n",
    ),
    (b"# mine\n[o]\nlocation = /var/lib/o\npriority = 50\n\n[p]\nlocation = /var/lib/p\n",),
    (
        b"DIST b-1.tar.gz 1 SHA512 00\nEBUILD b-1.ebuild 7 BLAKE2B 00\nAUX x 1 SHA512 00\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nDIST a 1 SHA1 0\n",
    ),
    (
        b"100644 a/b/b-1.ebuild EAPI=8\n120000 a/b/l ../c\n100755 a/c x\n"
        b"100644 profiles/repo_name o",
    ),
)
