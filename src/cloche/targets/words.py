"""Which variables of a target are only read as words, and make nothing run but compilers.

Flags are words if they are known to load no program and to read no file: most flags of compilers
can be made to do either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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
_COMPILER = re.compile(r"[\w.-]*(gcc|g\+\+|clang|clang\+\+|rustc)(-[\d.]+)?( -m(32|64|x32))?")

#: Macros that ask the C library for something.
_MACRO = r"(?:_FORTIFY_SOURCE|_GLIBCXX_ASSERTIONS|_FILE_OFFSET_BITS|_TIME_BITS|_GNU_SOURCE|NDEBUG)"
#: Parts of -f flags that name plugins, files and programs.
_FILES = r"(?:plugin|profile|file|list|dump|module|use-ld|config|path|index|prefix|random-seed)"
_LINKER = (
    r"-O\d|-s|-z|--(?:no-)?as-needed|--(?:no-)?undefined|--hash-style=\w+|--sort-common"
    r"|--(?:no-)?gc-sections|--build-id(?:=\w+)?|--icf=\w+|--enable-new-dtags|--strip-(?:all|debug)"
    r"|--compress-debug-sections=\w+|--(?:no-)?relax|--lto-O\d|--no-undefined"
    r"|--defsym=__gentoo_check_ldflags__=0|(?<=-z,)[\w-]+(?:=\w+)?"
)
_C = re.compile(
    r"-O(?:\d|s|g|z|fast)?|-g(?:\d|gdb\d?|dwarf(?:-\d)?|z(?:=\w+)?|split-dwarf)?|-pipe|-pthread|-s|-w|-std=[\w+:]+|-static(?:-\w+)?"
    rf"|-D{_MACRO}(?:=\d*)?|-U{_MACRO}|-fuse-linker-plugin|-f(?!.*{_FILES})[\w+=.:-]+"
    r"|-m(?!llvm)[\w=+.,-]+|--param=[\w-]+=\d+|-W[\w=+-]*"
    rf"|-Wl(?:,(?:{_LINKER}))+|-Wa,--(?:no)?execstack"
)
_RUST = re.compile(
    r"-C(?:target-cpu|target-feature|opt-level|codegen-units|lto|debuginfo|strip|panic"
    r"|embed-bitcode|overflow-checks|relocation-model|force-frame-pointers|code-model)"
    r"(?:=[\w.+,-]+)?"
)
_GO = re.compile(r"-trimpath|-buildvcs=\w+|-tags=[\w,]+|-buildmode=\w+|-p=\d+|-v|-x|-race")
_OTHER: Mapping[str, re.Pattern[str]] = {"RUSTFLAGS": _RUST, "GOFLAGS": _GO}
#: Flags that may be two words, and are written as one here.
_APART = re.compile(r"(?<!\S)(?:(--param)|-C) +(?=\w)")


def is_words(name: str, value: str, allowed: Collection[str] = WORDS) -> bool:
    """Whether a variable's value is only words; ``allowed`` names variables besides flags."""
    if name in ("CC", "CXX"):
        return _COMPILER.fullmatch(value) is not None
    if name in FLAGS or name == "COMMON_FLAGS":
        known = _OTHER.get(name, _C)
        return all(known.fullmatch(word) for word in joined(value).split())
    return name in allowed and is_plain(value)


def is_plain(value: str) -> bool:
    """Whether a value has only letters of words, whatever its variable means."""
    return all(_WORD.fullmatch(word) for word in value.split())


def joined(flags: str) -> str:
    """Flags in which those of two words (``--param NAME=N``, ``-C NAME=VALUE``) are one."""
    return _APART.sub(lambda found: "--param=" if found[1] else "-C", flags)
