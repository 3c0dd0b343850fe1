"""Manifests of packages are held against their files."""

from __future__ import annotations

import hashlib

import pytest

from cloche.overlays.content import File, plain
from cloche.overlays.manifests import check
from cloche.overlays.source import LINK


def line(tag: str, name: str, content: bytes) -> str:
    digest = hashlib.blake2b(content).hexdigest()
    return f"{tag} {name} {len(content)} BLAKE2B {digest}\n"


EBUILD, PATCH = b"EAPI=8\n", b"--- a\n"
WHOLE = line("EBUILD", "b-1.ebuild", EBUILD) + line("AUX", "x.patch", PATCH)
FILES = {"a/b/b-1.ebuild": plain(EBUILD), "a/b/files/x.patch": plain(PATCH)}


def test_a_manifest_that_fits_has_no_faults() -> None:
    files = {**FILES, "a/b/Manifest": plain(WHOLE + line("DIST", "b.tar", b"x"))}
    found = check("a/b", files, {"b.tar": "a/b-1"})
    assert (found.wrong, found.undigested) == ((), ())
    thin = {**FILES, "a/b/Manifest": plain(line("DIST", "b.tar", b"x"))}
    assert check("a/b", thin, {}).wrong == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"a/b/b-1.ebuild": plain(b"EAPI=7\n")}, "a/b/b-1.ebuild does not match its Manifest"),
        ({"a/b/b-2.ebuild": plain(EBUILD)}, "a/b/b-2.ebuild is not in its Manifest"),
        (
            {"a/b/files/x.patch": File(LINK, b"b")},
            "x.patch is in its Manifest, and not",
        ),
        ({"a/b/Manifest": plain(b"EBUILD\n")}, "a/b/Manifest cannot be read"),
        ({"a/b/Manifest": plain(b"\xff\n")}, "a/b/Manifest cannot be read"),
        ({"a/b/Manifest": plain("EBUILD b-1.ebuild 7 MD4 00\n")}, "b-1.ebuild does not match"),
    ],
)
def test_what_does_not_fit_is_told(changed: dict[str, File], words: str) -> None:
    found = check("a/b", {**FILES, "a/b/Manifest": plain(WHOLE), **changed}, {})
    assert words in " ".join(found.wrong)


def test_local_edits_need_not_fit() -> None:
    mine = {**FILES, "a/b/b-1.ebuild": plain(b"mine\n"), "a/b/files/new": plain(b"")}
    files = {**mine, "a/b/Manifest": plain(WHOLE)}
    assert check("a/b", files, {}, {"a/b/b-1.ebuild", "a/b/files/new"}).wrong == ()
    gone = {path: file for path, file in files.items() if path != "a/b/files/x.patch"}
    wrong = check("a/b", gone, {}, {"a/b/files/x.patch", "a/b/files/new"}).wrong
    assert wrong == ("a/b/b-1.ebuild does not match its Manifest",)


def test_sources_without_a_digest_are_told() -> None:
    assert check("a/b", FILES, {"b.tar": "a/b-1"}).undigested == (
        "a/b/Manifest has no digest of b.tar, a source of a/b-1",
    )
