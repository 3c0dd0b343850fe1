"""Which variables of a target are only read as words, and make nothing run but compilers."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

#: Variables that change what compilers make.
FLAGS: Final = (
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "FCFLAGS", "FFLAGS", "LDFLAGS", "ASFLAGS",
    "RUSTFLAGS", "GOFLAGS",
)  # fmt: skip
#: Variables of make.conf whose values may be any words, besides those of USE_EXPAND.
WORDS: Final = frozenset(
    {
        *("USE", "ACCEPT_KEYWORDS", "ACCEPT_LICENSE", "ACCEPT_PROPERTIES", "ACCEPT_RESTRICT"),
        *("CHOST", "FEATURES", "INSTALL_MASK", "PKG_INSTALL_MASK", "LINGUAS"),
    }
)
_WORD = re.compile(r"[\w+.@:/*~-]*")
_FLAG = re.compile(r"-[\w+.,=:/-]*")
#: Flags that name a program, or a file of settings, for a compiler.
_LOADING = re.compile(
    r"-(wrapper|fplugin|load|Xclang|plugin|B|specs|ccc|gcc-toolchain|fuse-ld)|.*plugin"
)
_COMPILER = re.compile(r"[\w.-]*(gcc|g\+\+|clang|clang\+\+|rustc)(-[\d.]+)?( -m(32|64|x32))?")


def is_words(name: str, value: str, allowed: Collection[str] = WORDS) -> bool:
    """Whether a variable's value is only words; ``allowed`` names variables besides flags."""
    if name in ("CC", "CXX"):
        return _COMPILER.fullmatch(value) is not None
    if name in FLAGS or name == "COMMON_FLAGS":
        words = value.split()
        return all(_FLAG.fullmatch(word) and not _LOADING.match(word) for word in words)
    return name in allowed and all(_WORD.fullmatch(word) for word in value.split())
