"""A refusal of Portage's names the user's own files, and the way out that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.building.unresolved import Mask, of_user, refusal

OWN = {
    "/var/db/repos/toy": Path("/home/me/repo"),
    "/etc/portage/package.mask/00-base": Path("/home/me/portage/base/package.mask"),
}


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("~amd64 keyword", "add `=cat/a-1 ~amd64` to a fragment's package.accept_keywords"),
        ("missing keyword", "add `=cat/a-1 **` to a fragment's package.accept_keywords"),
        ("odd bad license(s)", "add `=cat/a-1 odd bad` to a fragment's package.license"),
        ("interactive properties", "add `=cat/a-1 interactive` to a fragment's package.properties"),
        ("fetch in RESTRICT", "add `=cat/a-1 fetch` to a fragment's package.accept_restrict"),
        ("package.mask", "add `=cat/a-1` to a fragment's package.unmask"),
        ("EAPI 99", "the seed's Portage does not know EAPI 99: use an older one in the ebuild"),
        ("invalid: no SLOT", "correct the ebuild of cat/a-1: no SLOT"),
    ],
)
def test_every_kind_of_mask_has_its_own_hint(reason: str, hint: str) -> None:
    assert Mask("cat/a-1", (reason,)).hints == (hint,)


def test_a_mask_of_the_users_own_is_removed_where_it_stands() -> None:
    file = "/etc/portage/package.mask/00-base"
    mask = {"cpv": "cat/a-1", "reasons": ["package.mask"], "file": file, "line": 2}
    error = refusal("m", {"kind": "masked", "atom": "cat/a", "masks": [mask]}, OWN)
    assert error.todo == "remove the line at /home/me/portage/base/package.mask:2"


def test_without_sources_a_binary_package_is_what_lacks() -> None:
    mask = Mask("cat/a-1", ("use flag configuration mismatch",))
    assert mask.hints[0].startswith("the binary package of cat/a-1 was built with other USE flags")
    text = 'emerge: there are no binary packages to satisfy "cat/tool".'
    error = refusal("m", {"kind": "unsatisfied", "atom": "cat/tool", "text": text}, OWN)
    assert error.todo is not None
    assert error.todo.startswith("add a binary package of it to one of the machine's binrepos")
    assert "remove --usepkgonly from `emerge`" in error.todo


def test_a_broken_ebuild_is_one_line() -> None:
    file = "/var/db/repos/toy/cat/a/a-1.ebuild"
    said = {"kind": "broken", "atom": "=cat/a-1", "text": "much\nmore", "file": file, "line": 8}
    error = refusal("m", {**said, "reason": "syntax error"}, OWN)
    assert str(error) == "/home/me/repo/cat/a/a-1.ebuild:8: the ebuild cannot be read: syntax error"
    assert error.detail is None


def test_only_whole_names_become_the_users() -> None:
    text = "/var/db/repos/toy/a, /var/db/repos/toys/a, '/var/db/repos/toy'"
    assert of_user(text, OWN) == "/home/me/repo/a, /var/db/repos/toys/a, '/home/me/repo'"
