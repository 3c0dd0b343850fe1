"""What is written beside a tarball, and when it gets its name."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from cloche.archives.errors import ImportRefusedError
from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.spec import Spec, parse_spec
from cloche.errors import ClocheError
from cloche.releng.outputs import aside, check_reader, check_replaceable, listed, publish
from cloche.session.building import Result
from cloche.store import Store

SPEC = """\
target: stage3
subarch: amd64
version_stamp: x
rel_type: small
compression_mode: tar
"""
NAME = "stage3-amd64-x.tar"


@pytest.fixture
def spec() -> Spec:
    return parse_spec(SPEC, Path("x.spec"))


def conf_of(place: Path, more: str = "") -> Conf:
    file = place / "catalyst.conf"
    file.write_text(f'storedir = "{place}"\n{more}')
    return read_conf([file])


def tarball(place: Path, content: str) -> Path:
    (place / "file").write_text(content)
    with tarfile.open(place / "made.tar", "w") as archive:
        archive.add(place / "file", "./file")
    return place / "made.tar"


def made_of(file: Path) -> Mapping[str, Path]:
    """A machine's outputs if the file is its tarball."""
    blob = hashlib.sha256(file.read_bytes()).hexdigest()
    result = Result("m", 0, 0, 0, {}, {"stage4": file}, {"stage4": blob})
    with Store.open(file.parent / "cloche-store") as store:
        return listed(store, result)


@pytest.mark.parametrize(
    ("style", "line"),
    [("", "# SHA512 HASH\n{}  {}\n"), ('digest_format = "bsd"\n', "SHA512 ({1}) = {0}\n")],
)
def test_digests_are_of_the_files_under_their_names(
    tmp_path: Path, spec: Spec, style: str, line: str
) -> None:
    conf = conf_of(tmp_path, f'digests = ["sha512"]\n{style}')
    for content in ("first", "second"):
        made = tarball(tmp_path, content)
        written = [Path(each.path) for each in publish(spec, conf, made_of(made))]
        builds = tmp_path / "builds/small"
        assert {*builds.iterdir()} == {*written}
        assert (builds / NAME).read_bytes() == made.read_bytes()
        files = (NAME, f"{NAME}.CONTENTS.gz")
        values = {each: hashlib.sha512((builds / each).read_bytes()).hexdigest() for each in files}
        expected = "".join(line.format(values[each], each) for each in files)
        assert (builds / f"{NAME}.DIGESTS").read_text() == expected
        lines = gzip.decompress((builds / f"{NAME}.CONTENTS.gz").read_bytes()).splitlines()
        assert lines[0].endswith(b" ./file")


def test_what_cannot_be_listed_is_known_before_it_is_made(
    tmp_path: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = conf_of(tmp_path)
    check_reader(spec, conf)  # tar needs no program
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClocheError, match="lzop not found"):
        check_reader(spec.overridden(["compression_mode=lzop"]), conf)


def test_of_a_broken_tarball_nothing_is_left(tmp_path: Path, spec: Spec) -> None:
    conf = conf_of(tmp_path)
    made = made_of(tarball(tmp_path, "first"))
    publish(spec, conf, made)
    before = {each: each.read_bytes() for each in (tmp_path / "builds/small").iterdir()}
    (tmp_path / "made.tar").write_bytes(b"x" * 2000)
    with pytest.raises(ImportRefusedError):
        made_of(tmp_path / "made.tar")
    made["stage4-contents"].unlink()
    with pytest.raises(FileNotFoundError):
        publish(spec, conf, made)
    assert {each: each.read_bytes() for each in (tmp_path / "builds/small").iterdir()} == before


def test_a_tarball_is_listed_once(tmp_path: Path) -> None:
    file = tarball(tmp_path, "first")
    first = made_of(file)["stage4-contents"]
    inode = first.stat().st_ino
    assert made_of(file)["stage4-contents"].stat().st_ino == inode
    first.unlink()  # by garbage collection, for example
    assert made_of(file)["stage4-contents"].read_bytes().endswith(b" ./file\n")
    other = made_of(tarball(tmp_path, "longer"))["stage4-contents"]
    assert b" 6 " in other.read_bytes()


LIVE = """\
target: livecd-stage2
subarch: amd64
version_stamp: x
rel_type: small
compression_mode: tar
livecd/iso: live.iso
"""


@pytest.mark.parametrize(
    ("iso", "what"),
    [
        (".", "small, which is a directory"),  # the one of the tarball
        ("taken", "taken, which is a directory"),
        ("livecd-stage2-amd64-x.tar", "livecd-stage2-amd64-x.tar, which is another output, too"),
        ("live.iso", None),
    ],
)
def test_an_output_replaces_files_alone(tmp_path: Path, iso: str, what: str | None) -> None:
    conf = conf_of(tmp_path)
    (tmp_path / "builds/small/taken").mkdir(parents=True)
    (tmp_path / "builds/small/live.iso").touch()
    spec = parse_spec(LIVE.replace("live.iso", iso), Path("x.spec"))
    with pytest.raises(ClocheError, match=what) if what else nullcontext():
        check_replaceable(spec, conf)


def test_what_is_written_first_replaces_a_link_or_a_fifo_that_is_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of somebody")
    (tmp_path / ".out.new").symlink_to(secret)
    with aside(tmp_path / "out") as new:
        new.write_text("output")
    assert secret.read_text() == "of somebody"
    assert (tmp_path / "out").read_text() == "output"
    os.mkfifo(tmp_path / ".out.new")
    with aside(tmp_path / "out") as new:
        new.write_text("again")
    assert (tmp_path / "out").read_text() == "again"


def test_a_medium_is_described_by_what_the_tools_say_of_it(tmp_path: Path) -> None:
    conf = conf_of(tmp_path, 'digests = ["sha512"]\n')
    (tmp_path / "x").mkdir()
    made = {
        **made_of(tarball(tmp_path / "x", "x")),
        "iso": tmp_path / "i",
        "iso-contents": tmp_path / "c",
    }
    made["iso"].write_bytes(b"medium")
    made["iso-contents"].write_bytes(b"Directory listing of /\n README.TXT;1\n")
    written = publish(parse_spec(LIVE, Path("x.spec")), conf, made)
    builds = tmp_path / "builds/small"
    assert {Path(each.path) for each in written} == {*builds.iterdir()}
    assert (builds / "live.iso").read_bytes() == b"medium"
    lines = gzip.decompress((builds / "live.iso.CONTENTS.gz").read_bytes())
    assert lines == b"Directory listing of /\n README.TXT;1\n\n"
    digest = hashlib.sha256(b"medium").hexdigest()
    assert (builds / "live.iso.sha256").read_text() == f"# SHA256 HASH\n{digest}  live.iso\n"


def test_a_netboot_is_a_directory_in_place_of_the_one_before(tmp_path: Path) -> None:
    spec = parse_spec(SPEC.replace("stage3", "netboot"), Path("x.spec"))
    for content in ("first", "second"):
        (tmp_path / "file").write_text(content)
        with tarfile.open(tmp_path / "made.tar", "w") as archive:
            archive.add(tmp_path / "file", "./kernels/one")
        (written,) = publish(spec, conf_of(tmp_path), {"stage4": tmp_path / "made.tar"})
        place = tmp_path / "builds/small/netboot-amd64-x"
        assert written.path == str(place)
        assert {*place.parent.iterdir()} == {place}
        assert [each.read_text() for each in place.glob("*/*")] == [content]
    (place / "other").touch()
    with pytest.raises(ClocheError, match="is not a file of a netboot"):
        publish(spec, conf_of(tmp_path), {"stage4": tmp_path / "made.tar"})
