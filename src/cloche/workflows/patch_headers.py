"""The header of a patch: what it does, why, and where upstream knows of it. Pure."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloche.errors import ClocheError
from cloche.workflows.diffs import diff_like, split

WIDTH = 72
NOT_SENT = "not sent yet"


@dataclass(frozen=True, slots=True)
class Header:
    """``subject`` is one line; ``upstream`` an address, or "" while upstream knows nothing."""

    subject: str
    why: str
    upstream: str = ""

    def __post_init__(self) -> None:
        """Refuse text that patch(1) would read as a diff, and invalid addresses."""
        if not self.subject.strip() or "\n" in self.subject or not self.subject.isprintable():
            raise ClocheError("the subject is not one line of text", where="--subject")
        if not self.why.strip():
            raise ClocheError("the reason is missing", where="--why", todo="say why it is needed")
        for line in self.why.splitlines():
            if diff_like(line) or not line.isprintable():
                what = f"patch(1) would not take this as text: “{line[:60]}”"
                raise ClocheError(what, where="--why", todo="put it in other words")
        if self.upstream:
            parts = urlsplit(self.upstream)
            if parts.scheme not in ("http", "https") or not parts.netloc or " " in self.upstream:
                what = f"“{self.upstream}” is not an address"
                raise ClocheError(what, where="--upstream", todo="begin with https://")

    def text(self) -> bytes:
        """The lines above the diff; the same for the same header."""
        paragraphs = [" ".join(each.split()) for each in self.why.strip().split("\n\n")]
        why = "\n\n".join(_wrapped(each) for each in paragraphs)
        upstream = self.upstream or NOT_SENT
        return f"Subject: {self.subject.strip()}\nUpstream: {upstream}\n\n{why}\n\n".encode()


def _wrapped(paragraph: str) -> str:
    """Lines of a paragraph, of which none looks like a diff: breaking must not make one."""
    wrapped = textwrap.wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
    return paragraph if any(map(diff_like, wrapped)) else "\n".join(wrapped)


def subject_of(patch: bytes) -> str:
    """What a patch says that it does: its Subject, else its first line of text."""
    lines = split(patch)[0].decode(errors="replace").splitlines()
    for line in lines:
        if line.lower().startswith("subject:"):
            return line.partition(":")[2].strip()
    return next((line.strip() for line in lines if line.strip()), "")
