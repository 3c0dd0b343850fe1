"""Provenance: the content of the statement, and equal bytes for equal inputs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cloche.catalyst.conf import Conf, read_conf
from cloche.catalyst.spec import Spec, parse_spec
from cloche.config.lock import DistfilePin, RepoPin
from cloche.releng.provenance import directory_digest, provenance
from cloche.session.building import Result
from cloche.session.origins import BuiltPackage, Origins

SPEC = """\
target: stage4
subarch: amd64
version_stamp: x
rel_type: small
profile: default
snapshot_treeish: {commit}
source_subpath: small/seed
portage_confdir: {place}/confdir
repos: {place}/over {place}/more
pkgcache_path: {place}/pkgcache
stage4/packages: app-misc/note
stage4/fsscript: {place}/fsscript.sh
stage4/ssh_public_keys: larry={place}/larry.pub
"""
COMMIT = "a" * 40
RESULT = Result(
    machine="stage4",
    built=1,
    reused=0,
    seconds=1.5,
    layers={},
    origins=Origins(
        {"seed": "5" * 64, "config": "c" * 64},
        {"own": RepoPin("squashfs", "7" * 64, digest="8" * 64)},
        (DistfilePin("note.tar", 3, "BLAKE2B:ab"),),
        (BuiltPackage("app-misc/note-1::own", "app-misc/note-1", "own", "9" * 64, "1", "k", True),),
    ),
)


def made(place: Path) -> tuple[Spec, Conf]:
    for name in ("builds/small", "snapshots", "confdir", "over", "more"):
        (place / name).mkdir(parents=True)
    (place / "builds/small/seed.tar").write_text("seed")
    (place / f"snapshots/own-{COMMIT}.sqfs").write_text("tree")
    (place / "confdir/package.use").write_text("a/b c\n")
    (place / "fsscript.sh").write_text("#!/bin/sh\n")
    (place / "larry.pub").write_text("key\n")
    (place / "catalystrc").write_text("export X=1\n")
    (place / "catalyst.conf").write_text(
        f'storedir = "{place}"\nrepo_name = "own"\noptions = ["pkgcache", "bindist"]\n'
        f'envscript = "{place}/catalystrc"\n'
    )
    spec = parse_spec(SPEC.format(place=place, commit=COMMIT), Path("x.spec"))
    return spec, read_conf([place / "catalyst.conf"])


def statement(place: Path) -> tuple[bytes, Any]:
    output = place / "output"
    spec, conf = made(place)
    output.write_text("tarball")
    text = provenance(spec, conf, [RESULT], {"stage4.tar": output})
    return text, json.loads(text)


def test_it_names_all_inputs_by_their_digests(tmp_path: Path) -> None:
    _, found = statement(tmp_path)
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    (subject,) = found["subject"]
    assert subject["name"] == "stage4.tar"
    assert subject["digest"]["sha256"] == hashlib.sha256(b"tarball").hexdigest()
    definition = found["predicate"]["buildDefinition"]
    inputs = {each["name"]: each["digest"] for each in definition["resolvedDependencies"]}
    assert inputs["source"]["sha256"] == hashlib.sha256(b"seed").hexdigest()
    assert inputs["snapshot"]["gitCommit"] == COMMIT
    assert set(inputs) == {
        *("source", "snapshot", "portage_confdir", "repos", "repos 2", "stage4/fsscript"),
        *("stage4/ssh_public_keys", "envscript"),
        *("seed of stage4", "config of stage4", "repository own", "distfile note.tar"),
    }
    assert inputs["distfile note.tar"] == {"blake2b": "ab"}
    assert inputs["repository own"] == {"clocheLayer": "7" * 64, "sha256": "8" * 64}
    (package,) = found["predicate"]["runDetails"]["byproducts"]
    assert package["digest"] == {"sha256": "9" * 64}
    assert package["annotations"]["key"] == "k"


def test_equal_inputs_in_another_place_give_the_same_bytes(tmp_path: Path) -> None:
    texts = [statement(tmp_path / name)[0] for name in ("one", "another")]
    assert texts[0] == texts[1]
    assert str(tmp_path).encode() not in texts[0]


def test_a_directory_has_the_digest_that_go_gives_it(tmp_path: Path) -> None:
    """As golang.org/x/mod/sumdb/dirhash computes Hash1 for two files."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_text("1")
    (tmp_path / "two").write_text("2")
    lines = [
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n"
        for name, text in (("a/one", "1"), ("two", "2"))
    ]
    summed = hashlib.sha256("".join(lines).encode()).digest()
    assert directory_digest(tmp_path) == "h1:" + base64.b64encode(summed).decode()
    os.mkfifo(tmp_path / "fifo")  # is neither waited for nor a part of it
    before = directory_digest(tmp_path)
    (tmp_path / "a/link").symlink_to("one")
    assert directory_digest(tmp_path) != before
