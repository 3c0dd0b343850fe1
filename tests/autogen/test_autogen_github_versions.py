"""Tags as Gentoo's versions, and how an ebuild spells upstream's."""

from __future__ import annotations

import re

import pytest

from cloche.autogen.errors import RefusedError
from cloche.autogen.github.versions import spelled, version_of
from cloche.config.atoms import VERSION

NAMES = ("hello", "lib2geom")


@pytest.mark.parametrize(
    ("tag", "pv"),
    [
        ("1.2.3", "1.2.3"), ("v1.2.3", "1.2.3"), ("V1", "1"), ("hello-1.2.3", "1.2.3"),
        ("Hello_v1.2", "1.2"), ("hello/v1.2", "1.2"), ("release-1.2", "1.2"), ("r12", "12"),
        ("release/v1.2", "1.2"), ("version-1.2", "1.2"), ("lib2geom-1.2", "1.2"),
        ("hello-1_2_3", "1.2.3"), ("1.2.3-rc1", "1.2.3_rc1"), ("v1.2.3-rc.1", "1.2.3_rc1"),
        ("1.2RC2", "1.2_rc2"), ("1.2b3", "1.2_beta3"), ("1.2-alpha", "1.2_alpha"),
        ("1.2-beta.4", "1.2_beta4"), ("1.2-pre3", "1.2_pre3"), ("1.2p1", "1.2_p1"),
        ("1.2.post1", "1.2_p1"), ("1.1.1w", "1.1.1w"), ("2024.01.05", "2024.01.05"),
    ],
)  # fmt: skip
def test_a_tag_is_a_version(tag: str, pv: str) -> None:
    found = version_of(tag, NAMES)
    assert found.pv == pv
    assert re.fullmatch(VERSION, found.pv)


@pytest.mark.parametrize(
    "tag",
    ["nightly", "latest", "other-1.2", "1.2-1", "1.2.dev3", "1.2+build5", "2024-01-05",
     "v1.2-rc1-5", "1.2-linux", "1.x", "v", "", "1.2-SNAPSHOT", "deadbeef"],
)  # fmt: skip
def test_a_tag_without_an_exact_version_is_refused(tag: str) -> None:
    with pytest.raises(RefusedError) as caught:
        version_of(tag, NAMES)
    assert tag in caught.value.what


def test_a_named_tag_may_begin_with_anything() -> None:
    assert version_of("cli-tools/v1.2", NAMES, named=True).pv == "1.2"
    assert version_of("other2-1.2", NAMES, named=True).pv == "1.2"


@pytest.mark.parametrize(
    ("tag", "value", "reference"),
    [
        ("v1.2", None, "${PV}"),
        ("1.2-rc1", "${PV/_rc/-rc}", "${MY_PV}"),
        ("1.2rc1", "${PV/_rc/rc}", "${MY_PV}"),
        ("1.2-beta.1", "${PV/_beta/-beta.}", "${MY_PV}"),
        ("hello-1_2_3", "${PV//./_}", "${MY_PV}"),
        ("1_2_RC1", "1_2_RC1", "${MY_PV}"),
    ],
)
def test_an_ebuild_spells_upstreams_version(tag: str, value: str | None, reference: str) -> None:
    assert spelled(version_of(tag, NAMES)) == (value, reference)
