"""Rust crates: Cargo.lock becomes CRATES, GIT_CRATES, licences and lines of the Manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pycargoebuild.cargo import CRATE_REGISTRY, FileCrate
from tests.autogen.crates import COMMIT, MAPPING, Registry, manifest
from tests.autogen.forge import NAME
from tests.autogen.overlay import Overlay
from tests.autogen.published import Desk, tarball

from cloche.autogen.errors import RefusedError
from cloche.autogen.rust import crates
from cloche.autogen.rust.archives import Registry as Place
from cloche.errors import ClocheError

MATURIN = """\
[build-system]
requires = ["maturin>=1,<2"]
build-backend = "maturin"
"""
EBUILD = "dev-python/hello/hello-1.2.ebuild"


def publish(desk: Desk, registry: Registry, files: dict[str, str] | None = None) -> None:
    more = {"pyproject.toml": MATURIN, "Cargo.lock": registry.lock,
            "Cargo.toml": manifest("hello", "1.2.0")}  # fmt: skip
    desk.index.release("hello", "1.2", files={**more, **(files or {})},
                       tag="cp312-cp312-manylinux_x86_64")  # fmt: skip


def failed(desk: Desk, registry: Registry) -> ClocheError:
    error = desk.run("hello", "--crates-url", registry.address).exception
    assert isinstance(error, ClocheError), error
    assert not list(desk.repository.glob("*/*/*.ebuild"))
    return error


def test_a_python_project_has_its_crates_their_licences_and_their_digests(desk: Desk) -> None:
    (desk.repository / "metadata/license-mapping.conf").write_text(MAPPING)
    registry = Registry(desk.index)
    serde = registry.add("serde", "1.0.200")
    registry.add("ident", "1.0.12", "(MIT OR Apache-2.0) AND Unicode-3.0")
    registry.add("wasi", "0.11.0+preview1", "Apache-2.0 WITH LLVM-exception OR Apache-2.0/MIT")
    registry.commit(desk.room / "dist", "inner")
    publish(desk, registry)
    done = desk.run("hello", "--crates-url", registry.address)
    assert done.exit_code == 0, (done.output, done.exception)
    text = desk.text(EBUILD)
    assert text.partition("\n\n")[2].startswith(f"""\
EAPI=8

DISTUTILS_EXT=1
DISTUTILS_USE_PEP517=maturin
PYTHON_COMPAT=( python3_{{11..14}} )
RUST_MIN_VER="1.74.0"
CRATES="
\tident@1.0.12
\tserde@1.0.200
\twasi@0.11.0+preview1
"

declare -A GIT_CRATES=(
\t[inner]='https://github.com/larry/tools;{COMMIT};tools-%commit%/crates/inner'
)

inherit cargo distutils-r1 pypi
""")
    assert 'SRC_URI+="\n\t${CARGO_CRATE_URIS}\n"\n' in text
    licences = 'LICENSE+="\n\tBSD Unicode-3.0\n\t|| ( Apache-2.0 MIT )\n"\n'
    assert f'LICENSE="MIT"\n# Dependent crate licenses\n{licences}' in text
    lines = {w[1]: w for w in map(str.split, desk.text("dev-python/hello/Manifest").splitlines())}
    assert set(lines) == {
        "hello-1.2.tar.gz", "ident-1.0.12.crate", "serde-1.0.200.crate",
        "wasi-0.11.0+preview1.crate", f"tools-{COMMIT}.gh.tar.gz",
    }  # fmt: skip
    assert lines["serde-1.0.200.crate"][4] == hashlib.blake2b(serde).hexdigest()
    before = desk.snapshot()
    desk.index.asked.clear()
    done = desk.run("hello", "--crates-url", registry.address)
    assert "nothing has changed" in done.stderr
    assert desk.snapshot() == before
    assert not [path for path in desk.index.asked if path.endswith("/download")]


def test_a_project_of_github_and_one_of_a_run_have_theirs(overlay: Overlay) -> None:
    registry = Registry(overlay.index)
    registry.add("serde", "1.0.200")
    files = {"Cargo.toml": manifest("hello", "1.2.0"), "Cargo.lock": registry.lock}
    overlay.forge.release("v1.2")
    overlay.forge.asset("v1.2", "hello-1.2.tar.gz", tarball("hello-1.2", files))
    overlay.list(f'[github."{NAME}"]\n')
    assert set(overlay.results("--crates-url", registry.address).values()) == {"new"}
    text = (overlay.repository / "app-misc/hello/hello-1.2.ebuild").read_text()
    assert 'RUST_MIN_VER="1.74.0"\nCRATES="\n\tserde@1.0.200\n"\n\ninherit cargo\n' in text
    assert "\t${CARGO_CRATE_URIS}\n" in text
    assert '# Dependent crate licenses\nLICENSE+=" || ( Apache-2.0 MIT )"\n' in text
    assert "serde-1.0.200.crate" in (overlay.repository / "app-misc/hello/Manifest").read_text()


def test_crates_without_a_licence_are_told(desk: Desk) -> None:
    registry = Registry(desk.index)
    registry.add("quiet", "1.0.0", None)
    own = manifest("own", "1.0.0", None) + 'license-file = "TERMS"\n'
    registry.publish("own", "1.0.0", tarball("own-1.0.0", {"Cargo.toml": own}))
    publish(desk, registry)
    done = desk.run("hello", "--crates-url", registry.address)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "crate quiet-1.0.0 states no licence" in done.stderr
    assert "crate own-1.0.0 has a licence of its own, 'TERMS'" in done.stderr
    assert "Dependent crate licenses" not in desk.text(EBUILD)


def test_the_cargo_lock_beside_or_above_the_named_manifest_counts(desk: Desk) -> None:
    registry = Registry(desk.index)
    registry.add("serde", "1.0.200")
    files = {
        "pyproject.toml": f'{MATURIN}[tool.maturin]\nmanifest-path = "./rust/py/Cargo.toml"\n',
        "Cargo.lock": "another one",
        "rust/Cargo.lock": registry.lock,
        "rust/py/Cargo.toml": manifest("hello", "1.2.0"),
    }
    publish(desk, registry, files)
    done = desk.run("hello", "--crates-url", registry.address)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "serde@1.0.200" in desk.text(EBUILD)


def test_a_crate_with_another_digest_is_refused(desk: Desk) -> None:
    registry = Registry(desk.index)
    registry.add("serde", "1.0.200")
    publish(desk, registry)
    right = desk.index.files["serde/1.0.200/download"]
    desk.index.files["serde/1.0.200/download"] = tarball("serde-1.0.200", {"Cargo.toml": "x"})
    assert "does not have the digest" in failed(desk, registry).what
    desk.index.files["serde/1.0.200/download"] = right
    assert desk.run("hello", "--crates-url", registry.address).exit_code == 0


def test_an_archive_of_another_commit_is_not_taken(desk: Desk) -> None:
    registry = Registry(desk.index)
    registry.commit(desk.room / "dist", "inner")
    publish(desk, registry)
    path = desk.room / "dist" / f"tools-{COMMIT}.gh.tar.gz"
    path.write_bytes(tarball(f"tools-{COMMIT}", {"Cargo.toml": ""}))
    asked: list[str] = []

    def fetch(uri: str, target: Path, **_: object) -> None:
        asked.append(uri)
        target.write_bytes(path.read_bytes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloche.autogen.rust.archives.fetch_file", fetch)
        assert "commit that Cargo.lock states" in failed(desk, registry).what
    assert asked == [f"https://github.com/larry/tools/archive/{COMMIT}.tar.gz"]


LOCKED = '[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "{source}"\n{rest}\n'
SUM = f'checksum = "{"0" * 64}"'
MALICIOUS = {
    "name": ('a"\\n$(id)', "1.0.0", CRATE_REGISTRY, SUM),
    "version": ("a", "1.0.0 $(id)", CRATE_REGISTRY, SUM),
    "digest": ("a", "1.0.0", CRATE_REGISTRY, 'checksum = "0"'),
    "no digest": ("a", "1.0.0", CRATE_REGISTRY, ""),
    "registry": ("a", "1.0.0", "registry+https://example.org/index", SUM),
    "commit": ("a", "1.0.0", "git+https://github.com/a/b#main", ""),
    "path": ("../a", "1.0.0", CRATE_REGISTRY, SUM),
    "repository": ("a", "1.0.0", f"git+https://github.com/a/$b#{COMMIT}", ""),
    "forge": ("a", "1.0.0", f"git+https://example.org/a/b#{COMMIT}", ""),
}


@pytest.mark.parametrize("case", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_a_lock_that_is_not_one_is_refused_with_the_reason(case: tuple[str, str, str, str]) -> None:
    name, version, source, rest = case
    text = "version = 4\n" + LOCKED.format(name=name, version=version, source=source, rest=rest)
    with pytest.raises(RefusedError) as caught:
        crates.locked(text, "hello")
    assert "Cargo.lock" in caught.value.what
    assert "\n" not in str(caught.value)


def test_a_crate_of_a_commit_is_found_by_name_and_has_what_its_workspace_says() -> None:
    at = f"https://github.com/larry/tools?rev=1#{COMMIT}"
    text = LOCKED.format(name="b", version="0.3.0", source=f"git+{at}", rest="")
    (crate,) = crates.locked(f"version = 4\n{text}", "hello")
    shared = '[workspace]\n[workspace.package]\nversion = "0.3.0"\nlicense = "{}"\n'
    own = '[package]\nname = "{}"\nversion.workspace = true\nlicense.workspace = true\n'
    texts = {
        "Cargo.toml": shared.format("MIT"), "a/Cargo.toml": own.format("a"), "c/Cargo.toml": "[",
        "x/Cargo.toml": shared.format("ISC"), "x/b/Cargo.toml": own.format("b"),
    }  # fmt: skip
    directory, found = crates.in_repository(crate, texts)
    assert (directory, found.license) == ("x/b", "ISC")
    entry = crates.git_entry(crate, f"tools-{COMMIT}/x/b")
    assert entry == f"https://github.com/larry/tools;{COMMIT};tools-%commit%/x/b"
    with pytest.raises(RefusedError) as caught:
        crates.in_repository(crate, {"Cargo.toml": manifest("b", "0.4.0")})
    assert "no Cargo.toml in tools-" in caught.value.what
    with pytest.raises(RefusedError):
        crates.git_entry(crate, "tools/$(id)';")


def test_two_commits_of_one_crate_have_no_place_in_git_crates() -> None:
    lines = (
        LOCKED.format(name="b", version="0.3.0", rest="",
                      source=f"git+https://github.com/larry/tools#{commit}")
        for commit in (COMMIT, COMMIT[::-1])
    )  # fmt: skip
    with pytest.raises(RefusedError) as caught:
        crates.locked("version = 4\n" + "".join(lines), "hello")
    assert "several commits of b" in caught.value.what


@pytest.mark.parametrize("text", ["", "[", "version = 9\n", "package = 1\n", "package = [1]\n"])
def test_malformed_locks_are_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        crates.locked(text, "hello")


@pytest.mark.parametrize(
    ("stated", "word"),
    [("as you like", "no name in"), ("EUPL-1.2", "no name in"), ("MIT AND", "SPDX")],
)
def test_a_licence_without_a_name_is_refused_and_its_crate_named(stated: str, word: str) -> None:
    with pytest.raises(RefusedError) as caught:
        crates.licence_lines({"good-1": "MIT", "odd-2": stated}, {"MIT": "MIT"})
    assert word in caught.value.what
    assert caught.value.where == "crate odd-2"


def test_many_licences_are_written_over_several_lines() -> None:
    mapping = {f"CC-BY-{n}": f"a-rather-long-name-of-a-licence-{n}" for n in ("1.0", "2.0", "3.0")}
    lines = crates.licence_lines({n: n for n in mapping}, mapping)
    assert lines[1] == 'LICENSE+="'
    assert lines[-1] == '"'
    assert {word for line in lines[2:-1] for word in line.split()} == set(mapping.values())


def test_crates_come_from_the_library_s_own_address_unless_another_is_named(tmp_path: Path) -> None:
    crate = FileCrate("serde", "1.0.200", "0" * 64)
    assert Place(tmp_path).uri(crate) == crate.download_url
    other = Place(tmp_path, "https://example.org/crates/")
    assert other.uri(crate) == "https://example.org/crates/serde/1.0.200/download"
