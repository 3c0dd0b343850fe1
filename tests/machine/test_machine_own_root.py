"""Machines with a root of their own: what is in it, and that it is what emerge --root makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stock_emerge
from own import BINARY, MINIMAL, TOML, prepared
from tests import containers
from tests.support import Store

from cloche.layers import compare

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Built:
    """The machine ``own`` of the project, built from nothing but its seed."""

    store: Store
    place: Path
    machine: stock_emerge.Machine

    def plan(self, machine: str = "own") -> Mapping[str, Mapping[str, Any]]:
        """Its packages by their id."""
        told = self.store.cloche("plan", machine, "--json", cwd=self.place, check=True)
        return {each["id"]: each for each in json.loads(told.stdout)["packages"]}

    def shell(self, *command: str) -> str:
        """What a command says in the machine's root."""
        told = self.store.cloche("shell", "own", "--", *command, cwd=self.place, check=True)
        return told.stdout


@pytest.fixture(scope="module")
def built(root_seeded: Store, ground: Path) -> Iterator[Built]:
    """The machine, built from nothing but its seed."""
    parent = ground / "own-root"
    parent.mkdir()
    store = root_seeded.copy(parent / "store")
    place = prepared(store)
    store.cloche("build", "own", cwd=place, check=True)
    yield Built(store, place, stock_emerge.machine_of(store, "own"))
    shutil.rmtree(parent)


def test_each_dependency_is_in_the_root_where_portage_looks_for_it(built: Built) -> None:
    plan = built.plan()
    roots = {name: each["root"] for name, each in plan.items()}
    tool, greet = "dev-util/twice-1::own@broot", "app-misc/greet-1::own"
    assert [name for name, root in roots.items() if root == "seed"] == [tool]
    assert not plan[tool]["member"]
    assert all(plan[name]["member"] for name in roots if name != tool)
    assert set(plan[greet]["visible"]["build"]) >= {tool, "dev-libs/leaf-1::own"}
    # Undeclared, but the C library is there, and the links of /usr; what is neither is not.
    undeclared = {"sys-libs/glibc-2.36::own", "sys-apps/baselayout-1::own"}
    assert undeclared <= set(plan["dev-libs/leaf-1::own"]["visible"]["build"])
    assert tool not in plan["dev-libs/leaf-1::own"]["visible"]["build"]


def test_the_plan_says_for_which_root_each_package_is(built: Built) -> None:
    told = built.store.cloche("plan", "own", cwd=built.place, check=True).stdout
    (line,) = (line for line in told.splitlines() if "over the seed" in line)
    assert "dev-util/twice-1::own" in line


def test_its_programs_run_in_it(built: Built) -> None:
    assert built.shell("greet") == "hellohello of leaf\n"
    assert built.shell("cat", "/etc/greeted") == "later\n"  # no ld.so.cache yet when it was merged


def test_portage_finds_no_fault_with_the_pkg_config_files_it_installs(built: Built) -> None:
    told = built.store.cloche("log", "dev-libs/leaf", cwd=built.place, check=True).stdout
    assert ">>> Completed installing dev-libs/leaf" in told
    assert "QA Notice" not in told


def test_nothing_of_the_seed_is_in_it(built: Built) -> None:
    names = {
        str(path.relative_to(layer))
        for layer in built.machine.stack
        for path in layer.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    assert {"usr/bin/greet", "var/lib/portage/.keep_sys-apps_baselayout-0"} <= names
    assert not [name for name in names if name.endswith(("bin/twice", "bin/dpkg", "bin/python3"))]
    assert not [name for name in names if name.startswith("target")]
    owned = {
        line.split(" ")[1].lstrip("/")
        for layer in built.machine.layers
        for file in layer.glob("var/db/pkg/*/*/CONTENTS")
        for line in file.read_text().splitlines()
        if not line.startswith("dir ")
    }
    generated = ("etc/portage/", "var/db/pkg/", "var/cache/edb/", "var/lib/portage/")
    rest = {n for n in names - owned if not n.startswith(generated)}
    assert rest == {
        "etc/greeted", "etc/csh.env", "etc/environment.d/10-gentoo-env.conf", "etc/ld.so.cache",
        "etc/ld.so.conf", "etc/profile.env",
    }  # fmt: skip


def test_nothing_names_the_place_where_it_was_built(built: Built) -> None:
    for layer in built.machine.layers:
        for path in layer.rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert b"/target/" not in path.read_bytes(), path


def test_the_tarball_is_the_root(built: Built, ground: Path) -> None:
    root = ground / "own-unpacked"
    root.mkdir()
    subprocess.run(
        ["tar", "--extract", "--file", built.place / "out/own/stage4.tar.zst", "--directory", root,
         "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-permissions"],
        check=True,
    )  # fmt: skip
    ran = subprocess.run(
        ["chroot", root, "/usr/bin/greet"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "hellohello of leaf\n"
    comparison = compare(list(built.machine.stack), root)
    assert comparison.equal, comparison.text()
    shutil.rmtree(root)


def test_a_minimal_root_has_nothing_that_nothing_in_it_reads(built: Built) -> None:
    atoms = ["app-misc/greet", "sys-apps/baselayout"]
    toml = TOML.format(atoms=atoms, more=MINIMAL).replace('"own"', '"minimal"', 1)
    (built.place / "machines/least.toml").write_text(toml)
    built.store.cloche("build", "least", cwd=built.place, check=True)
    archive = built.place / "out/least/greet.oci.tar"
    assert archive.stat().st_size < 6_000_000
    with tarfile.open(archive) as image:
        largest = max(image, key=lambda member: member.size)
        with tarfile.open(fileobj=image.extractfile(largest)) as layer:
            names = {each.name for each in layer if not each.isdir()}
    assert {name for name in names if name.startswith("etc/")} == {
        # Of glibc: what its loader and resolver read. Of baselayout: accounts. Of a hook.
        *("etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.conf.d/libc.conf"),
        *("etc/ld.so.conf.d/x86_64-linux-gnu.conf", "etc/gai.conf", "etc/default/nss"),
        *("etc/bindresvport.blacklist", "etc/passwd", "etc/group", "etc/greeted"),
    }
    assert not [name for name in names if name.startswith(("var/", "usr/include/", "dev/"))]
    assert not [name for name in names if name.endswith((".a", ".pc", ".h"))]
    with containers.loaded(archive, "least:latest") as podman:
        assert podman(*containers.RUN, "least:latest") == "hellohello of leaf\n"
    told = built.store.cloche("audit", "least", "--json", cwd=built.place, check=True)
    assert json.loads(told.stdout)["unmet"] == []


def test_binary_packages_alone_need_no_ebuilds_and_what_they_lack_is_told_before(
    built: Built,
) -> None:
    place, host = built.place.parent / "binary", built.place.parent / "host"
    shutil.copytree(built.place, place, ignore=shutil.ignore_patterns("*.ebuild", "out"))
    shutil.copytree(built.place / "out/own/binpkgs", host)
    with (place / "cloche.toml").open("a") as file:
        file.write(f'\n[binrepos.built]\nsync_uri = "{host}"\nverify_signature = false\n')
    (place / "machines/binary.toml").write_text(BINARY)

    def run(index: str, *words: str) -> subprocess.CompletedProcess[str]:
        (host / "Packages").write_text(index)
        built.store.cloche("repo", "sync", "built", cwd=place, check=True)
        return built.store.cloche(*words, "binary", cwd=place)

    index = (host / "Packages").read_text()
    lacking = "CPV: sys-devel/gcc-12\nIDEPEND: sys-apps/locale-gen"
    told = run(index.replace("CPV: sys-devel/gcc-12", lacking), "build")
    assert told.returncode == 2
    assert "a dependency cannot be satisfied: sys-apps/locale-gen; add a binary package" in (
        told.stderr
    )
    split = "CPV: sys-devel/gcc-12\nIUSE: split-usr\nUSE: split-usr"
    told = run(index.replace("CPV: sys-devel/gcc-12", split), "build")
    assert told.returncode == 2
    assert "the binary package of sys-devel/gcc-12 was built with other USE flags: " in told.stderr
    assert not (place / "out").exists()
    told = run(index, "plan", "--json")
    fates = {each["cpv"]: each["fate"] for each in json.loads(told.stdout)["packages"]}
    assert len(fates) == 5
    assert not {"build", "rebuild"} & set(fates.values()), fates
    assert run(index, "build").returncode == 0
    told = built.store.cloche("shell", "binary", "--", "greet", cwd=place, check=True)
    assert told.stdout == "hellohello of leaf\n"


def test_it_is_what_emerge_makes_in_a_root_of_the_same_packages(built: Built, ground: Path) -> None:
    """Stock Portage, in a chroot of the same seed: ``emerge --root --sysroot``."""
    root = ground / "own-emerged"
    told = stock_emerge.emerge_beside(
        root, built.store, built.machine, [built.place / "repo"], built.place / "out/own/binpkgs",
        ["app-misc/greet", "app-shells/dash"],
    )  # fmt: skip
    stock_emerge.assert_only_binary_packages(told, 6)
    stock_emerge.assert_same_root(stock_emerge.Machine((), built.machine.layers), root / "own")
    shutil.rmtree(root)


HOOKED = """EAPI=8
DESCRIPTION="Its hook forgets the root"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
S="${{WORKDIR}}"
pkg_postinst() {{ {hook} || die; }}
"""
OUTSIDE = {
    "file": ("echo here > /etc/outside", "/etc/outside"),
    "empty-directory": ("mkdir -p /srv/new", "/srv/new"),
    "link-to-a-directory": ("ln -s /usr /opt/link", "/opt/link"),
    "mode-of-a-directory": ("chmod 0700 /srv", "/srv"),
    "removed": ("rm /usr/bin/xz", "/usr/bin/xz"),
    # Outside of the sandbox, /tmp is the host's.
    "root-replaced": (
        "cp -a /target /tmp/own && rm -r /target && ln -s tmp/own /target",
        "/target",
    ),
}


def test_a_hook_that_changes_something_outside_of_the_root_fails(built: Built) -> None:
    for name, (hook, _) in OUTSIDE.items():
        new_package(built, f"app-misc/{name}", HOOKED.format(hook=hook))
    new_package(built, "app-misc/within", HOOKED.format(hook="echo here > /tmp/x"))
    atoms = [f"app-misc/{name}" for name in (*OUTSIDE, "within")]
    (built.place / "machines/outside.toml").write_text(TOML.format(atoms=atoms, more=""))
    told = built.store.cloche("build", "outside", "--keep-going", cwd=built.place)
    assert told.returncode == 1
    for name, (_, path) in OUTSIDE.items():
        said = f"app-misc/{name}-1::own: merge failed: wrote outside of the new root: {path}\n"
        assert said in told.stderr
    assert "must put ${ROOT} in front of paths" in told.stderr
    assert f"cloche: {len(OUTSIDE)} failed: " in told.stderr
    # Neither the seed nor a layer has changed: each is compared with its digest.
    built.store.cloche("store", "verify", cwd=built.place, check=True)


def new_package(built: Built, name: str, text: str) -> None:
    """Add an ebuild of version 1 to the project's repository."""
    ebuild = built.place / "repo" / name / f"{name.partition('/')[2]}-1.ebuild"
    ebuild.parent.mkdir()
    ebuild.write_text(text)
    (ebuild.parent / "Manifest").touch()


def test_build_dependencies_are_kept_where_the_machine_says_so(built: Built) -> None:
    toml = TOML.format(atoms=["app-misc/greet"], more="with_build_deps = true")
    (built.place / "machines/builder.toml").write_text(toml)
    plan = built.plan("builder")
    assert plan["dev-util/twice-1::own"]["member"]
    assert plan["dev-util/twice-1::own"]["root"] == "own"


def test_what_a_debian_seed_has_counts_for_builds_only_where_it_is_not_in_the_result(
    built: Built,
) -> None:
    asked = ["app-arch/xz-utils-5.8.3::own", "virtual/libcrypt-2::own", "app-misc/asks-1::own"]
    own = TOML.format(atoms=["app-misc/asks"], more="")
    (built.place / "machines/whole.toml").write_text(own)
    built.store.cloche("build", "whole", cwd=built.place, check=True)
    assert set(built.plan("whole")) == {asked[-1]}
    on_the_seed = own.replace('root = "own"\n', "")
    (built.place / "machines/part.toml").write_text(on_the_seed)
    assert set(built.plan("part")) == set(asked)


def test_a_machine_without_portage_is_refused_as_a_seed(built: Built) -> None:
    told = built.store.cloche("seed", "add", "machine", "own", cwd=built.place)
    assert told.returncode == 2
    said = "[seeds.own]: machine own cannot be a seed: it has no /bin/bash; add bash, Python and "
    assert said in told.stderr
    assert "seeds.own" not in (built.place / "cloche.toml").read_text()


def test_a_new_project_with_a_repository_that_has_a_c_library(built: Built) -> None:
    """`cloche init` gives its machine a root of its own, and that builds."""
    complete = built.place / "repo/profiles/complete"
    complete.mkdir()
    (complete / "parent").write_text("../default\n")
    (complete / "packages").write_text("*sys-apps/baselayout\n*sys-libs/glibc\n*app-shells/dash\n")
    new = built.place.parent / "new"
    words = ("init", new, "--repo", built.place / "repo", "--profile", "own:complete")
    told = built.store.cloche(*words, cwd=built.place.parent, check=True)
    assert 'root = "own": @system of own:complete has a C library and ' in told.stdout
    built.store.cloche("build", "first", cwd=new, check=True)
    told = built.store.cloche("shell", "first", "--", "greeting", cwd=new, check=True)
    assert told.stdout == "Hello from under the cloche\n"
    built.store.cloche("audit", "first", cwd=new, check=True)


def test_a_shell_is_the_one_that_the_root_has(built: Built) -> None:
    told = built.store.cloche("shell", "own", cwd=built.place, stdin="echo $0; exit 7\n")
    assert (told.returncode, told.stdout) == (7, "/bin/sh\n")
    toml = TOML.format(atoms=["dev-libs/leaf"], more="")
    (built.place / "machines/shellless.toml").write_text(toml)
    built.store.cloche("build", "shellless", cwd=built.place, check=True)
    told = built.store.cloche("shell", "shellless", cwd=built.place)
    assert told.returncode == 2
    assert "machine shellless: its root has none of /bin/bash, /bin/sh; add a " in told.stderr


def test_a_package_in_both_roots_is_told_apart(built: Built) -> None:
    (built.place / "machines/both.toml").write_text(
        TOML.format(atoms=["app-misc/greet", "dev-util/twice"], more="")
    )
    told = built.store.cloche("build", "both", cwd=built.place, check=True)
    assert "] built    dev-util/twice-1  " in told.stderr
    assert "] reused   dev-util/twice-1@broot\n" in told.stderr
    for name in ("dev-util/twice", "dev-util/twice@broot"):
        for command in ("log", "history", "why"):
            built.store.cloche(command, name, cwd=built.place, check=True)
    shell = ("shell", "both", "--package")
    told = built.store.cloche(*shell, "dev-util/twice@broot", "--", "true", cwd=built.place)
    assert told.stderr.endswith("is visible\n")
    told = built.store.cloche(*shell, "app-misc/greet", "--", "twice", "x", cwd=built.place)
    assert told.stderr.endswith("is visible; the machine's root is /target\n")
    assert told.stdout == "xx"
    told = built.store.cloche("history", "dev-util/twice@broot", cwd=built.place, check=True)
    (line,) = told.stdout.splitlines()
    assert "  dev-util/twice-1@broot  new layer" in line


def test_an_audit_finds_nothing_missing_and_every_file_owned(built: Built) -> None:
    told = built.store.cloche("audit", "own", "--json", cwd=built.place, check=True)
    found = json.loads(told.stdout)
    assert found["passed"]
    assert (found["unmet"], found["unowned"]) == ([], [])
    assert found["programs"] > 50
    assert found["written"] == [{"package": "app-misc/greet-1", "path": "/etc/greeted"}]
    told = built.store.cloche("audit", "own", cwd=built.place, check=True)
    assert "hook     /etc/greeted (app-misc/greet-1)" in told.stdout


def test_what_names_the_system_of_the_seed_is_listed_with_its_place(built: Built) -> None:
    """The project's C library is Debian's own files."""
    told = built.store.cloche("audit", "own", "--names", "Debian", "--json", cwd=built.place)
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert not found["passed"]
    assert (found["unmet"], found["unowned"]) == ([], [])
    named = {each["path"]: each for each in found["names"]["found"]}
    program = {"package": "sys-libs/glibc-2.36", "places": [".rodata"], "more": 0}
    assert named["/usr/bin/getconf"] == {"path": "/usr/bin/getconf", **program}
    assert named["/usr/share/debianutils"]["places"] == ["path"]
    every = [word for path in named for word in ("--except", path)]
    told = built.store.cloche(
        "audit", "own", "--names", "debian", *every, "--except", "/opt/*", cwd=built.place,
        check=True,
    )  # fmt: skip
    assert "note     --except /opt/*: no file with “debian” needs it" in told.stdout
    assert f"“debian”: 0 files, {len(named)} excepted" in told.stdout
    told = built.store.cloche("audit", "own", "--except", "/opt/*", cwd=built.place)
    assert told.returncode == 2
    assert "--except only has an effect with --names" in told.stderr


def test_what_programs_need_and_the_root_lacks_is_named_with_who_brings_it(built: Built) -> None:
    ebuild = built.place / "repo/app-misc/greet/greet-1.ebuild"
    orphan = ebuild.parent / "greet-2.ebuild"
    text = ebuild.read_text().replace("\tdev-libs/leaf:=\n", "")
    orphan.write_text(text.replace('"${RDEPEND}"', '"${RDEPEND} dev-libs/leaf"'))
    toml = TOML.format(atoms=["=app-misc/greet-2", "app-shells/dash"], more="")
    (built.place / "machines/orphan.toml").write_text(toml)
    told = built.store.cloche("build", "orphan", cwd=built.place)
    assert told.returncode == 2
    (line,) = (each for each in told.stderr.splitlines() if each.startswith("cloche: "))
    assert "machine orphan: programs need what the root lacks: " in line
    assert "/usr/bin/greet of app-misc/greet-2 the library libleaf.so.1" in line
    assert "dev-libs/leaf" in line
    assert "RDEPEND of app-misc/greet" in line
    assert not (built.place / "out/orphan/stage4.tar.zst").exists()
    told = built.store.cloche("audit", "orphan", cwd=built.place)
    assert told.returncode == 2  # it is not finished
    (built.place / "machines/orphan.toml").unlink()
    orphan.unlink()


SCRIPT = """EAPI=8
DESCRIPTION="A script for a shell that the root may lack"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
RDEPEND="sys-libs/glibc"
S="${WORKDIR}"
src_install() {
	newbin - say <<< "#!/bin/bash"
	newbin - env-sh <<< "#!/usr/bin/env sh"
	newbin - plain <<< "#!/bin/sh"
}
"""


def test_what_only_the_seed_has_is_named_for_gentoo_and_a_program_can_be_left_out(
    built: Built,
) -> None:
    new_package(built, "app-misc/script", SCRIPT)
    new_package(built, "app-shells/bash", "EAPI=8\nSLOT=0\n")
    toml = TOML.format(atoms=["app-misc/script", "app-shells/dash"], more="")
    (built.place / "machines/script.toml").write_text(toml)
    told = built.store.cloche("build", "script", cwd=built.place)
    assert told.returncode == 2, told.stderr
    (line,) = (each for each in told.stderr.splitlines() if each.startswith("cloche: "))
    assert "/usr/bin/say of app-misc/script-1 the interpreter /bin/bash; add " in line
    assert "add app-shells/bash, a package with /usr/bin/env to `packages`" in line
    assert "/usr/bin/plain" not in told.stderr
    assert "only the seed has it: /bin/bash, of app-shells/bash" in told.stderr
    fragment = built.place / "portage/fewer"
    (fragment / "env").mkdir(parents=True)
    (fragment / "env/quiet").write_text('INSTALL_MASK="/usr/bin/say /usr/bin/env-sh"\n')
    (fragment / "package.env").write_text("app-misc/script quiet\n")
    masked = toml.replace('["base"]', '["base", "fewer"]')
    (built.place / "machines/script.toml").write_text(masked)
    built.store.cloche("build", "script", cwd=built.place, check=True)
    told = built.store.cloche("audit", "script", cwd=built.place, check=True)
    assert "0 unmet, 0 unowned" in told.stdout
    for name in ("app-misc/script", "app-shells/bash"):
        shutil.rmtree(built.place / "repo" / name)
    (built.place / "machines/script.toml").unlink()
