"""Calls are checked where they are made: what cannot be meant is a TypeError there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloche.broker.messages import decode, encode_call
from cloche.session import calls
from cloche.session.choices import Choices

WHERE = calls.Where(Path("/project"), Path("/store"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((WHERE, 3), "machine of .*: Expected `str`, got `int`"),
        ((3, "first"), "where of .*: Expected `object`, got `int`"),
        ((calls.Where(Path("project")), "first"), "project is not an absolute path"),
        ((calls.Where("project"), "first"), "project is not an absolute path"),  # type: ignore[arg-type]
        ((WHERE, "first", None, None, None, 1), "too many"),
        ((WHERE, lambda: None), "machine is not annotated as a callable"),
    ],
)
def test_a_wrong_argument_is_a_type_error(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        encode_call(calls.build, arguments, {})


def test_right_arguments_arrive(tmp_path: Path) -> None:
    choices = Choices(jobs=2, rebuild=("a/b",))
    call = encode_call(calls.build, (WHERE, "first", choices, tmp_path), {"sink": print})
    assert call.callbacks == {"sink": print}
    assert decode(call.encoded, dict[str, Any])["function"] == "cloche.session.calls:build"
