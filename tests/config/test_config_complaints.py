"""Complaints about /etc/portage come back to the lines that a user wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.complaints import Complaint, ineffective, locate, other
from cloche.config.errors import Origin


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """Two fragments with a package.use each, and one make.conf over two lines."""
    texts = {
        "package.use/00-base": "# =cat/a is wrong\ncat/b flag\n",
        "package.use/01-more/x": "cat/b flag\n=cat/a  flag # why\n",
        "make.conf/00-base": 'USE=a\nACCEPT_LICENSE="* \n   Odd"\nL10N="-gone"\n',
        "profile/package.provided/00-base": "cat/new-1\ncat/old\n",
        "package.env/00-base": "cat/b f.conf\ncat/b absent\n",
        "patches/cat/gone/x.patch": "",
    }
    found = {}
    for number, (name, text) in enumerate(texts.items()):
        found[name] = tmp_path / str(number) / Path(name).name
        found[name].parent.mkdir()
        found[name].write_text(text)
    return found


@pytest.mark.parametrize(
    ("line", "file", "number", "text"),
    [
        (
            "--- Invalid atom in /etc/portage/package.use/01-more/x: =cat/a",
            "package.use/01-more/x",
            2,
            "Invalid atom in package.use: =cat/a",
        ),
        (
            "--- Invalid USE flag for '=cat/a' in '/etc/portage/package.use': 'flag'",
            "package.use/01-more/x",
            2,
            "Invalid USE flag for '=cat/a' in 'package.use': 'flag'",
        ),
        (
            "!!! /etc/portage/package.env references non-existent file: /etc/portage/env/absent",
            "package.env/00-base",
            2,
            "package.env references non-existent file: env/absent",
        ),
        (
            "--- No repository has the license in /etc/portage/make.conf: Odd",
            "make.conf/00-base",
            3,
            "No repository has the license in make.conf: Odd",
        ),
        (
            "Invalid package name in package.provided: cat/old",
            "profile/package.provided/00-base",
            2,
            "Invalid package name in package.provided: cat/old",
        ),
        (
            "--- No such USE flag in any repository, in /etc/portage/make.conf: gone",
            "make.conf/00-base",
            4,
            "No such USE flag in any repository, in make.conf: gone",
        ),
        (
            "!!! INVALID ACCEPT_KEYWORDS: amd46",
            "make.conf/00-base",
            None,
            "INVALID ACCEPT_KEYWORDS: amd46",
        ),
    ],
)
def test_a_complaint_has_the_users_line(
    sources: dict[str, Path], line: str, file: str, number: int | None, text: str
) -> None:
    """In whichever file below Portage's place it stands, and not in a comment."""
    assert locate([line, line], sources) == (Complaint(Origin(sources[file], number), text),)


def test_patches_are_named_by_their_directory(sources: dict[str, Path]) -> None:
    """The directory has the wrong name, not the file in it."""
    (found,) = locate(["--- Nobody's patches in /etc/portage/patches/cat/gone"], sources)
    assert found.origin == Origin(sources["patches/cat/gone/x.patch"].parent)


def test_what_is_no_file_of_the_users_keeps_its_words(sources: dict[str, Path]) -> None:
    """A repository's own file is not a fragment's."""
    line = "--- Invalid atom in /var/db/repos/x/profiles/package.mask: a"
    assert locate([line], {}) == (Complaint(None, line.removeprefix("--- ")),)
    assert locate([line], sources)[0].origin is None


def test_ebuilds_that_cannot_be_read_for_the_same_reason_share_a_line() -> None:
    """Ebuilds with EAPI 9 in a repository without metadata caches, on a seed with bash 5.2."""

    def unread(name: str, reason: str) -> str:
        return (
            f"Messages for package {name}: * ERROR: {name} failed (depend phase): *   {reason} "
            "* Call stack: *   ebuild.sh, line 75:  Called __check_bash_version"
        )

    old = "EAPI 9 requires >=bash-5.3 but only 5.2 was found"
    texts = [unread("cat/a-1::toy", old), "!!! other", unread("cat/b-2::toy", old)]
    assert [str(each) for each in other([*texts, unread("cat/c-3::toy", "no")])] == [
        "Portage says: !!! other",
        f"Portage says: cat/a-1::toy and 1 more cannot be read: {old}",
        "Portage says: cat/c-3::toy cannot be read: no",
    ]


def test_strict_config_says_how_many() -> None:
    """The warnings come before it, each with its place."""
    error = ineffective((Complaint(None, "x"),))
    assert (error.what, int(error.status)) == ("1 setting has no effect", 2)
