"""Resolves atoms and sets as ``emerge ATOMS`` does; the answer is plain data."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    __package__ = "guest"

import contextlib
import gc
import os
from typing import Any

from . import settings as guest_settings
from .both_roots import configured_alike
from .capture import captured_output
from .complaints import ineffective, of_portage
from .failures import classify_resolve
from .graph import edges, identity, merge_list, requested
from .installed import needs, uses
from .protocol import Channel, Failed, serve
from .refusals import broken, located, masks

#: Where the index of each binary package host is bound.
BINHOSTS = "/run/cloche/binhosts"
#: New objects before Python collects garbage. Portage's graph stays in memory; with Python's
#: default of 700, a tenth of a resolution would be spent on searching it.
GARBAGE = 1_000_000
#: What ``emerge --getbinpkg`` means to the resolver.
BINARY = {"--usepkg": True, "--getbinpkg": True, "--binpkg-respect-use": "y"}
#: What ``emerge --autounmask-write`` may propose. Nothing is written; the answer has its output.
PROPOSE = {
    "--autounmask": True,
    "--autounmask-backtrack": "y",
    "--autounmask-keep-keywords": "n",
    "--autounmask-keep-masks": "n",
    "--autounmask-license": "y",
    "--autounmask-use": "y",
}


def main(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Answer a request of the protocol."""
    gc.set_threshold(GARBAGE)
    hosts = list(request.get("binhosts", ()))
    guest_settings.apply(
        request["root"],
        PORTAGE_BINHOST=" ".join(f"file://{BINHOSTS}/{name}" for name in hosts),
    )
    guest_settings.root().mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        captured = stack.enter_context(captured_output())
        try:
            answer = resolve(
                list(request["atoms"]),
                installed=request.get("installed", False),
                binary=bool(hosts),
                options=options_of(request),
            )
        except Failed as failure:
            stack.close()
            raise with_words(failure, captured.text) from None
    own = answer.pop("ineffective")
    complaints, answer["sayings"] = of_portage(captured.text)
    answer["complaints"] = list(dict.fromkeys([*complaints, *own]))
    return answer


def with_words(failure: Failed, text: str) -> Failed:
    """The failure with Portage's output, and with the kind and details that this output gives."""
    own = str(failure.fields.get("text", ""))
    text = "\n".join(part for part in (text, own) if part)
    kind, atom = classify_resolve(text)
    fields = {"kind": kind, "atom": atom, **failure.fields}
    if kind == "masked":
        fields["masks"] = [located(mask) for mask in masks(text)]
    if kind == "other" and atom is not None and (place := broken(text)):
        fields |= {"kind": "broken", **place}
    fields["text"] = text or "Portage gave no reason"
    return Failed(**fields)


def options_of(request: dict[str, Any]) -> dict[str, Any]:
    """Options of emerge.

    With "binhosts" packages come from there; with "propose" a failure's text has the changes that
    would solve it; with "root_deps" all build dependencies go into ROOT, as if at run time.
    "emerge" are the machine's own, as on emerge's command line.
    """
    from _emerge.main import parse_opts

    _, own, _ = parse_opts(list(request.get("emerge", ())), silent=True)
    return {
        **own,
        **(BINARY if request.get("binhosts") else {}),
        **(PROPOSE if request.get("propose") else {}),
        **({"--root-deps": True} if request.get("root_deps") else {}),
    }


def resolve(
    atoms: list[str], *, installed: bool, binary: bool, options: dict[str, Any]
) -> dict[str, Any]:
    """The merge list of ``emerge OPTIONS ATOMS`` with its graph. Raises Failed.

    With ``installed`` it also has the installed packages. ``binary``: there are binary packages.
    """
    emerge_config = load_config(atoms, options)
    if binary:
        bintree = emerge_config.target_config.trees["bintree"]
        bintree.populate(getbinpkgs=True, getbinpkg_refresh=True)
    depgraph = calculate(emerge_config)
    depgraph.display_problems()
    merged = merge_list(depgraph)
    answer = answer_of(depgraph, merged, emerge_config)
    config = emerge_config.target_config
    answer["ineffective"] = ineffective(config.settings, config.trees, merged)
    if installed:
        for fields, used in zip(answer["packages"], uses(depgraph, merged).values(), strict=True):
            fields["uses"] = used
        answer["installed"] = needs(emerge_config.running_config.trees["vartree"].dbapi)
    return answer


def load_config(atoms: list[str], options: dict[str, Any]) -> Any:
    """Portage's configuration, as emerge loads it. Raises Failed if it is broken."""
    import portage

    portage._internal_caller = True
    if guest_settings.own_root():
        configured_alike()
    from _emerge.actions import adjust_configs, load_emerge_config, validate_ebuild_environment
    from portage.output import nocolor

    nocolor()
    check_profile()
    try:
        config = load_emerge_config(action=None, args=atoms, opts={"--color": "n", **options})
    except (Exception, SystemExit) as error:
        # Portage does not catch every error in a user's files; its output is captured.
        text = f"!!! Portage cannot read its configuration: {type(error).__name__}: {error}"
        raise Failed(kind="other", atom=None, text=text) from error
    check_repositories(config.target_config.settings)
    adjust_configs(config.opts, config.trees)
    validate_ebuild_environment(config.trees)
    return config


def check_profile() -> None:
    """Refuse a missing profile: without it Portage continues and reports unrelated errors."""
    link = Path("/etc/portage/make.profile")
    if not link.exists():
        target = f" (a link to {link.readlink()})" if link.is_symlink() else ""
        text = f"!!! {link}{target} is not a directory: there is no profile."
        raise Failed(kind="other", atom=None, text=text)


def check_repositories(settings: Any) -> None:
    """Refuse what emerge itself refuses before it resolves."""
    problems = []
    if not settings.profiles:
        problems.append("!!! The profile at /etc/portage/make.profile cannot be read.")
    if settings.repositories.mainRepo() is None:
        problems.append("!!! No main repository: repos.conf names none that exists.")
    if not settings.get("ARCH"):
        problems.append("!!! The profile sets no ARCH.")
    if problems:
        raise Failed(kind="other", atom=None, text="\n".join(problems))


def calculate(emerge_config: Any) -> Any:
    """The depgraph. Raises Failed after Portage has displayed the problems."""
    from _emerge.actions import expand_set_arguments
    from _emerge.create_depgraph_params import create_depgraph_params
    from _emerge.depgraph import backtrack_depgraph
    from portage.exception import PackageSetNotFound, PortageException

    settings, trees, _ = emerge_config
    check_arguments(emerge_config.args)
    arguments, status = expand_set_arguments(
        emerge_config.args, None, trees[settings["EROOT"]]["root_config"]
    )
    if status != os.EX_OK:
        raise Failed(kind="unknown", atom=missing_set(emerge_config))
    parameters = create_depgraph_params(emerge_config.opts, None)
    try:
        success, depgraph, _ = backtrack_depgraph(
            settings, trees, emerge_config.opts, parameters, None, arguments, None
        )
    except PackageSetNotFound as error:
        text = f"There is no set '@{error.value}'."
        raise Failed(kind="unknown", atom=f"@{error.value}", text=text) from error
    except PortageException as error:
        raise Failed(text=f"!!! {type(error).__name__}: {error}") from error
    if not success:
        depgraph.display_problems()
        raise Failed()
    return depgraph


def check_arguments(arguments: list[str]) -> None:
    """Refuse paths and files, which emerge would accept: a request has only atoms and sets."""
    for argument in arguments:
        if argument.startswith(("/", ".", "-")) or argument.endswith((".ebuild", ".tar", ".tbz2")):
            text = f"'{argument}' is neither an atom nor a set."
            raise Failed(kind="unknown", atom=argument, text=text)


def missing_set(emerge_config: Any) -> str | None:
    """The first set among the arguments that does not exist."""
    known = emerge_config.target_config.sets
    sets = [name for name in emerge_config.args if name.startswith("@")]
    return next((name for name in sets if name[1:] not in known), None)


def answer_of(depgraph: Any, merged: list[Any], emerge_config: Any) -> dict[str, Any]:
    """The answer of the protocol."""
    import portage

    from .binaries import describe_binary
    from .describe import describe

    configs = {
        config.settings["EROOT"]: portage.config(clone=config.settings)
        for config in (emerge_config.target_config, emerge_config.running_config)
    }
    settings = configs[emerge_config.target_config.settings["EROOT"]]
    found = edges(depgraph, merged)
    packages = []
    for package in merged:
        own, trees = configs[package.root], package.root_config.trees
        if package.built:
            fields = describe_binary(package, own, trees["bintree"])
        else:
            fields = describe(package, own, trees["porttree"].dbapi)
        fields["requested"] = requested(depgraph, package)
        fields["edges"] = found[package]
        packages.append(fields)
    assert len({identity(package) for package in merged}) == len(merged)  # noqa: S101
    return {
        "packages": packages,
        "portage": portage.VERSION,
        "use_expand": variables(settings, "USE_EXPAND"),
        "use_expand_hidden": variables(settings, "USE_EXPAND_HIDDEN"),
    }


def variables(settings: Any, name: str) -> list[str]:
    """The names of variables in the value of ``name``, sorted."""
    return sorted({word for word in settings.get(name, "").split() if word.isidentifier()})


if __name__ == "__main__":
    serve(main)
