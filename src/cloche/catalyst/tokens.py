"""The tokens that catalyst-auto fills into specs before it calls catalyst."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

#: Each token of catalyst-auto, with its meaning.
TOKENS = {
    "TIMESTAMP": "date of the tree's commit, as 20260426T191549Z",
    "DATESTAMP": "today, as 20260426",
    "REPO_DIR": "checkout of the releng repository",
    "TREEISH": "commit of the tree",
}

#: A file that marks the root of a releng checkout.
_RELENG = Path("tools/catalyst-auto")
_TOKEN = re.compile(r"@([A-Za-z][A-Za-z0-9_]*)@")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace ``@NAME@`` by the value of ``NAME``; others stay as they are."""
    return _TOKEN.sub(lambda match: values.get(match[1], match[0]), text)


def tokens_in(text: str) -> tuple[str, ...]:
    """The names of the tokens in a text, in order, each once."""
    return tuple(dict.fromkeys(_TOKEN.findall(text)))


def checkout_of(file: Path) -> Path | None:
    """The releng checkout around a file, if there is one."""
    return next((each for each in file.absolute().parents if (each / _RELENG).is_file()), None)
