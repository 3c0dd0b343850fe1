"""Names of extras become USE flags: what is no name is refused, and never code."""

from __future__ import annotations

import pytest

from cloche.autogen.errors import RefusedError
from cloche.autogen.pypi.project import extra_name, read_metadata

HEAD = "Metadata-Version: 2.1\nName: a\nVersion: 1\nProvides-Extra: "


@pytest.mark.parametrize("text", ["a$(id)", "a`id`", 'a"; id; "', "a b", "-a", "ä", ""])
def test_code_is_not_a_name(text: str) -> None:
    with pytest.raises(RefusedError, match="is not a name for an extra"):
        extra_name(text, "a-1")


def test_metadata_with_such_an_extra_is_refused() -> None:
    with pytest.raises(RefusedError, match="is not a name for an extra"):
        read_metadata(f'{HEAD}a$(id)`w`"; id; "\n\n'.encode(), "a-1")
    assert read_metadata(f"{HEAD}Foo_Bar.x\n\n".encode(), "a-1").extras == ("foo-bar-x",)
