"""A worker: a process inside of the user namespace that runs calls for a client."""

from __future__ import annotations

import importlib
import os
import threading
import typing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import msgspec

from cloche.broker.calls import CALLS
from cloche.broker.errors import data_of
from cloche.broker.messages import (
    Answer,
    Call,
    Called,
    Failed,
    Returned,
    decode,
    encode,
)


def serve(channel: int) -> NoReturn:
    """Run calls, one after another, until the client closes its end."""
    connection: Connection[bytes, bytes] = Connection(channel)
    while True:
        try:
            raw = connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)
        _Answering(connection).carry_out(raw)


class _Answering:
    """One call: its callbacks may be called from several threads, but not when it is over."""

    def __init__(self, connection: Connection[bytes, bytes]) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._over = False

    def carry_out(self, raw: bytes) -> None:
        """Call the function, and send its result or error."""
        answer: Answer
        try:
            answer = Returned(msgspec.Raw(encode(self._call(decode(raw, Call)))))
        except Exception as error:
            answer = Failed(data_of(error))
        with self._lock:
            self._over = True
            self._connection.send_bytes(encode(answer))

    def _call(self, call: Call) -> Any:
        if call.function not in CALLS:  # the client checks, too
            raise ValueError(f"{call.function} is not a function that workers call")
        module, _, name = call.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        hints = typing.get_type_hints(function)
        arguments = {name: decode(raw, hints[name]) for name, raw in call.arguments.items()}
        return function(**arguments, **{name: self._callback(name) for name in call.callbacks})

    def _callback(self, name: str) -> Callable[..., None]:
        """The function's callback, which sends its arguments to the client."""

        def call_back(*args: Any) -> None:
            called = Called(name, tuple(msgspec.Raw(encode(value)) for value in args))
            with self._lock:
                if not self._over:
                    self._connection.send_bytes(encode(called))

        return call_back
