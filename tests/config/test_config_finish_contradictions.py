"""What one step writes, a later one does not remove."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin
from cloche.config.finish_contradictions import check_removals
from cloche.config.finish_steps import FinishStep


def steps(*said: tuple[str, str]) -> list[FinishStep]:
    file = Path("web.toml")
    return [
        FinishStep(kind, Origin(file, line), (word,)) for line, (kind, word) in enumerate(said, 1)
    ]


USER = ("user", "larry::::::")


@pytest.mark.parametrize(
    ("first", "then", "path"),
    [
        (USER, ("remove", "/etc/passwd"), "/etc/passwd"),
        (("users", "larry=wheel"), ("remove", "/etc/*"), "/etc/passwd"),
        (("group", "web:400"), ("remove", "/etc/g*"), "/etc/group"),
        (USER, ("empty", "/etc/"), "/etc/passwd"),
        (("timezone", "UTC"), ("remove", "/etc/localtime"), "/etc/localtime"),
        (("hostname", "web"), ("remove", "/etc"), "/etc/hostname"),
        (("permission", "root:www - /srv/www/"), ("remove", "/srv"), "/srv/www"),
    ],
)
def test_what_a_step_writes_is_not_removed(
    first: tuple[str, str], then: tuple[str, str], path: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        check_removals(steps(first, then))
    assert str(raised.value) == (
        f"web.toml:2: “{then[1]}” removes {path}, which web.toml:1 asks for; "
        "remove one of the two lines"
    )
    check_removals(steps(then, first))  # it is written again


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (USER, ("remove", "/etc/passwd-")),
        (USER, ("remove", "/*/passwd/x")),
        (USER, ("remove", "/usr/*/passwd")),
        (USER, ("unmerge", "etc/passwd")),
        (("permission", "- 0600 /root/.netrc"), ("remove", "/root/*")),  # without names with a dot
        (("permission", "root:www - /srv/www/"), ("remove", "/srv/www/*.bak")),
    ],
)
def test_other_things_are(first: tuple[str, str], then: tuple[str, str]) -> None:
    check_removals(steps(first, then))
