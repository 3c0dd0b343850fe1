"""Passwords in addresses, which no file of a project gets."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?<=://)[^\s/@\"'<>]*:[^\s/@\"'<>]*@")


def without_passwords(text: str) -> tuple[str, int]:
    """A text whose addresses (``https://USER:PASSWORD@HOST``) lack user and password.

    Also gives how many there were.
    """
    return _ADDRESS.subn("", text)
