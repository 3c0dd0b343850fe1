"""What a client asks for is checked, and read from what emerge prints."""

from __future__ import annotations

import pytest

from cloche.service.problems import ProblemError
from cloche.service.wants import Asked, atoms_in, checked, ready

EMERGE = """\
[ebuild  N     ] dev-libs/leaf-1.1:0/1::local USE="veins" 12 KiB
[ebuild   R    ] app-misc/tree-1  USE="fruit*"
[binary  N     ] app-misc/stone-1-3  USE="moss"
[ebuild     U ~] app-misc/wood-2 [1] USE="-x"

[blocks B      ] <app-misc/old-2 ("<app-misc/old-2" is blocking app-misc/new-2)
# a comment
app-misc/axe
"""


def test_lines_of_emerge_are_atoms() -> None:
    assert list(atoms_in(EMERGE)) == [
        "=dev-libs/leaf-1.1",
        "=app-misc/tree-1",
        "=app-misc/wood-2",
        "app-misc/axe",
    ]


def test_another_line_is_named() -> None:
    with pytest.raises(ProblemError, match="line 2 is not one of emerge's"):
        list(atoms_in("app-misc/a\n[strange ] app-misc/b\n"))


@pytest.mark.parametrize(
    "asked",
    [
        Asked(()),
        Asked(("tree",)),
        Asked(("!app-misc/tree",)),
        Asked(("app-misc/../x",)),
        Asked(("app-misc/tree; rm -rf /",)),
        Asked(("@../x",)),
        Asked(("--help",)),
        Asked(("a/b" * 200,)),
        Asked(("a/b", "a/c", "a/d", "a/e")),
        Asked(("a/b",), ("--depclean",)),
        Asked(("a/b",), ("--with-bdeps=maybe",)),
    ],
)
def test_what_is_not_a_request_is_refused(asked: Asked) -> None:
    with pytest.raises(ProblemError) as found:
        checked(asked, 3)
    assert found.value.document.status == 422


def test_each_atom_counts_once() -> None:
    asked = Asked(("a/b", "@world", "a/b"), ("--update",))
    assert checked(asked, 3) == Asked(("a/b", "@world"), ("--update",))


def test_all_is_ready_only_if_the_client_says_what_it_needs() -> None:
    assert ready(("a/b-1",), ("a/b-1", "a/c-1"))
    assert not ready(("a/b-1", "a/d-1"), ("a/b-1", "a/c-1"))
    assert not ready((), ("a/b-1",))
