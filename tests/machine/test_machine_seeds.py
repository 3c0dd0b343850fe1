"""A seed that came as a signed stage3 builds what the same root builds as a Debian seed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
import tiny
from tests.mirrors import signer
from tests.support import Store, project

pytestmark = pytest.mark.real

NAME = "stage3-amd64-openrc-20260406T170000Z"
MACHINE = """seed = "gentoo"
profile = "tiny:default"
portage = ["base"]
packages = ["tiny/greet"]
"""


def test_a_stage3_from_a_file_mirror(root_seeded: Store, fresh, tmp_path: Path) -> None:
    native = tiny.built_once(root_seeded)
    lock = tomllib.loads((native.project / "cloche.lock").read_text())
    debian = lock["seeds"]["debian"]["layer"]
    autobuilds = tmp_path / "releases/amd64/autobuilds"
    place = autobuilds / NAME[-16:]
    place.mkdir(parents=True)
    tarball = place / f"{NAME}.tar.gz"
    # As Gentoo packs them, but for xz, which would take minutes.
    options = ("--xattrs-include=*.*", "-I", "gzip -1")
    root_seeded.pack_layer(root_seeded.path / "layers" / debian, tarball, *options)
    with tarball.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha512").hexdigest()
    with signer() as key:
        keyring = key.keyring(tmp_path / "keys.asc")
        pointer = f"{place.name}/{tarball.name} {tarball.stat().st_size}\n"
        (autobuilds / "latest-stage3-amd64-openrc.txt").write_text(key.clear(pointer))
        listed = f"# SHA512 HASH\n{digest}  {tarball.name}\n"
        (place / f"{tarball.name}.DIGESTS").write_text(key.clear(listed))
        (place / f"{tarball.name}.asc").write_text(key.detached(tarball))

    store = fresh(root_seeded)
    own = project(store, tiny.PROJECT, "tiny")
    add = ("seed", "add", "stage3", "--name", "gentoo", "--arch", "amd64", "--json")
    places = ("--mirror", tmp_path.as_uri(), "--keyring", keyring)
    made = json.loads(store.cloche(*add, *places, cwd=own, check=True).stdout)
    assert made["layer"] == debian
    assert (made["type"], made["suite"]) == ("stage3", "openrc")
    assert '[seeds.gentoo]\ntype = "stage3"' in (own / "cloche.toml").read_text()
    assert digest in (own / "cloche.lock").read_text()

    done = store.cloche("seed", "add", "tarball", tmp_path / "keys.asc", cwd=own)
    assert (done.returncode, "corrupt or truncated tarball" in done.stderr) == (2, True)
    assert "tarball" not in (own / "cloche.toml").read_text()  # it was refused, nothing is left

    (own / "machines/tiny.toml").write_text(MACHINE)
    built = tiny.build(store, own)
    assert built.layers == {cpv: native.layers[cpv] for cpv in built.layers}
    assert built.packages("built") == {"tiny/leaf-1", "tiny/greet-1"}
