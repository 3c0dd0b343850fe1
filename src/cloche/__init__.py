"""cloche builds Gentoo packages, stages and images under glass.

`open_session` is where programs begin (docs/api.md). It is loaded when it is first asked for: what
runs inside of sandboxes and virtual machines imports single rooms of this package.
"""

import importlib

TYPE_CHECKING = False  # without typing, whose loading Ctrl-C would interrupt with a traceback
if TYPE_CHECKING:
    from cloche.errors import ClocheError
    from cloche.session.choices import Choices
    from cloche.session.session import Session, open_session

__all__ = ["Choices", "ClocheError", "Session", "open_session"]


_HOMES = {
    "Choices": "cloche.session.choices",
    "ClocheError": "cloche.errors",
    "Session": "cloche.session.session",
    "open_session": "cloche.session.session",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_HOMES[name]), name)
    return found
