"""Errors of autogen: what upstream has is not there, or has no exact form in an ebuild."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit


class RefusedError(ClocheError):
    """Something of upstream has no exact form in an ebuild; ``where`` is the package."""


class UpstreamError(ClocheError):
    """Upstream's answer is missing, malformed, or not what it was."""

    status = Exit.FAILED


class RateLimitError(UpstreamError):
    """Upstream answers nothing more for a while."""


class NotPublishedError(ClocheError):
    """Upstream has no package, or no release, of this name."""
