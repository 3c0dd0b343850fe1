"""cloche-client as one file: its parts (`cloche/client/program`), joined.

A target needs a single file, which its administrator can read before running it as root, and which
Python can read from standard input. The parts are not imported here (see `client` in
docs/architecture.md): their text is read.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

#: The parts, each after those that it needs.
PARTS: Final = (
    *("problem", "text", "reading", "repositories", "installed", "description", "enrolment"),
    *("binrepos", "keyring", "service", "events", "drawing", "emerge", "shared", "refreshing"),
    *("enrolling", "wanting", "command_line"),
)
_PACKAGE: Final = "cloche.client.program"
_WIDTH: Final = 100
_HEAD: Final = '''\
#!/usr/bin/env python3
"""cloche-client: asks a cloche service for binary packages that fit this machine.

This file is all of it. It needs Portage and Python 3.9 or later. It can also be run from standard
input: ``ssh HOST python3 - describe < cloche-client``.
"""

from __future__ import annotations

'''


@cache
def client_program() -> bytes:
    """The text of the file, in UTF-8."""
    directory = files("cloche").joinpath("client", "program")
    texts = [directory.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in PARTS]
    trees = [ast.parse(text) for text in texts]
    imports = "\n".join(_imports(trees))
    parts = map(_section, texts, trees)
    return f"{_HEAD}{imports}\n{''.join(parts)}".encode()


def _imports(trees: list[ast.Module]) -> Iterator[str]:
    """What the parts import of the standard library, each name once."""
    modules: set[str] = set()
    names: defaultdict[str, set[str]] = defaultdict(set)
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Import):
            modules |= {ast.unparse(each) for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not _is_ours(node.module):
            names[node.module] |= {ast.unparse(each) for each in node.names}
    del names["__future__"]
    yield from (f"import {each}" for each in sorted(modules))
    yield from (f"from {each} import {', '.join(sorted(names[each]))}" for each in sorted(names))


def _is_ours(module: str) -> bool:
    return module.startswith(f"{_PACKAGE}.")


def _section(text: str, tree: ast.Module) -> str:
    """The text of a part behind its imports, under a heading."""
    end = max(
        node.end_lineno or 0 for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
    )
    heading = f"# --- {(ast.get_docstring(tree) or '').splitlines()[0].rstrip('.')} "
    body = "\n".join(text.splitlines()[end:]).strip("\n")
    return f"\n\n{heading.ljust(_WIDTH, '-')}\n\n{body}\n"
