"""`emerge` in a freshroot: resolves as ever, has the packages built outside, merges what comes.

What builds nothing goes to the root's own emerge as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

if not __package__:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

from . import conversation, removing

PLACE = Path("/run/cloche/freshroot")
ETC = Path("/etc/portage")
REPOS = "/var/db/repos/"
#: With one of these nothing is built here, or not for this root.
OWN = (
    "--pretend", "--fetchonly", "--fetch-all-uri", "--usepkgonly", "--getbinpkgonly", "--resume",
    "--buildpkgonly", "--root", "--sysroot", "--config-root", "--prefix", "--skipfirst",
)  # fmt: skip
#: Options that come last, where they win: packages are there, and the user has agreed.
MERGING = ("--ask=n", "--usepkgonly")
#: Variables before emerge that count in builds, beside those of USE_EXPAND.
COUNTED = (
    "USE", "ACCEPT_KEYWORDS", "ACCEPT_LICENSE", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "FFLAGS",
    "FCFLAGS", "LDFLAGS", "ASFLAGS", "RUSTFLAGS", "GOFLAGS", "EXTRA_ECONF", "EXTRA_EMAKE",
    "MYCMAKEARGS", "MYMESONARGS", "INSTALL_MASK",
)  # fmt: skip
#: What emerge says that it does, and cannot do here.
NO_SYNC = (
    "emerge: a repository here is a state in cloche's store, which nothing inside changes: "
    "run `cloche repo sync` outside, then open a new freshroot"
)
MERGING_EMERGE = Path(__file__).with_name("merging.py")
_RUN_TIME = ("runtime", "runtime_post", "installtime")


def main(ourselves: str, arguments: list[str]) -> NoReturn:
    """Carry out the user's emerge command."""
    real = real_emerge(ourselves)
    arguments = [atom_of(each) for each in arguments]
    action, options, words = read(arguments)
    if action == "sync":
        sys.exit(NO_SYNC)
    if action in removing.REMOVING:
        execute(real, removing.sparing(action, words, arguments, installed_packages()))
    if not may_build(action, options, words):
        execute(real, arguments)
    os.environ["FEATURES"] = f"{os.environ.get('CLOCHE_FEATURES', '')} {own_features()}".strip()
    resolved = resolve(options, words)
    if isinstance(resolved, int):
        sys.exit(resolved)
    wanted, tools = resolved
    if not wanted:
        execute(real, arguments)
    status, packages = handed_over(wanted, tools)
    if status != 0 or packages is None:
        sys.exit(status or 1)
    features = f"{os.environ.get('FEATURES', '')} binpkg-multi-instance".strip()
    os.environ.update({"PKGDIR": str(PLACE / packages), "FEATURES": features})
    if "--onlydeps" in options:  # there is no package of what they are dependencies of
        arguments = ["--oneshot", *(f"={each.cpv}" for each in wanted)]
    execute(real, [*arguments, *MERGING])


def real_emerge(ourselves: str) -> str:
    """The next emerge in PATH. Ends the program if there is none."""
    for directory in os.environ.get("PATH", "").split(":"):
        path = Path(directory or ".") / "emerge"
        if os.access(path, os.X_OK) and not path.samefile(ourselves):
            return str(path)
    sys.exit("emerge: there is no Portage in this root")


def execute(real: str, arguments: list[str]) -> NoReturn:
    """Become the real emerge."""
    sys.stdout.flush()
    words = [sys.executable, "-P", "-s", str(MERGING_EMERGE), real, *arguments]
    os.execv(sys.executable, words)  # noqa: S606 - what the user asked for


def read(arguments: list[str]) -> tuple[str, dict[str, Any], list[str]]:
    """The action of a command, its options and its words. "wrong" where emerge refuses them."""
    from _emerge.main import parse_opts

    import portage

    portage._internal_caller = True
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            action, options, words = parse_opts(arguments, silent=True)
            if action is None and "--ignore-default-opts" not in options:
                defaults = shlex.split(portage.settings.get("EMERGE_DEFAULT_OPTS", ""))
                action, options, words = parse_opts([*defaults, *arguments], silent=True)
    except SystemExit:  # the real one says what is wrong
        return "wrong", {}, []
    return action or "", options, words


def may_build(action: str, options: dict[str, Any], words: list[str]) -> bool:
    """Whether something may have to be built for a command, for this root."""
    if action or not words or any(name in options for name in OWN):
        return False
    return all(os.environ.get(name, "/") in ("", "/") for name in ("ROOT", "SYSROOT"))


def installed_packages() -> Any:
    """Portage's database of what is installed in this root."""
    import portage

    return portage.db[portage.settings["EROOT"]]["vartree"].dbapi


def atom_of(word: str) -> str:
    """An argument of emerge; of an ebuild's path, the atom of what it is in its repository."""
    if not word.endswith(".ebuild"):
        return word
    path = os.path.realpath(word)
    parts = path.removeprefix(REPOS).split("/")
    if not path.startswith(REPOS) or len(parts) != 4:
        sys.exit(f"emerge: {word}: only an ebuild below {REPOS} can be built outside")
    return f"={parts[1]}/{parts[3].removesuffix('.ebuild')}::{parts[0]}"


def resolve(options: dict[str, Any], words: list[str]) -> int | tuple[list[Any], list[Any]]:
    """What is to be built: for this root, and as tools of builds alone. A status where it ends."""
    from _emerge.actions import (
        adjust_configs,
        expand_set_arguments,
        load_emerge_config,
        validate_ebuild_environment,
    )
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import backtrack_depgraph
    from portage.output import nocolor

    if not sys.stdout.isatty() or "n" in str(options.get("--color", "")):
        nocolor()
    config = load_emerge_config(action=None, args=words, opts=options)
    adjust_configs(config.opts, config.trees)
    validate_ebuild_environment(config.trees)
    settings, trees, _ = config
    found, status = expand_set_arguments(config.args, None, trees[settings["EROOT"]]["root_config"])
    if status != os.EX_OK:
        return int(status)
    parameters = create_depgraph_params(config.opts, None)
    success, graph, favorites = backtrack_depgraph(
        settings, trees, config.opts, parameters, None, found, None
    )
    if not success:
        graph.display_problems()
        return 1
    packages = [node for node in graph.altlist() if is_built(node)]
    if packages and not agreed(graph, config.opts, favorites):
        return 128 + signal.SIGINT
    graph.display_problems()
    needed = needed_here(graph)
    wanted = [each for each in packages if each in needed]
    return wanted, [each for each in packages if each not in needed]


def is_built(node: Any) -> bool:
    """Whether a node of the graph is a package that is to be built."""
    from _emerge.Package import Package

    return isinstance(node, Package) and node.operation == "merge" and node.type_name == "ebuild"


def agreed(graph: Any, options: dict[str, Any], favorites: Any) -> bool:
    """Show the list where emerge would, and ask where the user wants to be asked."""
    from _emerge.UserQuery import UserQuery

    asks = "--ask" in options
    if asks or (("--tree" in options or "--verbose" in options) and "--quiet" not in options):
        order = "reverse" if "--tree" in options else "in"
        sys.stdout.write(f"\nThese are the packages that would be merged, {order} order:\n\n")
        sys.stdout.flush()
        graph.display(graph.altlist(), favorites=favorites)
    sys.stdout.flush()
    if not asks:
        return True
    prompt = "Would you like to merge these packages?"
    return bool(UserQuery(options).query(prompt, "--ask-enter-invalid" in options) != "No")


def needed_here(graph: Any) -> set[Any]:
    """What the arguments need at run time: a binary package needs no tools of its build."""
    from _emerge.Package import Package

    nodes = graph._dynamic_config.digraph.nodes
    todo = [node for node in nodes if not isinstance(node, Package)]
    seen = set(todo)
    while todo:
        parent = todo.pop()
        for child, priorities in nodes[parent][0].items():
            at_run_time = not isinstance(parent, Package) or any(
                getattr(each, name, False) for each in priorities for name in _RUN_TIME
            )
            if at_run_time and child not in seen:
                seen.add(child)
                todo.append(child)
    return seen


def handed_over(wanted: list[Any], tools: list[Any]) -> tuple[int, str | None]:
    """Have packages built outside; the status, and where the packages lie below `PLACE`."""
    from portage import settings

    roots = (each.root_config for each in (*wanted, *tools))
    vartree = next(roots).trees["vartree"].dbapi
    request = {
        "wanted": [described(each) for each in wanted],
        "tools": [[each.cp, each.slot] for each in tools],
        "installed": [installed(vartree, cpv) for cpv in vartree.cpv_all()],
        "etc": etc_files(),
        "profile": profile(settings),
        "environment": environment(settings),
        **conversation.terminal(),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(PLACE / "socket"))
        except OSError as error:
            sys.exit(f"emerge: cloche does not answer: {error.strerror}")
        return conversation.converse(connection, json.dumps(request).encode())


def own_features() -> str:
    """The words of FEATURES that are the user's, and not a freshroot's."""
    given = os.environ.get("CLOCHE_FEATURES", "").split()
    return " ".join(w for w in os.environ.get("FEATURES", "").split() if w not in given)


def environment(settings: Any) -> dict[str, str]:
    """The variables before emerge that count. Ends the program for one that cannot be passed on."""
    names = {*COUNTED, *settings.get("USE_EXPAND", "").split()}
    found = {name: os.environ[name] for name in sorted(names) if name in os.environ}
    if features := own_features():
        found["FEATURES"] = features
    for name, value in found.items():
        if set(value) & set('"\\$`') or not value.isprintable():
            what = f"emerge: {name} of the environment cannot be passed to a build outside"
            sys.exit(f"{what}: write it to /etc/portage/make.conf")
    return found


def described(package: Any) -> dict[str, Any]:
    """A package that is to be built, with its flags."""
    use = sorted(set(package.use.enabled) & set(package.iuse.all))
    return {"cpv": str(package.cpv), "repo": package.repo, "slot": package.slot, "use": use}


def installed(vartree: Any, cpv: Any) -> dict[str, Any]:
    """An installed package, with its flags on and off."""
    slot, iuse, use = vartree.aux_get(cpv, ["SLOT", "IUSE", "USE"])
    flags = sorted({flag.lstrip("+-") for flag in iuse.split()})
    on = set(use.split())
    words = [flag if flag in on else f"-{flag}" for flag in flags]
    return {"cpv": str(cpv), "slot": slot.partition("/")[0], "use": words}


def etc_files() -> dict[str, str]:
    """The text of each file below /etc/portage but for links, which are cloche's own."""
    found = {}
    for above, directories, names in os.walk(ETC):
        directories.sort()
        for name in sorted(names):
            path = Path(above, name)
            if path.is_file() and not path.is_symlink():
                text = path.read_bytes().decode("utf-8", "surrogateescape")
                found[str(path.relative_to(ETC))] = text.encode("utf-8", "replace").decode()
    return found


def profile(settings: Any) -> str:
    """The chosen profile as REPO:PATH; empty if it is in no repository."""
    path = os.path.realpath(settings.profile_path or ETC / "make.profile")
    repository, found, below = path.removeprefix(REPOS).partition("/profiles/")
    return f"{repository}:{below}" if path.startswith(REPOS) and found else ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
