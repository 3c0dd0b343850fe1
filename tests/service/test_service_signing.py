"""`cloche serve --sign`: packages and indexes are signed, and targets get the public key."""

from __future__ import annotations

import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.mirrors import signer
from tests.service.serving import add_package, add_target, served, server_of, written_project
from tests.support import Store, project
from tests.targets.described import PROJECT, described

from cloche.binhosts.gpkg import check_package
from cloche.fetching.openpgp import opened


@pytest.mark.real
def test_what_is_built_is_signed(
    root_seeded: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = root_seeded.copy(tmp_path / "store")
    with signer("service") as key:
        monkeypatch.setenv("GNUPGHOME", str(key.home))
        server = server_of(project(store, PROJECT), "--sign", key.fingerprint, store=store.path)
        with served(server):
            target = server.enrol(described(), server.token())
            assert server.build(target, "app-misc/stone")["state"] == "done"
            entry = server.index(target)["app-misc/stone-1"]
            file = tmp_path / "stone-1.gpkg.tar"
            place = f"{target['binhost']}/{entry['PATH']}"
            file.write_bytes(server.ask("GET", place, target["token"]).content)
    assert str(file.stat().st_size) == entry["SIZE"]
    assert hashlib.md5(file.read_bytes()).hexdigest() == entry["MD5"]
    public = tmp_path / "public.asc"
    public.write_text(target["public_key"])
    with opened(public) as keyring:  # what the target got, alone
        assert check_package(file, "stone-1", keyring).signer == key.fingerprint


def test_indexes_are_signed_also_for_several_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signer("service") as key:
        monkeypatch.setenv("GNUPGHOME", str(key.home))
        server = server_of(written_project(tmp_path), "--sign", key.fingerprint)
        targets = [add_target(server, f"{n:012}", name=f"number {n}") for n in range(4)]
        add_package(server, targets[0], "app-misc/tree-1")
        with served(server), ThreadPoolExecutor(8) as threads:
            answers = list(
                threads.map(
                    lambda each: server.ask(
                        "GET", f"{each['binhost']}/Packages.asc", each["token"]
                    ),
                    targets * 3,
                )
            )
            index = server.ask("GET", f"{targets[0]['binhost']}/Packages", targets[0]["token"])
        assert {each.status_code for each in answers} == {200}
        (tmp_path / "Packages").write_bytes(index.content)
        (tmp_path / "Packages.asc").write_bytes(answers[0].content)
        verify = ["gpg", "--verify", tmp_path / "Packages.asc", tmp_path / "Packages"]
        done = subprocess.run(verify, capture_output=True, text=True, env={**os.environ})
        assert done.returncode == 0, done.stderr


def test_an_unknown_key_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with signer("service") as key:
        monkeypatch.setenv("GNUPGHOME", str(key.home))
        server = server_of(written_project(tmp_path), "--sign", "nobody@example.org")
        done = subprocess.run(
            server.command, cwd=server.place, env=server.environment, capture_output=True, text=True
        )
    assert done.returncode == 2
    assert done.stderr.startswith("cloche: gpg cannot sign with the key nobody@example.org")
