"""What is sent into the root of a watched emerge."""

from __future__ import annotations

import ast

from cloche.watch import resolution


def test_every_module_that_the_guest_imports_is_sent_along() -> None:
    for name in resolution.MODULES:
        tree = ast.parse((resolution.GUEST / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                imported = {node.module} if node.module else {each.name for each in node.names}
                assert imported <= set(resolution.MODULES), f"{name} imports {imported}"
