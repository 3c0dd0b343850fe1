"""Options of emerge(1) that a machine, or a client of the service, may choose for a resolution."""

from __future__ import annotations

from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.table import Table

#: Options of emerge(1) that change what a resolution gives, and what each may have as its value.
EMERGE = {
    **dict.fromkeys(
        ("update", "deep", "newuse", "changed-use", "changed-deps", "changed-slot"), ""
    ),
    **dict.fromkeys(("emptytree", "noreplace", "nodeps", "onlydeps", "oneshot", "usepkgonly"), ""),
    **dict.fromkeys(("with-bdeps", "implicit-system-deps", "complete-graph"), "y|n"),
}


def read_emerge(table: Table) -> tuple[str, ...]:
    """The options of a machine's key ``emerge``. Raises `ConfigError`."""
    for text, origin in table.strings("emerge"):
        if text == "--usepkgonly" and not table.strings("binrepos"):
            what = "there are no binary packages for --usepkgonly"
            raise ConfigError(origin, what, "name their host in `binrepos`")
    return tuple(emerge_option(*item) for item in table.strings("emerge"))


def emerge_option(text: str, origin: Origin) -> str:
    """An option of emerge. Raises `ConfigError`."""
    name, equals, value = text.removeprefix("--").partition("=")
    if not text.startswith("--") or name not in EMERGE:
        raise unknown_name(origin, "option of emerge", text, [f"--{each}" for each in EMERGE])
    if bool(EMERGE[name]) != bool(equals) or (equals and value not in EMERGE[name].split("|")):
        right = " or ".join(f"--{name}={each}" for each in EMERGE[name].split("|"))
        right = right if EMERGE[name] else f"--{name}"
        raise ConfigError(origin, f"“{text}” is not an option of emerge", f"write {right}")
    return text
