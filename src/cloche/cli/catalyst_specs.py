"""What `cloche catalyst` and `cloche releng` share: options, specs, and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from cloche.catalyst.conf import PLACE, Conf, read_conf
from cloche.catalyst.hostpaths import rooted
from cloche.catalyst.spec import Spec, read_spec
from cloche.catalyst.tokens import TOKENS, checkout_of, fill
from cloche.cli.options import Options, opened_session
from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.files import check_utf8, read_text
from cloche.display.text import count
from cloche.errors import ClocheError
from cloche.fetching.signing import Signer, opened_signer
from cloche.records.events import Sink
from cloche.releng.opening import Opening
from cloche.releng.preview import Foreseen

PATH = click.Path(exists=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def complete_token(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The tokens that catalyst-auto fills in."""
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
    help=f"Configuration [{PLACE}]. Repeatable: the last value of a key counts.",
)
OVERRIDES = click.option(
    "-C", "overrides", metavar="KEY=VALUE", multiple=True, help="Replace a value of the spec."
)
SIGN = click.option(
    "--sign", metavar="KEYID", help="Write FILE.asc for each output, signed by gpg with this key."
)
PROVENANCE = click.option(
    "--provenance",
    is_flag=True,
    help="Write FILE.intoto.json for each output: its inputs with their digests (SLSA).",
)


def read_confs(options: Options, confs: Sequence[Path]) -> Conf:
    """catalyst.conf, by default that of the system if it exists. Raises `ConfigError`."""
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
    """Check that each token of ``--set`` is one of catalyst-auto's or occurs in one of the files.

    Raises ClocheError.
    """
    names = given_tokens(given)
    texts = (
        [read_text(short(options.directory / file), Path("/")) for file in files] if names else []
    )
    for name in names:
        if name not in TOKENS and not any(f"@{name}@" in text for text in texts):
            near = nearest(name, TOKENS)
            todo = f"did you mean {near}?" if near else f"catalyst-auto has {', '.join(TOKENS)}"
            raise ClocheError(f"--set: no spec contains @{name}@", todo=todo)


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
            raise ConfigError(Origin(path), "no spec files found", todo)
        found |= dict.fromkeys(inside)
    return [short(file) for file in found]


def short(file: Path) -> Path:
    """The path relative to the current directory if it is below it."""
    return file.relative_to(here) if file.is_relative_to(here := Path.cwd()) else file


def tokens_of(given: Sequence[str], files: Sequence[Path]) -> Mapping[str, str]:
    """The values of ``--set``, and REPO_DIR if the first file is in a releng checkout."""
    values = given_tokens(given)
    releng = checkout_of(files[0]) if files else None
    return {"REPO_DIR": str(releng), **values} if releng else values


def given_tokens(given: Sequence[str]) -> dict[str, str]:
    """The values of ``--set``. Raises ClocheError."""
    values = {}
    for each in given:
        check_utf8(each, Origin(Path("--set")))
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise ClocheError(f"--set: “{each}” is not TOKEN=VALUE", todo="write --set NAME=VALUE")
        values[name] = value
    return values


def signing(key: str | None) -> AbstractContextManager[Signer | None]:
    """The signer of outputs for a block; None without a key. Raises ClocheError."""
    return opened_signer(key) if key is not None else nullcontext()


def fates(machine: Foreseen) -> str:
    """How many packages of a machine would be built and reused."""
    if machine.after is not None:
        return f"known when {machine.after} is built"
    perhaps = f", {len(machine.perhaps)} perhaps" if machine.perhaps else ""
    built = count(len(machine.built), "package")
    return f"{built} to build{perhaps}, {len(machine.reused)} reused"
