"""From GitHub's answers to a repository: what is written, or refused with nothing written."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest
from tests.autogen.forge import MESON, NAME, Bench, git_archive, source
from tests.autogen.published import tarball

from cloche.errors import ClocheError, Exit

EBUILD = "app-misc/hello/hello-1.2.ebuild"
MESON_FILES = {
    "meson.build": """\
project('hello', 'c', version : '1.2', license : 'GPL-2.0-or-later',
  default_options : ['c_std=c11'])
glib_wanted = '>= 2.66'
glib = dependency('glib-2.0', version : glib_wanted)
dependency('gtk4', required : get_option('gui'))
if get_option('tests')
  dependency('cmocka')
endif
if host_machine.system() == 'windows'
  dependency('wintoast')
endif
scdoc = find_program('scdoc', native : true, required : get_option('man-pages'))
threads = dependency('threads')
cc.find_library('m', required : false)
""",
    "meson_options.txt": """\
option('gui', type : 'feature', value : 'auto', description : 'The window')
option('man-pages', type : 'feature', value : 'enabled', description : 'Manual pages')
option('tests', type : 'boolean', value : true)  # run them
option('prefix_dir', type : 'string', value : '/usr')
""",
}
EXPECTED = """\
EAPI=8

inherit meson

DESCRIPTION="Says hello"
HOMEPAGE="
	https://hello.example.org
	{address}/larry/hello
"

SRC_URI="{address}/larry/hello/releases/download/v${{PV}}/${{P}}.tar.xz"

LICENSE="GPL-2+"
SLOT="0"
KEYWORDS="~amd64"
IUSE="gui +man test"
RESTRICT="!test? ( test )"

RDEPEND="
	>=dev-libs/glib-2.66:2
	gui? (
		gui-libs/gtk:4
	)
	test? (
		dev-util/cmocka
	)
"
DEPEND="${{RDEPEND}}"
BDEPEND="
	virtual/pkgconfig
	man? (
		app-text/scdoc
	)
"

# autogen: own variables
# autogen: end

src_configure() {{
	local emesonargs=(
		$(meson_feature gui)
		$(meson_feature man man-pages)
		$(meson_use test tests)
	)
	meson_src_configure
}}

# autogen: own phases
# autogen: end
"""


def failed(bench: Bench, *words: str) -> ClocheError:
    before = bench.snapshot()
    done = bench.run(*words)
    assert isinstance(done.exception, ClocheError), (done.output, done.exception)
    assert bench.snapshot() == before
    assert not list(bench.repository.glob(".autogen*"))
    assert "\n" not in str(done.exception)
    return done.exception


def test_a_release_is_written_whole_and_a_second_run_changes_and_fetches_nothing(
    bench: Bench,
) -> None:
    bench.forge.release("v1.2")
    data = source("1.2", MESON_FILES)
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", data)
    bench.forge.asset("v1.2", "hello-1.2.tar.xz", data)
    bench.forge.asset("v1.2", "hello-1.2-linux-x86_64.tar.xz", b"programs")
    done = bench.run()
    assert done.exit_code == 0, (done.output, done.exception)
    expected = EXPECTED.format(address=bench.forge.address)
    assert bench.text(EBUILD).partition("\n\n")[2] == expected
    assert bench.text("app-misc/hello/Manifest").split() == [
        "DIST", "hello-1.2.tar.xz", str(len(data)),
        "BLAKE2B", hashlib.blake2b(data).hexdigest(),
        "SHA512", hashlib.sha512(data).hexdigest(),
    ]  # fmt: skip
    assert '<flag name="gui">The window</flag>' in bench.text("app-misc/hello/metadata.xml")
    before, asked = bench.snapshot(), len(bench.forge.asked)
    done = bench.run()
    assert "nothing has changed" in done.stderr
    assert bench.snapshot() == before
    assert {status for _, status, _ in bench.forge.asked[asked:]} == {304}


def test_a_tag_alone_has_the_archive_that_github_generates(bench: Bench) -> None:
    bench.forge.tag("v1.2-rc.3", {"meson.build": MESON})
    bench.forge.tag("nightly", {})
    error = failed(bench)
    assert "only pre-releases" in error.what
    done = bench.run("--prerelease", NAME)
    assert done.exit_code == 0, (done.output, done.exception)
    text = bench.text("app-misc/hello/hello-1.2_rc3.ebuild")
    page = f"{bench.forge.address}/larry/hello/archive/refs/tags"
    assert 'MY_PV="${PV/_rc/-rc.}"\n' in text
    assert f'SRC_URI="{page}/v${{MY_PV}}.tar.gz -> ${{P}}.gh.tar.gz"\n' in text
    assert 'S="${WORKDIR}/hello-${MY_PV}"\n' in text
    assert "DIST hello-1.2_rc3.gh.tar.gz " in bench.text("app-misc/hello/Manifest")


def test_drafts_and_pre_releases_do_not_count(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.release("v1.3", prerelease=True)
    bench.forge.release("v1.4-beta1")
    bench.forge.release("v1.5", draft=True)
    data = json.loads(bench.run(NAME, "--json", "--dry-run").stdout)
    assert data[0]["package"] == "app-misc/hello-1.2"
    data = json.loads(bench.run(NAME, "--json", "--dry-run", "--prerelease").stdout)
    assert data[0]["package"] == "app-misc/hello-1.4_beta1"
    assert bench.snapshot().keys() == {"profiles/repo_name", "metadata/layout.conf"}


def test_an_asset_of_programs_is_passed_over(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2", {"bin/hello": "elf"}))
    assert bench.run().exit_code == 0
    assert "archive/refs/tags/v${PV}.tar.gz -> ${P}.gh.tar.gz" in bench.text(EBUILD)


def test_all_pages_of_a_list_are_read(bench: Bench) -> None:
    bench.forge.page_size = 2
    for number in (9, 10, 1, 2, 3):
        bench.forge.release(f"v1.{number}")
    assert bench.run().exit_code == 0
    assert bench.text("app-misc/hello/hello-1.10.ebuild")


def test_a_tree_that_has_it_names_category_and_package(bench: Bench) -> None:
    there = bench.repository / "net-misc/hullo"
    there.mkdir(parents=True)
    (there / "metadata.xml").write_text('<remote-id type="github">Larry/Hello</remote-id>\n')
    bench.forge.release("v1.2")
    assert bench.run().exit_code == 0
    assert bench.text("net-misc/hullo/hullo-1.2.ebuild")


def test_a_moved_repository_and_an_archived_one_are_told(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.about["archived"] = True
    bench.forge.faults["/repos/moo/hello"] = (
        301, {"Location": f"{bench.forge.address}/repos/{NAME}"}, b"{}"
    )  # fmt: skip
    done = bench.run("moo/hello")
    assert "moo/hello is now larry/hello" in done.stderr
    assert "is archived" in done.stderr


def test_a_vanished_version_is_told(bench: Bench) -> None:
    bench.forge.release("v1.1")
    bench.run()
    bench.forge.releases.clear()
    bench.forge.tags.clear()
    bench.forge.release("v1.2")
    assert "larry/hello 1.1 is no longer published" in bench.run().stderr
    error = failed(bench, f"{NAME}@v1.1")
    assert (error.what, error.status) == ("the tag v1.1 is not published", Exit.BAD_INPUT)
    assert "did you mean v1.2?" in (error.todo or "")


def test_an_asset_that_changed_under_its_name_is_refused(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2"))
    bench.run()
    bench.forge.releases[0]["assets"].clear()
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2", {**MESON_FILES, "evil": "1"}))
    (kept,) = (bench.room / "dist").iterdir()
    before = kept.read_bytes()
    error = failed(bench)
    assert "has another content" in error.what
    assert error.status == Exit.FAILED
    assert kept.read_bytes() == before
    assert [*kept.parent.iterdir()] == [kept]


def test_a_moved_tag_is_refused(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.run()
    bench.forge.tag("v1.2", {"meson.build": MESON, "evil": "1"})
    (kept,) = (bench.room / "dist").iterdir()
    before = kept.read_bytes()
    assert "has another content" in failed(bench).what
    assert kept.read_bytes() == before
    assert [*kept.parent.iterdir()] == [kept]


def test_a_generated_archive_of_another_commit_is_refused_at_once(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.tags["v1.2"] = "0" * 40
    error = failed(bench)
    assert "does not have the commit of its tag" in error.what
    assert error.status == Exit.FAILED
    assert not list((bench.room / "dist").iterdir())


def test_a_generated_archive_that_names_no_commit_is_told(bench: Bench) -> None:
    bench.forge.release("v1.2")
    path = f"/{NAME}/archive/refs/tags/v1.2.tar.gz"
    bench.forge.files[path] = source("1.2")
    done = bench.run()
    assert done.exit_code == 0, done.output
    assert "hello-1.2.gh.tar.gz does not name its commit" in done.stderr


def test_a_whole_archive_that_a_killed_run_left_is_fetched_again(bench: Bench) -> None:
    """It may be of another time, before its tag was moved."""
    bench.forge.release("v1.2")
    (bench.room / "dist").mkdir()
    (bench.room / "dist/.hello-1.2.gh.tar.gz.part").write_bytes(git_archive("x", "0" * 40, {}))
    assert bench.run().exit_code == 0
    assert [path.name for path in (bench.room / "dist").iterdir()] == ["hello-1.2.gh.tar.gz"]


def test_an_asset_without_a_digest_is_told(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2"), digest=None)
    assert "GitHub states no digest of it" in bench.run().stderr


def test_an_asset_without_the_stated_digest_is_refused(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2"), digest=f"sha256:{'0' * 64}")
    assert "does not have the digest" in failed(bench).what
    assert not list((bench.room / "dist").glob("*"))


@pytest.mark.parametrize(
    ("member", "word"),
    [(tarfile.TarInfo("hello-1.2/../../etc/passwd"), "leads out"), ("bomb", "over the limit")],
)
def test_an_archive_that_is_a_trap_is_refused(
    bench: Bench, member: tarfile.TarInfo | str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.forge.release("v1.2")
    files = {"meson.build": MESON}
    if isinstance(member, str):
        monkeypatch.setattr("cloche.autogen.pypi.archive._BYTES", 1 << 16)
        files["zeros"] = "\0" * (1 << 17)
        data = source("1.2", files)
    else:
        data = tarball("hello-1.2", files, member)
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", data)
    error = failed(bench)
    assert word in error.what
    assert error.status == Exit.BAD_INPUT


def test_a_truncated_archive_is_refused(bench: Bench) -> None:
    bench.forge.release("v1.2")
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", source("1.2", MESON_FILES)[:-60])
    assert "corrupt or truncated" in failed(bench).what


def test_a_download_that_breaks_off_goes_on_where_it_was(bench: Bench) -> None:
    bench.forge.release("v1.2")
    made = io.BytesIO(source("1.2"))
    bench.forge.asset("v1.2", "hello-1.2.tar.gz", made.getvalue())
    path = f"/{NAME}/releases/download/v1.2/hello-1.2.tar.gz"
    bench.forge.faults[path] = "cut"
    assert bench.run().exit_code == 0
    assert [status for name, status, _ in bench.forge.asked if name == path] == [200, 206]


@pytest.mark.parametrize(
    ("spdx", "files", "named", "word"),
    [
        ("GPL-2.0", {}, "GPL-2", "later versions than GPL-2.0"),
        ("NOASSERTION", {"LICENSE": "Apache License\nVersion 2.0, January 2004"}, "Apache-2.0", ""),
        ("ISC", {"LICENSE": "Apache License\nVersion 2.0, January 2004"}, "ISC", ""),
    ],
)
def test_the_licence_is_what_github_recognises_else_the_text(
    bench: Bench, spdx: str, files: dict[str, str], named: str, word: str
) -> None:
    bench.forge.about["license"]["spdx_id"] = spdx
    bench.forge.release("v1.2", {"configure": "", **files})
    done = bench.run()
    assert f'LICENSE="{named}"\n' in bench.text(EBUILD)
    assert word in done.stderr


def test_without_a_licence_it_is_asked_for(bench: Bench) -> None:
    bench.forge.about["license"] = None
    bench.forge.release("v1.2", {"configure": ""})
    assert "--license" in (failed(bench).todo or "")
    assert bench.run(NAME, "--license", "MIT").exit_code == 0
