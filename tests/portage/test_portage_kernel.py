"""The repository that builds a machine's kernel: what it holds, and what its name says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cloche.config.errors import Origin
from cloche.config.kernel import Kernel
from cloche.config.kernel_files import ConfigFile
from cloche.config.kernel_signing import FRAGMENT as FRAGMENT_OF_SIGNING
from cloche.config.kernel_signing import Signing
from cloche.config.secrets import Secret
from cloche.config.sets import Asked
from cloche.portage.kernel import KMOD, Sources, kernel_repository

WHERE = Origin(Path("/p/machines/web.toml"), 7)
FRAGMENT = ConfigFile("kernel/net.config", Path("/p/kernel/net.config"), b"CONFIG_NET=y\n")
KERNEL = Kernel(
    WHERE,
    sources=Asked("sys-kernel/gentoo-sources[experimental]", WHERE),
    target="tinyconfig",
    fragments=(FRAGMENT,),
)
SOURCES = Sources("sys-kernel/gentoo-sources-6.12.58-r1", "amd64", frozenset({KMOD}))


def ebuild(
    kernel: Kernel, sources: Sources = SOURCES, of: str = "sys-kernel/cloche-kernel"
) -> tuple[str, str]:
    """The ebuild of a package: its name and text."""
    _, files = kernel_repository(kernel, sources, b"check")
    (found,) = (name for name in files if name.endswith(".ebuild") and name.startswith(f"{of}/"))
    return found, files[found].decode()


def test_the_kernel_has_the_version_of_its_sources_and_depends_on_just_these() -> None:
    name, text = ebuild(KERNEL)
    assert name == "sys-kernel/cloche-kernel/cloche-kernel-6.12.58-r1.ebuild"
    atom = "=sys-kernel/gentoo-sources-6.12.58-r1[experimental]"
    assert f'BDEPEND="{atom} sys-apps/kmod"\nIDEPEND="sys-apps/kmod"\nRDEPEND=""' in text
    assert 'KEYWORDS="amd64"' in text
    assert 'FRAGMENTS=( "project/kernel/net.config" )' in text
    assert not re.search(r"@[A-Z]+@", text)


def test_sources_that_stay_are_needed_at_run_time() -> None:
    _, text = ebuild(replace(KERNEL, keep_sources=True))
    assert 'RDEPEND="=sys-kernel/gentoo-sources-6.12.58-r1[experimental]"' in text


def test_packages_of_modules_are_led_to_what_they_are_built_against() -> None:
    name, text = ebuild(KERNEL, of="virtual/linux-sources")
    assert name == "virtual/linux-sources/linux-sources-99999.ebuild"
    assert 'RDEPEND="=sys-kernel/cloche-kernel-build-6.12.58-r1"' in text
    name, text = ebuild(KERNEL, of="sys-kernel/cloche-kernel-build")
    assert name == "sys-kernel/cloche-kernel-build/cloche-kernel-build-6.12.58-r1.ebuild"
    assert 'DEPEND="=sys-kernel/cloche-kernel-6.12.58-r1"' in text
    assert not re.search(r"@[A-Z]+@", text)


def test_masked_sources_are_left_to_portage() -> None:
    name, text = ebuild(KERNEL, Sources("", "amd64"))
    assert name.endswith("cloche-kernel-0.ebuild")
    assert 'BDEPEND="sys-kernel/gentoo-sources[experimental]"' in text


@pytest.mark.parametrize("version", ["6.18_rc3", "6.12.1", "5.10_p3-r2"])
def test_any_version_is_one_of_an_ebuild(version: str) -> None:
    name, _ = ebuild(KERNEL, replace(SOURCES, cpv=f"sys-kernel/git-sources-{version}"))
    assert name == f"sys-kernel/cloche-kernel/cloche-kernel-{version}.ebuild"


def test_equal_kernels_share_a_repository_and_no_others_do() -> None:
    elsewhere = replace(KERNEL, origin=Origin(Path("/q/machines/kiosk.toml"), 3))
    name, files = kernel_repository(KERNEL, SOURCES, b"check")
    assert kernel_repository(elsewhere, SOURCES, b"check") == (name, files)
    assert files["profiles/repo_name"] == f"{name}\n".encode()
    changed = replace(KERNEL, fragments=(replace(FRAGMENT, content=b"CONFIG_NET=m\n"),))
    others = [
        kernel_repository(changed, SOURCES, b"check")[0],
        kernel_repository(KERNEL, replace(SOURCES, cpv="a/b-6.12.59"), b"check")[0],
        kernel_repository(KERNEL, SOURCES, b"other check")[0],
    ]
    assert len({name, *others}) == 4


def test_files_of_a_project_are_apart_from_cloches_own() -> None:
    name, own = "cloche-check.py", Path("/p/x")
    signing = Signing(WHERE, Secret(WHERE), ConfigFile("cloche.signing", own, b"certificate"))
    config = ConfigFile(name, own, b"CONFIG_PCI=y\n")
    kernel = replace(KERNEL, config=config, target="", signing=signing)
    _, files = kernel_repository(kernel, SOURCES, b"check")
    place = "sys-kernel/cloche-kernel/files"
    assert {each: files[f"{place}/{each}"] for each in (name, f"project/{name}")} == {
        name: b"check",
        f"project/{name}": b"CONFIG_PCI=y\n",
    }
    assert files[f"{place}/cloche.signing"] == FRAGMENT_OF_SIGNING.content
    assert files[f"{place}/project/cloche.signing"] == b"certificate"
    _, text = ebuild(kernel)
    assert f'CONFIG="project/{name}"' in text
    assert 'FRAGMENTS=( "project/kernel/net.config" "cloche.signing" )' in text
    assert 'CERTIFICATE="project/cloche.signing"' in text
