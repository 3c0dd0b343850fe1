"""Seeds out of directories, tarballs and OCI images: what comes out, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support import cannot
from tests.values import seed_spec

from cloche.archives import (
    ImportRefusedError,
    Limits,
)
from cloche.config.lock import TreeSeed
from cloche.fetching.errors import WrongContentError
from cloche.layers import compare
from cloche.sandbox import userns
from cloche.seeds import directory, oci, tarball
from cloche.seeds.arch import host_arch
from cloche.seeds.errors import SeedError
from cloche.seeds.types import SeedContext, SeedRequest


def means(tmp_path: Path, store: Path | None = None) -> SeedContext:
    engine: Any = None  # nothing of it is run here
    stored: Any = SimpleNamespace(path=store or tmp_path / "store")
    return SeedContext(engine, stored, tmp_path / "cache", tmp_path / "log")


def wanted(kind: str, locked: TreeSeed | None = None, **options: str) -> SeedRequest:
    spec = seed_spec(kind, **options)
    return SeedRequest(spec, Path("/"), locked)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    made = tmp_path / "room"
    made.mkdir()
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree with what trees have."""
    tree = tmp_path / "root"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/su").write_bytes(b"\x7fELF")
    (tree / "usr/bin/su").chmod(0o4755)
    (tree / "bin").symlink_to("usr/bin")
    os.link(tree / "usr/bin/su", tree / "usr/bin/sg")
    (tree / "var").mkdir()
    return tree


def test_a_directory_is_copied_without_the_store(tmp_path: Path, root: Path, room: Path) -> None:
    (root / "var/store/layers").mkdir(parents=True)
    made, seed = directory.make(
        wanted("directory", path=str(root)), room, means(tmp_path, root / "var/store")
    )
    assert seed == TreeSeed("directory")
    assert list((made / "var/store").iterdir()) == []
    (root / "var/store/layers").rmdir()
    assert compare([root], [made]).equal


def test_nothing_of_a_debian_seed_is_added_to_other_trees(
    tmp_path: Path, root: Path, room: Path
) -> None:
    """They have their own baselayout; a second one would double what env.d says."""
    for name, text in (
        ("etc/env.d/50baselayout", 'PATH="/opt/own"\n'),
        ("etc/profile", "# their own\n"),
        ("etc/hosts", "127.0.0.1 own\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    packed = tmp_path / "root.tar"
    subprocess.run(("tar", "-C", root, "-cf", packed, "."), check=True)
    copied, _ = directory.make(wanted("directory", path=str(root)), room, means(tmp_path))
    assert compare([root], [copied]).equal
    copied.rename(room / "copied")
    unpacked, _ = tarball.make(wanted("tarball", path=str(packed)), room, means(tmp_path))
    assert compare([root], [unpacked]).equal


def test_what_is_mounted_below_stays_out(tmp_path: Path, root: Path, room: Path) -> None:
    if os.geteuid() != 0:
        cannot("only root can mount")
    script = (
        'mount -t tmpfs none $1/var && touch $1/var/inside && mkdir "$1/a place" &&'
        ' mount --bind $1/usr "$1/a place" && exec $2 -c \''
        "import sys; from pathlib import Path; from tests.seeds import test_seeds_trees as t;"
        't.directory.make(t.wanted("directory", path=sys.argv[1]), Path(sys.argv[2]),'
        " t.means(Path(sys.argv[2])))' $1 $3"
    )
    words = ("unshare", "--mount", "sh", "-ec", script, "sh", str(root), sys.executable, str(room))
    subprocess.run(words, cwd=Path(__file__).parents[2], check=True)
    assert list((room / "tree/var").iterdir()) == []
    assert list((room / "tree/a place").iterdir()) == []  # of the same file system
    assert (room / "tree/usr/bin/su").exists()


def test_passwords_stay_out(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    shadow = tmp_path / "etc/shadow"
    shadow.write_text("root:$6$salt$hash:19000:0:99999:7:::\ndaemon:*:1::::::\nme::1::::::\n")
    directory.without_passwords(tmp_path)
    assert shadow.read_text() == ("root:!:19000:0:99999:7:::\ndaemon:*:1::::::\nme:!:1::::::\n")


def test_what_a_user_may_not_read_of_a_system_stays_out(ground: Path) -> None:
    if not userns.is_real_root():
        cannot("only root can become somebody else")
    system = ground / "system"
    for name in ("open/file", "closed/file", "etc/sudoers", "home/mine"):
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).touch()
    (system / "etc/sudoers").chmod(0o400)
    for name in ("closed", "home"):
        (system / name).chmod(0o700)
    os.seteuid(65534)
    try:
        closed = directory.closed_names(system, frozenset([b"home"]))
    finally:
        os.seteuid(0)
    assert sorted(closed) == [b"closed", b"etc/sudoers"]


def test_nothing_where_the_path_leads(tmp_path: Path, room: Path) -> None:
    for kind, made in (("directory", directory), ("tarball", tarball), ("oci", oci)):
        with pytest.raises(SeedError, match=r"no such .*: .*none; correct `path`"):
            made.make(wanted(kind, path=str(tmp_path / "none")), room, means(tmp_path))
        with pytest.raises(SeedError, match="`path` is missing; add `path`"):
            made.make(wanted(kind), room, means(tmp_path))


def test_a_tarball_is_pinned_by_its_digest(tmp_path: Path, root: Path, room: Path) -> None:
    file = tmp_path / "root.tar.zst"
    subprocess.run(["tar", "--zstd", "-cf", file, "-C", root, "."], check=True)
    made, seed = tarball.make(wanted("tarball", path=str(file)), room, means(tmp_path))
    assert seed.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert compare([root], [made]).equal
    other = TreeSeed("tarball", "0" * 64)
    for pinned in (
        wanted("tarball", other, path=str(file)),
        wanted("tarball", path=str(file), sha256="1" * 64),
    ):
        with pytest.raises(WrongContentError, match="pinned"):
            tarball.make(pinned, room, means(tmp_path))


class Image:
    """An image layout that is written by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.manifests: list[Mapping[str, Any]] = []

    def blob(self, data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    def add(self, name: str, *layers: bytes, arch: str = "") -> dict[str, Any]:
        kind = "application/vnd.oci.image.layer.v1.tar"
        content = {"schemaVersion": 2, "layers": [self.blob(each, kind) for each in layers]}
        manifest = "application/vnd.oci.image.manifest.v1+json"
        entry = self.blob(json.dumps(content).encode(), manifest)
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        if arch:
            entry["platform"] = {"os": "linux", "architecture": arch}
        self.manifests.append(entry)
        self.write()
        return entry

    def write(self) -> None:
        text = json.dumps({"schemaVersion": 2, "manifests": self.manifests})
        (self.path / "index.json").write_text(text)


def layer(**files: str) -> bytes:
    """A tar of files; names are given with two underscores for a slash."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            tar.addfile(member, BytesIO(content.encode()))
    return out.getvalue()


def whiteouts() -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("etc/.wh.gone", "opt/.wh..wh..opq", "opt/new"):
            tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def test_the_layers_of_an_image_are_put_together(tmp_path: Path, room: Path) -> None:
    image = Image(tmp_path / "image")
    below = layer(etc__gone="1", etc__stays="2", opt__old="3", etc__changes="4")
    entry = image.add("one", below, gzip.compress(whiteouts()), layer(etc__changes="5"))
    made, seed = oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert seed == TreeSeed("oci", entry["digest"].removeprefix("sha256:"))
    found = {str(p.relative_to(made)): p.read_text() for p in made.rglob("*") if p.is_file()}
    assert found == {"etc/stays": "2", "etc/changes": "5", "opt/new": ""}
    assert [path.name for path in room.iterdir()] == ["tree"]


def test_one_of_several_images(tmp_path: Path, room: Path) -> None:
    image = Image(tmp_path / "image")
    image.add("one", layer(one="1"))
    image.add("two", layer(two="2"))
    with pytest.raises(SeedError, match="there is: one, two"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    with pytest.raises(SeedError, match="no image named three"):
        oci.make(wanted("oci", path=str(image.path), ref="three"), room, means(tmp_path))
    made, seed = oci.make(wanted("oci", path=str(image.path), ref="two"), room, means(tmp_path))
    assert [path.name for path in made.iterdir()] == ["two"]
    with pytest.raises(SeedError, match="pinned"):
        oci.make(wanted("oci", seed, path=str(image.path), ref="one"), room, means(tmp_path))


def test_the_hosts_architecture_is_chosen_out_of_an_index(tmp_path: Path, room: Path) -> None:
    image = Image(tmp_path / "image")
    own = host_arch().gentoo
    entries = [image.add("x", layer(own="1"), arch=own), image.add("x", layer(s="2"), arch="s390x")]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    image.manifests = [image.blob(index, "application/vnd.oci.image.index.v1+json")]
    image.write()
    made, _ = oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert [path.name for path in made.iterdir()] == ["own"]


def test_damaged_and_hostile_images_are_refused(tmp_path: Path, room: Path) -> None:
    image = Image(tmp_path / "image")
    entry = image.add("one", layer(one="1"))
    blob = image.path / "blobs/sha256" / entry["digest"].removeprefix("sha256:")
    good = blob.read_bytes()
    blob.write_bytes(good + b" ")
    with pytest.raises(SeedError, match="does not match its digest"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    with pytest.raises(SeedError, match="missing"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    image.manifests = [{**entry, "digest": "sha256:../../../etc/passwd"}]
    image.write()
    with pytest.raises(SeedError, match="unknown kind of digest"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    image.manifests = [{"mediaType": "x"}]
    image.write()
    with pytest.raises(SeedError, match="unknown kind of digest"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    (image.path / "index.json").write_text('{"a":' * 100_000)
    with pytest.raises(SeedError, match="cannot be read"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    (image.path / "index.json").unlink()
    os.mkfifo(image.path / "index.json")  # nobody writes to it
    with pytest.raises(SeedError, match="cannot be read"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    (image.path / "index.json").unlink()
    (image.path / "index.json").write_text("[]")
    with pytest.raises(SeedError, match="not an object"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))

    hostile = Image(tmp_path / "hostile")
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo("out/written"))
    hostile.add("one", out.getvalue())
    with pytest.raises(ImportRefusedError):
        oci.make(wanted("oci", path=str(hostile.path)), room, means(tmp_path))
    assert not (tmp_path / "written").exists()


INDEX = "application/vnd.oci.image.index.v1+json"


def index_of(image: Image, *entries: Mapping[str, Any]) -> dict[str, Any]:
    """An index as a blob of the image."""
    text = json.dumps({"schemaVersion": 2, "manifests": entries})
    return image.blob(text.encode(), INDEX)


def test_indexes_that_lead_to_each_other_a_thousand_times_are_read_once(
    tmp_path: Path, room: Path
) -> None:
    """Without that, 1,000 names in each of four indexes are 10^12 files to read."""
    image = Image(tmp_path / "image")
    inner = index_of(image, image.add("one", layer(one="1")))
    for _ in range(3):
        inner = index_of(image, *[inner] * 1000)
    image.manifests = [inner] * 1000
    image.write()
    made, _ = oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert [path.name for path in made.iterdir()] == ["one"]


def test_more_images_or_layers_than_anybody_has_are_refused(tmp_path: Path, room: Path) -> None:
    image = Image(tmp_path / "image")
    entry = image.add("one", layer(one="1"))
    image.manifests = [entry] * 501
    image.write()
    with pytest.raises(SeedError, match="more than 500 images"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    image.manifests = []
    image.add("two", *[layer(one="1")] * 501)
    with pytest.raises(SeedError, match="501 layers"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert list(room.iterdir()) == []
    image.manifests = [
        {**entry, "annotations": {"org.opencontainers.image.ref.name": f"{n:0900}"}}
        for n in range(400)
    ]
    image.write()
    with pytest.raises(SeedError) as raised:
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert len(str(raised.value)) < 2000
    assert "and 390 more" in str(raised.value)


def test_layers_are_held_to_one_limit_together(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an image of many layers would be many times what a tarball may be."""
    monkeypatch.setattr(oci, "Limits", lambda: Limits(bytes=1000, entries=50))
    image = Image(tmp_path / "image")
    big = layer(one="x" * 400)
    image.add("fits", big, big)
    oci.make(wanted("oci", path=str(image.path), ref="fits"), room, means(tmp_path))
    image.add("large", big, big, big)
    with pytest.raises(ImportRefusedError, match="limit `bytes`"):
        oci.make(wanted("oci", path=str(image.path), ref="large"), tmp_path, means(tmp_path))


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "etc/.wh...", "etc/.wh..wh.x"])
def test_whiteouts_of_no_name_are_refused(tmp_path: Path, room: Path, name: str) -> None:
    image = Image(tmp_path / "image")
    image.add("one", layer(etc__one="1"), layer(**{name.replace("/", "__"): ""}))
    with pytest.raises(ImportRefusedError, match="not that of a whiteout"):
        oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))


def test_a_link_of_one_layer_is_no_way_out_for_another(tmp_path: Path, room: Path) -> None:
    """Layers are made apart from each other; what lies over a link takes its place."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        link = tarfile.TarInfo("data")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
    image = Image(tmp_path / "image")
    image.add("one", out.getvalue(), layer(data__written="1", **{"data__.wh.kept": ""}))
    made, _ = oci.make(wanted("oci", path=str(image.path)), room, means(tmp_path))
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (made / "data/written").read_text() == "1"
    assert not (made / "data").is_symlink()


@pytest.mark.real
def test_an_archive_by_podman(tmp_path: Path, root: Path, room: Path) -> None:
    if shutil.which("podman") is None:
        cannot("podman is not installed")
    if not userns.is_real_root():
        cannot("podman's storage is used as root here")
    file, archive = tmp_path / "root.tar", tmp_path / "image.tar"
    subprocess.run(["tar", "-cf", file, "-C", root, "."], check=True)
    save = ("save", "-q", "--format", "oci-archive", "-o", archive, "tried:1")
    with tempfile.TemporaryDirectory(prefix="p-") as short:  # podman takes no long --runroot
        places = ("--root", f"{short}/s", "--runroot", f"{short}/r", "--storage-driver", "vfs")
        for words in (("import", "-q", file, "tried:1"), save):
            subprocess.run(["podman", *places, *words], check=True, capture_output=True)
    made, _ = oci.make(wanted("oci", path=str(archive)), room, means(tmp_path))
    found = compare([root], [made])
    assert found.equal, found.text()
