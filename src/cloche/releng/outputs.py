"""Puts what was built in its place below builds/, with the files that catalyst writes beside it.

Everything is written beside its place first, so that a name is a whole file or is not there.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.archives.listing import listing
from cloche.catalyst.conf import Conf
from cloche.catalyst.paths import Output, outputs
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError


def publish(spec: Spec, conf: Conf, tarball: Path) -> tuple[Output, ...]:
    """Copy a tarball to where catalyst has it, and describe it. Raises ClocheError, OSError."""
    wanted = outputs(spec, conf)
    place = Path(next(each.path for each in wanted if each.kind == "tarball"))
    place.parent.mkdir(parents=True, exist_ok=True)
    with _aside(place) as aside:
        shutil.copyfile(tarball, aside)
    contents = Path(f"{place}.CONTENTS.gz")
    with (
        _aside(contents) as aside,
        aside.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
    ):
        for line in listing(place):
            packed.write(line + b"\n")
        packed.write(b"\n")
    if "digests" in conf.values:
        with _aside(Path(f"{place}.DIGESTS")) as aside:
            aside.write_text("".join(_digests(conf, place, contents)))
        with _aside(Path(f"{place}.sha256")) as aside:
            aside.write_text(_digest("sha256", place, conf))
    return wanted


def check_digests(conf: Conf) -> None:
    """See that the digests of catalyst.conf exist. Raises `ConfigError`."""
    for name in conf.words("digests"):
        if name not in hashlib.algorithms_guaranteed or name.startswith("shake"):
            origin = conf.origins["digests"]
            raise ConfigError(origin, f"no digest is called “{name}”", "for example sha512")


def _digests(conf: Conf, *files: Path) -> Iterator[str]:
    for file in files:
        for name in sorted(conf.words("digests")):
            yield _digest(name, file, conf)


def _digest(name: str, file: Path, conf: Conf) -> str:
    """A digest as catalyst writes it, or as BSD's programs do."""
    with file.open("rb") as content:
        value = hashlib.file_digest(content, name).hexdigest()
    if conf.text("digest_format") == "bsd":
        return f"{name.upper()} ({file.name}) = {value}\n"
    return f"# {name.upper()} HASH\n{value}  {file.name}\n"


@contextmanager
def _aside(place: Path) -> Iterator[Path]:
    """A name beside a file's own, which takes it over when the block has ended well."""
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
