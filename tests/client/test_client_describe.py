"""What the client says of a machine, and what it keeps to itself."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from target_root import LIBRARY, Target
from tests.client.handed_out import TEXT, client
from tests.support import cannot

import portage
from cloche.targets import description as service
from cloche.targets.repositories import digest_of_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE = {
    "format": 1, "portage": "3.0.83", "arch": "amd64", "chost": "x86_64-pc-linux-gnu",
    "profile": "gentoo:default", "symbols": {"GLIBC": "2.36"}, "native": "",
    "repositories": {"gentoo": {"commit": COMMIT}}, "make_conf": {"USE": "a"},
    "files": {"package.use/x": "a/b c\n"}, "world": ["a/b"], "world_sets": [],
    "packages": {"a/b-1": {"SLOT": "0\n", "EAPI": "8\n"}, "a/c-1": {"SLOT": "0\n", "EAPI": "8\n"}},
}  # fmt: skip


def described(target: Target, *arguments: str) -> service.Description:
    return service.decode_description(target.client("describe", *arguments).encode())


def test_the_file_needs_nothing_but_the_standard_library_and_portage() -> None:
    tree = ast.parse(TEXT, feature_version=(3, 9))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {
        "portage",
        "_emerge",
    }


def python(version: str) -> str | None:
    """A Python of this version, also one of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [
        shutil.which(f"python{version}", path=os.defpath),
        *pyenv.glob(f"{version}.*/bin/python"),
    ]
    return next((str(path) for path in found if path), None)


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_other_versions_of_python_describe_a_machine(version: str, tmp_path: Path) -> None:
    found = python(version)
    if found is None:
        cannot(f"Python {version} is not installed")
    for path, text in LIBRARY.items():
        file = tmp_path / "repo" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    etc = tmp_path / "etc/portage"
    (etc / "repos.conf").mkdir(parents=True)
    (etc / "make.profile").symlink_to(tmp_path / "repo/profiles/default")
    conf = f"[DEFAULT]\nmain-repo = gentoo\n[gentoo]\nlocation = {tmp_path}/repo\n"
    (etc / "repos.conf/gentoo.conf").write_text(conf)
    file = tmp_path / "cloche-client"
    file.write_text(TEXT)
    words = [str(found), "-B", str(file), "describe"]
    environment = {"PATH": os.defpath, "PORTAGE_CONFIGROOT": str(tmp_path)}
    alone = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert alone.returncode == 3
    assert "does not have Portage: " in alone.stderr
    environment["PYTHONPATH"] = str(Path(portage.__file__).parent.parent)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert service.decode_description(done.stdout.encode()).profile == "gentoo:default"


@pytest.mark.real
def test_the_service_understands_the_description_of_a_real_root(target: Target) -> None:
    target.install("sys-libs/zlib-1.3", PROVIDES="x86_64: libz.so.1\n", CONTENTS="obj /x 1 2\n")
    target.install("sys-libs/-MERGING-zlib-1.4")
    target.write("var/db/pkg/sys-libs/broken-1/EAPI", "8\n")
    target.write("var/db/pkg/sys-libs/old-1/SLOT", "0\n")
    target.write("etc/portage/make.conf", 'CFLAGS="${CFLAGS} -march=native"\nsource more\n')
    target.write("etc/portage/more", 'USE="nls"\n__mine="x"\nMAKEOPTS="-j9"\nEXTRA="$USE doc"\n')
    target.write("var/lib/portage/world", "app-misc/tool\n")
    found = described(target)
    assert (found.arch, found.chost, found.portage) == ("amd64", "x86_64-pc-linux-gnu", "3.0.83")
    assert found.profile == "gentoo:default"
    assert found.make_conf == {
        "CFLAGS": "-O2 -pipe -march=native", "USE": "nls", "EXTRA": "nls doc",
    }  # fmt: skip
    assert "-march=" in found.native
    assert "native" not in found.native
    assert found.symbols["GLIBC"] == "2.36"
    assert found.symbols["GLIBCXX"].startswith("3.4.")
    assert found.world == ("app-misc/tool",)
    assert set(found.packages) == {"sys-libs/zlib-1.3", "sys-libs/old-1"}
    zlib = {"SLOT", "EAPI", "USE", "repository", "PROVIDES"}
    assert set(found.packages["sys-libs/zlib-1.3"]) == zlib
    assert found.packages["sys-libs/old-1"]["EAPI"] == "0\n"


@pytest.mark.real
def test_both_sides_know_a_description_by_the_same_digest(target: Target) -> None:
    target.install("sys-libs/zlib-1.3")
    target.write("etc/portage/package.use/ümlaut", "sys-libs/zlib ünicode\n")
    text = target.client("describe").strip()
    assert client.digest(json.loads(text)) == service.digest(
        service.decode_description(text.encode())
    )


@pytest.mark.real
def test_secrets_stay_here(target: Target) -> None:
    secret = "hunter2"
    names = (
        "FETCHCOMMAND_HTTPS", "http_proxy", "PORTAGE_BINHOST", "GENTOO_MIRRORS", "DISTDIR",
        "PORTAGE_ELOG_MAILURI", "MY_PASSWORD", "SSH_KEY", "BINPKG_GPG_SIGNING_KEY", "GOPROXY",
        "PORTAGE_REPOSITORIES", "DEPLOY_TOKEN", "MAIL_PASS",
    )  # fmt: skip
    variables = "".join(f'{name}="{secret}"\n' for name in names)
    target.write("etc/portage/make.conf", f'{variables}SOURCE="https://me:{secret}@host/"\nUSE="x"')
    for name in (
        "gnupg/key", "binrepos.conf/host.conf", "repo.postsync.d/hook", "postsync.d/hook",
        "mirrors", "savedconfig/a/b", ".git/config", "package.use/.hidden", "package.use/old~",
        "notes",
    ):  # fmt: skip
        target.write(f"etc/portage/{name}", secret)
    target.write(
        "etc/portage/repos.conf/gentoo.conf",
        f"[DEFAULT]\nmain-repo = gentoo\n[gentoo]\nlocation = /var/db/repos/gentoo\npriority = 5\n"
        f"sync-uri = https://me:{secret}@host/gentoo.git\n",
    )
    text = target.client("describe", http_proxy=f"http://me:{secret}@proxy/")
    assert secret not in text
    found = service.decode_description(text.encode())
    assert found.make_conf == {"USE": "x"}
    conf = "[DEFAULT]\nmain-repo = gentoo\n\n[gentoo]\npriority = 5\n"
    assert found.files == {"repos.conf": conf}
    assert secret in target.client("describe", "--savedconfig")


@pytest.mark.real
def test_what_builds_read_is_sent(target: Target) -> None:
    for name in (
        "patches/a/b/fix.patch", "bashrc", "env/lto.conf", "package.env", "package.use/main",
        "profile/package.use.mask", "sets/mine", "hooks/x",
    ):  # fmt: skip
        target.write(f"etc/portage/{name}", f"text of {name}\n")
    target.write("elsewhere/package.mask", "a/b\n")
    (target.place / "upper/etc/portage/package.mask").symlink_to("/elsewhere/package.mask")
    (target.place / "upper/etc/portage/patches/loop").symlink_to("../patches")
    (target.place / "upper/etc/portage/patches/latin").write_bytes(b"+\xe9\n")
    told = target.client("describe", check=False)
    assert "/etc/portage/patches/latin is left out: it is not UTF-8 text" in told
    files = json.loads(told.splitlines()[0])["files"]
    assert set(files) == {
        "patches/a/b/fix.patch", "bashrc", "env/lto.conf", "package.env", "package.use/main",
        "profile/package.use.mask", "sets/mine", "hooks/x", "package.mask",
    }  # fmt: skip


@pytest.mark.real
def test_a_profile_outside_of_repositories_is_refused(target: Target) -> None:
    link = target.place / "upper/etc/portage/make.profile"
    link.unlink()
    target.write("etc/portage/make.profile/parent", "gentoo:default\n")
    assert described(target).profile == "gentoo:default"
    target.write("etc/portage/make.profile/package.use", "a/b c\n")
    told = target.client("describe", check=False)
    assert "/etc/portage/make.profile is not a profile of a repository: link it" in told
    assert told.endswith("exit 2")


def test_a_commit_is_read_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/master\n")
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/master\n")
    assert client.synced_state(tmp_path) == {"commit": COMMIT}
    (git / "refs/heads/master").write_text("f" * 40 + "\n")
    assert client.synced_state(tmp_path) == {"commit": "f" * 40}
    (git / "HEAD").write_text(COMMIT)
    assert client.synced_state(tmp_path) == {"commit": COMMIT}


def test_git_agrees_also_in_a_linked_work_tree(tmp_path: Path) -> None:
    main = tmp_path / "main"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(main)]
    subprocess.run(["git", "init", "-q", str(main)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "linked")], check=True)
    said = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    for place in (main, tmp_path / "linked"):
        assert client.git_commit(place) == said.stdout.strip()


def test_the_time_of_an_rsync_is_read(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/timestamp.chk").write_text("Wed, 04 Nov 2026 00:00:01 +0000\n")
    assert client.synced_state(tmp_path) == {"timestamp": "Wed, 04 Nov 2026 00:00:01 +0000"}
    (tmp_path / "Manifest").write_text("MANIFEST x 1 SHA512 0\nTIMESTAMP 2026-11-04T00:00:01Z\n")
    assert client.synced_state(tmp_path) == {"timestamp": "2026-11-04T00:00:01Z"}


def test_the_digest_of_a_small_repository_is_that_of_its_sha256sums(tmp_path: Path) -> None:
    for name, text in (
        ("b/x.ebuild", "x"),
        ("a", "y"),
        (".hidden/z", "z"),
        (".hidden-file", "z"),
        ("metadata/md5-cache/q", ""),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    listing = client.list_small(tmp_path)
    assert listing is not None
    sums = "cd $0 && find a b -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.run(["sh", "-c", sums, tmp_path], capture_output=True, text=True, check=True)
    assert client.digest_of_tree(tmp_path, [p for p, *_ in listing]) == said.stdout.split()[0]
    assert digest_of_files(tmp_path) == said.stdout.split()[0]
    for number in range(client.SMALL_REPOSITORY):
        (tmp_path / f"b/{number}").touch()
    assert client.list_small(tmp_path) is None


def test_an_entry_is_read_again_only_after_it_changed(tmp_path: Path) -> None:
    entry = tmp_path / "a/b-1"
    entry.mkdir(parents=True)
    for name in ("SLOT", "EAPI"):
        (entry / name).write_text("0\n")
    packages, stamps = client.read_vdb(tmp_path, client.Memory())
    assert stamps == {}, "a later change could leave the same time"
    os.utime(entry, ns=(0, time.time_ns() - 10**10))
    packages, stamps = client.read_vdb(tmp_path, client.Memory())
    remembered = client.Memory({"a/b-1": {"SLOT": "remembered"}}, stamps)
    assert client.read_vdb(tmp_path, remembered)[0] == {"a/b-1": {"SLOT": "remembered"}}
    os.utime(entry, ns=(0, time.time_ns() - 5 * 10**9))
    assert client.read_vdb(tmp_path, remembered)[0] == packages


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ({}, None),
        ({"arch": "arm64"}, ({"arch": "arm64"}, {}, {})),
        ({"world": []}, ({"world": []}, {}, {})),
        ({"files": {}}, ({}, {}, {"files": ["package.use/x"]})),
        ({"make_conf": {"USE": "b"}}, ({}, {"make_conf": {"USE": "b"}}, {})),
        (
            {"packages": {"a/b-1": BASE["packages"]["a/b-1"], "a/d-1": {"SLOT": "1", "EAPI": "7"}}},
            ({}, {"packages": {"a/d-1": {"SLOT": "1", "EAPI": "7"}}}, {"packages": ["a/c-1"]}),
        ),
    ],
)
def test_a_change_leads_the_service_to_the_new_description(new, expected) -> None:
    whole = {**BASE, **new}
    change = client.change(BASE, whole)
    if expected is None:
        assert change == {}
        return
    assert (change["fields"], change["entries"], change["removed"]) == expected
    before = service.decode_description(client.encode(BASE))
    after = service.changed(before, service.decode_change(json.dumps(change).encode()))
    assert service.digest(after) == client.digest(whole)


ENTRIES = some.fixed_dictionaries({"SLOT": some.sampled_from("01"), "EAPI": some.just("8")})
DESCRIPTIONS = some.fixed_dictionaries(
    {
        "packages": some.dictionaries(some.sampled_from(["a/b-1", "a/b-2", "a/c-1"]), ENTRIES),
        "files": some.dictionaries(some.sampled_from(["package.use", "env/x", "env/ü"]),
                                   some.text(max_size=3).filter(lambda text: "\0" not in text)),
        "make_conf": some.dictionaries(some.sampled_from(["USE", "CFLAGS"]), some.just("x")),
        "repositories": some.dictionaries(some.just("gentoo"),
                                          some.sampled_from([{}, {"commit": "1"}])),
        "world": some.lists(some.sampled_from(["a/b", "a/c"]), max_size=2),
        "native": some.sampled_from(["", "-march=x"]),
    }
)  # fmt: skip


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_every_change_leads_there(old: dict[str, Any], new: dict[str, Any]) -> None:
    old, new = {**BASE, **old}, {**BASE, **new}
    change = client.change(old, new)
    assert bool(change) == (old != new)
    before = service.decode_description(client.encode(old))
    assert service.digest(before) == client.digest(old)
    if change:
        after = service.changed(before, service.decode_change(client.encode(change)))
        assert service.digest(after) == client.digest(new)


@pytest.mark.parametrize("name", ["USE", "CFLAGS", "NGINX_MODULES_MAIL", "L10N", "FEATURES", "CC"])
def test_variables_of_builds_may_be_sent(name: str) -> None:
    assert client.may_be_sent(name, "value")


def test_flags_of_a_cpu_are_taken_from_the_compilers_own_command_line() -> None:
    line = (
        '/usr/libexec/cc1 -E -quiet /dev/null "-march=znver3" -mno-sgx --param "l1-cache-size=32"'
    )
    words = client.shlex.split(line)
    assert client.machine_flags(words) == "-march=znver3 -mno-sgx --param=l1-cache-size=32"
