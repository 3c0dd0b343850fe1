"""The client as the service hands it out, one file, loaded as one module."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from cloche.targets.client_program import client_program

TEXT = client_program().decode()


def _load() -> ModuleType:
    module = ModuleType("cloche_client")
    sys.modules[module.__name__] = module  # where dataclasses look for it
    exec(compile(TEXT, "cloche-client", "exec", dont_inherit=True), module.__dict__)
    return module


client: Any = _load()
