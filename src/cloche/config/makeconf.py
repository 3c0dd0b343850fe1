"""make.conf as Portage reads it: assignments with their lines (make.conf(5)).

Read with the same lexer settings as Portage's ``getconfig`` (lib/portage/util/__init__.py), so that
what we take for an assignment is one. Nothing is expanded here; Portage does that.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import ConfigError, Origin


def words(text: str) -> frozenset[str]:
    """The words of a text: a set of names that stays readable."""
    return frozenset(text.split())


_EXPANDED = re.compile(r"\$\{\w+\}", re.ASCII)


def is_quotable(value: str) -> bool:
    """Whether a value between quotation marks in make.conf is read as it is written.

    ``${NAME}`` may be part of it.
    """
    return value.isprintable() and set(_EXPANDED.sub("", value)).isdisjoint('"\\$`')


# Portage's INCREMENTALS (lib/portage/const.py), and the three that it stacks by special code
# (config.regenerate).
INCREMENTALS: Final = words(
    "ACCEPT_KEYWORDS CONFIG_PROTECT CONFIG_PROTECT_MASK ENV_UNSET FEATURES IUSE_IMPLICIT"
    " PROFILE_ONLY_VARIABLES USE USE_EXPAND USE_EXPAND_HIDDEN USE_EXPAND_IMPLICIT"
    " USE_EXPAND_UNPREFIXED ACCEPT_LICENSE ACCEPT_PROPERTIES ACCEPT_RESTRICT"
)

_FETCH = "cloche itself fetches sources, in a separate sandbox"
_PLACE = "cloche decides where things lie inside the sandbox"
_BINARY = "binary packages come from cloche's store"
OWNED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        words(
            "DISTDIR PKGDIR PORTAGE_TMPDIR PORTAGE_LOGDIR PORT_LOGDIR RPMDIR PKG_TMPDIR"
            " PORTAGE_RO_DISTDIRS PORTAGE_DEPCACHEDIR BUILD_PREFIX ROOT SYSROOT EPREFIX"
        ),
        _PLACE,
    ),
    **dict.fromkeys(
        words("PORTDIR PORTDIR_OVERLAY"), "repositories are declared in cloche.toml, [repos.NAME]"
    ),
    **dict.fromkeys(
        words("PORTAGE_BINHOST PORTAGE_BINHOST_HEADER_URI BINPKG_FORMAT BINPKG_COMPRESS_FLAGS"),
        _BINARY,
    ),
    **dict.fromkeys(
        words(
            "FETCHCOMMAND RESUMECOMMAND FETCHCOMMAND_HTTP FETCHCOMMAND_HTTPS FETCHCOMMAND_FTP"
            " FETCHCOMMAND_RSYNC FETCHCOMMAND_SSH FETCHCOMMAND_SFTP RESUMECOMMAND_HTTP"
            " RESUMECOMMAND_HTTPS RESUMECOMMAND_FTP RESUMECOMMAND_SSH RESUMECOMMAND_SFTP"
            " http_proxy https_proxy ftp_proxy all_proxy no_proxy RSYNC_PROXY"
        ),
        _FETCH,
    ),
    **dict.fromkeys(
        words(
            "MAKEOPTS NINJAOPTS PORTAGE_NICENESS PORTAGE_IONICE_COMMAND PORTAGE_SCHEDULING_POLICY"
        ),
        "the number of jobs is not a property of a machine; use [build] cores and jobs",
    ),
    **dict.fromkeys(
        words("EMERGE_DEFAULT_OPTS CLEAN_DELAY EMERGE_WARNING_DELAY AUTOCLEAN NOCOLOR"),
        "it would have no effect, since cloche does not run the emerge command",
    ),
    **dict.fromkeys(
        words("PORTAGE_USERNAME PORTAGE_GRPNAME PORTAGE_INST_UID PORTAGE_INST_GID"),
        "a build has its own users inside the sandbox",
    ),
    **dict.fromkeys(
        words("PORTAGE_ELOG_SYSTEM PORTAGE_ELOG_COMMAND PORTAGE_ELOG_MAILURI"),
        "cloche itself reports the messages of packages",
    ),
    "MAKE": "the sandboxes share their jobs through cloche's own make",
    "SOURCE_DATE_EPOCH": "cloche fixes it, so that results can be compared",
}

_NO_NAME: Final = re.compile(r"^\d|\W")


@dataclass(frozen=True, slots=True)
class Assignment:
    """``NAME="value"``, unexpanded, with the line at which it starts."""

    name: str
    value: str
    origin: Origin

    @property
    def refers_to_itself(self) -> bool:
        """Whether the value builds on the one before, as in ``CFLAGS="${CFLAGS} -g"``."""
        return re.search(rf"\$(?:{self.name}\b|\{{{self.name}\}})", self.value) is not None


def parse(text: str, file: Path, owned: Mapping[str, str] = OWNED) -> tuple[Assignment, ...]:
    """The assignments of one file, in order. Raises `ConfigError`, also for names in ``owned``."""
    lexer = shlex.shlex(text if text.endswith("\n") else text + "\n", posix=True)
    lexer.wordchars = string.digits + string.ascii_letters + r"~!@#$%*_\:;?,./-+{}"
    lexer.quotes = "\"'"
    found: list[Assignment] = []
    while (assignment := _next(lexer, file)) is not None:
        reason = owned.get(assignment.name)
        if reason:
            raise ConfigError(
                assignment.origin,
                f"{assignment.name} cannot be set in a fragment",
                f"remove the line: {reason}",
            )
        found.append(assignment)
    return tuple(found)


def _next(lexer: shlex.shlex, file: Path) -> Assignment | None:
    """The next assignment; None at the end of the file."""
    line = lexer.lineno
    try:
        key = lexer.get_token()
        if key == "export":
            key = lexer.get_token()
        if key is None:
            return None
        origin = Origin(file, lexer.lineno)
        if key == "source":
            raise ConfigError(
                origin, "“source” brings in another file", "copy what is needed into the fragment"
            )
        equals = lexer.get_token()
        value = lexer.get_token() if equals == "=" else None
    except ValueError as error:
        raise ConfigError(
            Origin(file, line), f"{str(error).lower()} in what starts here", "close the quotation"
        ) from error
    if equals != "=":
        raise ConfigError(origin, f"“{key}” is not followed by “=”", 'write NAME="value"')
    if value is None:
        raise ConfigError(origin, f"“{key}” has no value", 'write NAME="value"')
    if _NO_NAME.search(key):
        raise ConfigError(origin, f"“{key}” is not a variable's name", "use letters, digits, _")
    return Assignment(key, value, origin)


def signs(value: str) -> Mapping[str, str]:
    """The words of an incremental value without their ``-``, each with its last sign (+ or -)."""
    return {
        word.lstrip("+-"): "-" if word.startswith("-") else "+"
        for word in value.split()
        if "$" not in word
    }
