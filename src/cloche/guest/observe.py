"""Finds what a running ``emerge`` is going to do: resolves its command line again.

Unlike the other scripts, this one runs in a root that cloche did not make, with that root's own
settings, over standard input and output (see ``watch/resolution.py``). It changes nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import Any

from .graph import edges, identity


def main(request: dict[str, Any]) -> None:
    """Answer on the original standard output; Portage's output goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    result, log_dir = resolve(list(request["argv"]), set(request["done"]))
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        json.dump({"packages": result, "log_dir": log_dir}, stream)
    sys.stdout.flush()
    os._exit(0)


def resolve(argv: list[str], done: set[str]) -> tuple[list[dict[str, Any]] | None, str | None]:
    """The merge list with its edges (None if the command line installs nothing); EMERGE_LOG_DIR.

    ``done`` are packages that this emerge has already merged. They count as not installed, so that
    the list is the one with which it began.
    """
    import portage

    portage._internal_caller = True
    from _emerge.actions import adjust_configs
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import backtrack_depgraph

    config = load_config(argv)
    log_dir = config.target_config.settings.get("EMERGE_LOG_DIR")
    if config.action is not None or "--resume" in config.opts:
        return None, log_dir
    hide(config.trees, done)
    adjust_configs(config.opts, config.trees)
    parameters = create_depgraph_params(config.opts, None)
    success, depgraph, _ = backtrack_depgraph(
        config.target_config.settings,
        config.trees,
        config.opts,
        parameters,
        None,
        config.args,
        None,
    )
    if not success:
        return None, log_dir
    merged = [node for node in depgraph.altlist() if getattr(node, "operation", None) == "merge"]
    found = edges(depgraph, merged)
    return [
        {"id": identity(package), "needs": [edge["to"] for edge in found[package]]}
        for package in merged
    ], log_dir


def load_config(argv: list[str]) -> Any:
    """Portage's configuration for a command line, as ``emerge_main`` loads it, no questions."""
    from _emerge.actions import expand_set_arguments, load_emerge_config
    from _emerge.main import parse_opts

    action, opts, files = parse_opts(argv, silent=True)
    config = load_emerge_config(action=action, args=files, opts=opts)
    if "--ignore-default-opts" not in opts:
        settings = config.target_config.settings
        words = shlex.split(settings.get("EMERGE_DEFAULT_OPTS", "")) + argv
        config.action, config.opts, config.args = parse_opts(words, silent=True)
    for option in ("--ask", "--pretend", "--verbose", "--debug", "--tree"):
        config.opts.pop(option, None)
    if config.action is None:
        root = config.target_config.settings["EROOT"]
        root_config = config.trees[root]["root_config"]
        config.args, _ = expand_set_arguments(config.args, None, root_config)
    return config


def hide(trees: Any, done: set[str]) -> None:
    """Hide some installed packages from the resolver."""
    for root in trees:
        database = trees[root]["vartree"].dbapi
        every = database.cpv_all
        database.cpv_all = lambda *args, _all=every, **options: [
            cpv for cpv in _all(*args, **options) if str(cpv) not in done
        ]
