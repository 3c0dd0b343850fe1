"""What the subcommands of `cloche catalyst` share: options, and the specs that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from cloche.catalyst.conf import PLACE, Conf, read_conf
from cloche.catalyst.hostpaths import rooted
from cloche.catalyst.spec import Spec, read_spec
from cloche.catalyst.tokens import TOKENS, checkout_of, fill
from cloche.cli.options import Options, opened_session
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.errors import ClocheError
from cloche.records.events import Sink
from cloche.releng.opening import Opening

PATH = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def complete_token(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Tokens that catalyst-auto fills in."""
    return [f"{name}=" for name in TOKENS if name.startswith(begun)]


SET = click.option(
    "--set",
    "given",
    metavar="TOKEN=VALUE",
    multiple=True,
    shell_complete=complete_token,
    help="Fill in a token, such as TIMESTAMP. Repeatable.",
)
CONFS = click.option(
    "-c",
    "--configs",
    "--conf",
    "confs",
    multiple=True,
    type=FILE,
    help=f"Read it, not {PLACE}. Repeatable: of a key in several files the last counts.",
)
OVERRIDES = click.option(
    "-C", "overrides", metavar="KEY=VALUE", multiple=True, help="Replace a value of the spec."
)


def read_confs(options: Options, confs: Sequence[Path]) -> Conf:
    """catalyst.conf, by default that of the system if there is one. Raises `ConfigError`."""
    wanted = confs or ((PLACE,) if PLACE.is_file() else ())
    return read_conf((short(options.directory / each) for each in wanted), options.directory)


def read_one(options: Options, file: Path, overrides: Sequence[str], given: Sequence[str]) -> Spec:
    """A spec with its tokens filled in and its values replaced. Raises `ConfigError`."""
    file = short(options.directory / file)
    return filled(file, tokens_of(given, [file])).overridden(overrides)


def read_to_build(
    options: Options, file: Path, overrides: Sequence[str], given: Sequence[str]
) -> Spec:
    """As `read_one`, with relative paths of this host made absolute. Raises `ConfigError`."""
    return rooted(read_one(options, file, overrides, given), options.directory)


def check_given(options: Options, given: Sequence[str], files: Sequence[Path]) -> None:
    """See that each token of ``--set`` is catalyst-auto's, or in one of the files.

    Raises ClocheError.
    """
    texts = [(options.directory / file).read_text(errors="replace") for file in files]
    for name in tokens_of(given, ()):
        if name not in TOKENS and not any(f"@{name}@" in text for text in texts):
            near = nearest(name, TOKENS)
            todo = f"did you mean {near}?" if near else f"catalyst-auto has {', '.join(TOKENS)}"
            raise ClocheError(f"--set: no spec has @{name}@", todo=todo)


def filled(file: Path, tokens: Mapping[str, str]) -> Spec:
    """A spec with its tokens filled in. Raises `ConfigError`."""
    return read_spec(file, lambda text: fill(text, tokens))


def opening(options: Options, sink: Sink) -> Opening:
    """Opens sessions for the projects of specs, with the store and engine of the command line."""
    return lambda project: opened_session(options, project, sink=sink)


def specs_in(options: Options, paths: Iterable[Path]) -> list[Path]:
    """The files themselves, and those below directories, each once. Raises `ConfigError`."""
    found = dict[Path, None]()
    for path in paths:
        place = options.directory / path
        inside = sorted(place.rglob("*.spec")) if place.is_dir() else [place]
        if not inside:
            todo = "name a directory with spec files"
            raise ConfigError(Origin(path), "no file below it ends with .spec", todo)
        found |= dict.fromkeys(inside)
    return [short(file) for file in found]


def short(file: Path) -> Path:
    """As a user would name it from the current directory."""
    return file.relative_to(here) if file.is_relative_to(here := Path.cwd()) else file


def tokens_of(given: Sequence[str], files: Sequence[Path]) -> Mapping[str, str]:
    """The values of ``--set``, and REPO_DIR where the first file is in a releng checkout."""
    values = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ClocheError(f"--set: “{each}” is not TOKEN=VALUE", todo="write --set NAME=VALUE")
        values[name] = value
    releng = checkout_of(files[0]) if files else None
    return {"REPO_DIR": str(releng), **values} if releng else values
