"""Messages between client and worker: a call, its callbacks, its result.

Encoded as MessagePack by msgspec. Arguments, results and arguments of callbacks are what msgspec
can encode, and paths; the function's annotations say how they are decoded.
"""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import msgspec

from cloche.broker.calls import CALLS


class Call(msgspec.Struct, frozen=True):
    """``function`` is module:name; ``callbacks`` are the arguments that stay with the client."""

    function: str
    arguments: dict[str, msgspec.Raw]
    callbacks: tuple[str, ...]


class Called(msgspec.Struct, frozen=True, tag=True):
    """The function has called a callback; nothing is sent back."""

    callback: str
    arguments: tuple[msgspec.Raw, ...]


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The function's result."""

    value: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The function has raised an error; see `ClocheError.from_data`."""

    error: dict[str, Any]


Answer = Called | Returned | Failed


@dataclass(frozen=True, slots=True)
class EncodedCall:
    """An encoded call, and what its client needs to decode the answers."""

    encoded: bytes
    function: Callable[..., Any]
    callbacks: Mapping[str, Callable[..., object]]

    def call_back(self, called: Called) -> None:
        """Call the callback that the function called."""
        kinds = parameters_of(self.function, called.callback)
        values = [decode(raw, kind) for raw, kind in zip(called.arguments, kinds, strict=True)]
        self.callbacks[called.callback](*values)

    def result(self, returned: Returned) -> Any:
        """The value that the function returned."""
        return decode(returned.value, typing.get_type_hints(self.function)["return"])


def encode_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> EncodedCall:
    """Encode a call.

    Raises ValueError for a function that is not in the table, TypeError for arguments that do not
    fit, are of a wrong type, or cannot be encoded.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if name not in CALLS:
        raise ValueError(f"{name} is not a function that workers call (cloche.broker.calls)")
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    callbacks = {name: value for name, value in given.items() if callable(value)}
    for callback in callbacks:
        parameters_of(function, callback)
    arguments = {
        name: msgspec.Raw(encode(value)) for name, value in given.items() if name not in callbacks
    }
    hints = typing.get_type_hints(function)
    for argument, raw in arguments.items():
        try:
            decode(raw, hints[argument])
        except msgspec.ValidationError as error:
            raise TypeError(f"{argument} of {name}: {error}") from error
    return EncodedCall(encode(Call(name, arguments, tuple(callbacks))), function, callbacks)


def parameters_of(function: Callable[..., Any], callback: str) -> list[Any]:
    """The annotated parameters of a function's callback."""
    hint = typing.get_type_hints(function)[callback]
    for kind in (hint, *typing.get_args(hint)):  # it may be optional
        if typing.get_origin(kind) is Callable:
            return list(typing.get_args(kind)[0])
    raise TypeError(f"{callback} is not annotated as a callable")


def encode(value: Any) -> bytes:
    """Encode a value. Raises TypeError if it cannot be encoded."""
    return msgspec.msgpack.encode(value, enc_hook=_plain)


def decode(raw: bytes | msgspec.Raw, kind: Any) -> Any:
    """Decode a value. Raises msgspec.ValidationError if it is of another kind."""
    return msgspec.msgpack.decode(raw, type=kind, dec_hook=_typed)


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        if not value.is_absolute():  # the other process is in another directory
            raise TypeError(f"{value} is not an absolute path")
        return os.fsencode(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent to another process")


def _typed(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath):
        path = kind(os.fsdecode(value))
        if not path.is_absolute():
            raise TypeError(f"{path} is not an absolute path")
        return path
    raise TypeError(f"a {kind.__name__} cannot come from another process")
