"""cloche builds Gentoo packages, stages and images under glass.

`open_session` is where programs begin (docs/api.md). It is loaded when it is first asked for: what
runs inside of sandboxes and virtual machines imports single rooms of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloche.errors import ClocheError
    from cloche.session import Choices, Session, open_session

__version__ = "0.1.0"

__all__ = ["Choices", "ClocheError", "Session", "open_session"]


def __getattr__(name: str) -> Any:
    if name == "ClocheError":
        from cloche.errors import ClocheError

        return ClocheError
    if name in __all__:
        from cloche import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
