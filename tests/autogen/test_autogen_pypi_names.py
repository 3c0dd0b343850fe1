"""Names of packages and sdists, licences."""

from __future__ import annotations

import re

import pytest

from cloche.autogen.errors import RefusedError
from cloche.autogen.licences import COMMON, licence, read_mapping
from cloche.autogen.pypi.licences import _CLASSIFIERS, expression, unclear
from cloche.autogen.pypi.names import SdistNames, package_name, sdist_names, translated


@pytest.mark.parametrize(
    ("project", "pn"),
    [
        ("requests", "requests"),
        ("PyYAML", "pyyaml"),
        ("zope.interface", "zope-interface"),
        ("ruamel.yaml.clib", "ruamel-yaml-clib"),
        ("typing_extensions", "typing-extensions"),
        ("3to2", "3to2"),
        ("foo-2", "foo_2"),  # foo-2 would be version 2 of foo (PMS 3.1.2)
    ],
)
def test_package_names(project: str, pn: str) -> None:
    assert package_name(project) == pn


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/../b", "$(x)", "a\n"])
def test_what_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="is not a name"):
        package_name(name)


def eclass_uri(names: SdistNames, pn: str, pv: str) -> tuple[str, str]:
    """The file and S that pypi.eclass makes, as its documentation says."""
    name = names.pypi_pn or pn
    plain = name if names.no_normalize else re.sub(r"[._-]+", "_", name).lower()
    return f"{plain}-{translated(pv)}.tar.gz", f"{plain}-{translated(pv)}"


@pytest.mark.parametrize(
    ("project", "pn", "pv", "stem", "expected"),
    [
        ("requests", "requests", "2.32.3", "requests-2.32.3", SdistNames()),
        ("PyYAML", "pyyaml", "6.0.2", "pyyaml-6.0.2", SdistNames()),
        ("PyYAML", "pyyaml", "5.4.1", "PyYAML-5.4.1", SdistNames("PyYAML", True)),
        ("zope.event", "zope-event", "7.0", "zope_event-7.0", SdistNames()),
        ("zope.event", "zope-event", "6.0", "zope.event-6.0", SdistNames("zope.event", True)),
        ("foo-bar", "foo-bar", "1", "foo-bar-1", SdistNames(None, True)),
        ("foo", "foo", "1.0_rc1", "foo-1.0rc1", SdistNames()),
        ("foo-2", "foo_2", "1.0", "foo_2-1.0", SdistNames("foo-2")),
    ],
)
def test_sdists_as_the_eclass_names_them(
    project: str, pn: str, pv: str, stem: str, expected: SdistNames
) -> None:
    names = sdist_names(project, pn, pv, f"{stem}.tar.gz", stem)
    assert names == expected
    assert eclass_uri(names, pn, pv) == (f"{stem}.tar.gz", stem)
    assert sdist_names(project, pn, pv, f"{stem}.tar.gz", "Top").directory == "Top"


def test_an_sdist_under_another_version_has_a_uri_of_its_own() -> None:
    names = sdist_names("foo", "foo", "2024.1.5", "foo-2024.01.05.tar.gz", "foo-2024.01.05")
    assert names.uri == '"$(pypi_sdist_url --no-normalize "foo" "2024.01.05" .tar.gz)"'
    assert names.directory == "foo-2024.01.05"
    names = sdist_names("foo", "foo", "1.0", "foo-1.0.zip", "foo-1.0")
    assert names == SdistNames(
        None, False, '"$(pypi_sdist_url "${PYPI_PN}" "1.0" .zip)"', None, True
    )


@pytest.mark.parametrize("filename", ["foo-1.0.tar.bz2", "foo-1.0.exe", "bar-1.0.tar.gz"])
def test_other_files_are_refused(filename: str) -> None:
    with pytest.raises(RefusedError, match="sdist"):
        sdist_names("foo", "foo", "1.0", filename, "foo-1.0")


MAPPING = """
# comment
[spdx-to-ebuild]
MIT = MIT
BSD-3-Clause = BSD
GPL-2.0+ = GPL-2+
Apache-2.0 = Apache-2.0
MPL-1.0 = MPL-1.0
LGPL-2.1 = LGPL-2.1
LGPL-2.1-or-later = LGPL-2.1+
Apache-2.0 WITH LLVM-exception = Apache-2.0-with-LLVM-exceptions
Foo-1 = || ( A B )
"""


@pytest.mark.parametrize(
    ("spdx", "gentoo"),
    [
        ("MIT", "MIT"),
        ("mit OR apache-2.0", "|| ( MIT Apache-2.0 )"),
        ("MIT AND BSD-3-Clause", "MIT BSD"),
        ("MIT AND (BSD-3-Clause OR Apache-2.0)", "MIT || ( BSD Apache-2.0 )"),
        ("MIT OR BSD-3-Clause AND Apache-2.0", "|| ( MIT ( BSD Apache-2.0 ) )"),
        ("Apache-2.0 WITH LLVM-exception OR MIT", "|| ( Apache-2.0-with-LLVM-exceptions MIT )"),
        ("GPL-2.0+", "GPL-2+"),
        ("MPL-1.0+", "MPL-1.0"),  # as the mapping itself says
        ("LGPL-2.1+", "LGPL-2.1+"),
        ("MIT AND MIT", "MIT"),
    ],
)
def test_licence_expressions(spdx: str, gentoo: str) -> None:
    assert licence(spdx, read_mapping(MAPPING), "x") == gentoo


@pytest.mark.parametrize("spdx", ["Zlib", "BSD License", "MIT OR", "LicenseRef-Own"])
def test_licences_without_a_name_are_refused(spdx: str) -> None:
    with pytest.raises(RefusedError, match=r"licence|SPDX"):
        licence(spdx, read_mapping(MAPPING), "x")


MIT, APACHE = "OSI Approved :: MIT License", "OSI Approved :: Apache Software License"
LGPL = "OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)"
ZOPE = "OSI Approved :: Zope Public License"
MIT_TEXT = """Permission is hereby granted, free of charge, to any person obtaining a copy
The above copyright notice and this permission notice shall be included"""
ISC_TEXT = """Permission to use, copy, modify, and/or distribute this software for any purpose
with or without fee is hereby granted, provided that the above copyright notice"""
BSD_LICENSE = "OSI Approved :: BSD License"
BSD = "Redistribution and use in source and binary forms, with or without\nmodification"


@pytest.mark.parametrize(
    ("classifiers", "field", "text", "spdx"),
    [
        ((MIT,), None, "", "MIT"),
        ((BSD_LICENSE,), "BSD-3-Clause", "", "BSD-3-Clause"),
        ((BSD_LICENSE,), "BSD", BSD + " Neither the name of", "BSD-3-Clause"),
        ((BSD_LICENSE,), None, BSD, "BSD-2-Clause"),
        ((), "Apache License 2.0", "", "Apache-2.0"),
        ((), "MIT License", "", "MIT"),
        ((MIT, APACHE), None, "", "MIT AND Apache-2.0"),
        ((LGPL,), None, "", "LGPL-2.0-or-later"),
        ((ZOPE,), "ZPL 2.1", "", "ZPL-2.1"),
        ((), None, MIT_TEXT, "MIT"),
        ((), None, ISC_TEXT, "ISC"),
        ((BSD_LICENSE,), None, f"{BSD} {MIT_TEXT}", "BSD-2-Clause AND MIT"),
    ],
)
def test_what_a_project_says_of_its_licence(
    classifiers: tuple[str, ...], field: str | None, text: str, spdx: str
) -> None:
    assert expression(None, [f"License :: {c}" for c in classifiers], field, text, "x") == spdx
    assert licence(spdx, COMMON, "x")


def test_a_licence_that_nothing_names_is_refused() -> None:
    with pytest.raises(RefusedError, match="no licence is named"):
        expression(None, (), None, "Copyright me", "x")
    gpl = "License :: OSI Approved :: GNU General Public License (GPL)"
    vague = ("Academic Free License (AFL)", "Artistic License", "Zope Public License")
    for each in (gpl, *(f"License :: OSI Approved :: {name}" for name in vague)):
        with pytest.raises(RefusedError, match="does not say which"):
            expression(None, (each,), None, "", "x")


@pytest.mark.parametrize(
    "text",
    [
        f"{MIT_TEXT} GNU GENERAL PUBLIC LICENSE",
        f"{BSD} Mozilla Public License Version 2.0",
        f"{BSD} All advertising materials mentioning features",
        MIT_TEXT.partition("\n")[0],  # MIT-0
        ISC_TEXT.partition(", provided")[0],  # 0BSD
    ],
)
def test_a_text_of_another_licence_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="no licence is named"):
        expression(None, (), None, text, "x")


def test_every_licence_of_a_classifier_has_a_name_without_a_tree() -> None:
    for spdx in _CLASSIFIERS.values():
        assert licence(spdx, COMMON, "x")


def test_licences_that_a_text_has_together_are_told() -> None:
    both = f"{BSD} {MIT_TEXT}"
    (note,) = unclear("BSD-2-Clause AND MIT", (), both)
    assert "the licence's text has the wording of: BSD-2-Clause, MIT" in note
    (note,) = unclear("MIT AND Apache-2.0", [f"License :: {c}" for c in (MIT, APACHE)], "")
    assert "the classifiers name: MIT License, Apache Software License" in note
    assert unclear("MIT AND ISC", (), "") == ()  # as the field License says
    assert unclear("MIT", (), MIT_TEXT) == ()
