"""Places outputs below builds/, with the files that catalyst writes beside them.

Everything is written under a temporary name first, so a file under its own name is complete.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.archives.listing import listing
from cloche.archives.tarball import import_tarball
from cloche.catalyst.conf import Conf
from cloche.catalyst.packing import IMAGE
from cloche.catalyst.paths import IMAGES, Output, compression_mode, outputs
from cloche.catalyst.spec import Spec
from cloche.config.errors import ConfigError, Origin
from cloche.errors import ClocheError, Exit
from cloche.fetching.signing import Signer
from cloche.releng.provenance import SUFFIX, provenance
from cloche.session.building import Result
from cloche.store import Outcome, Store, make_key, remember

CONTENTS_FORMAT = "1"  # raise it when an archive is listed in another way
LONGEST = 234  # bytes of an output's name: 255 without those of `.NAME.intoto.json.asc.new`
#: The names in the directory of a netboot, or their endings.
_OF_NETBOOT = ("boot", "kernels", "-hppa.lif", "-a.out")


@dataclass(frozen=True, slots=True)
class Attest:
    """The files beside an output that catalyst does not write: signature and provenance."""

    signer: Signer | None = None
    provenance: bool = False


NOTHING_MORE = Attest()
Describe = Callable[[Path, Path, Path, ExitStack], None]
"""Writes further files beside an output.

Arguments: the output's path, the copy that gets that path, the list of its content, and the
stack that renames temporary files at its end.
"""


def publish(
    spec: Spec,
    conf: Conf,
    made: Mapping[str, Path],
    results: Sequence[Result] = (),
    attest: Attest = NOTHING_MORE,
) -> tuple[Output, ...]:
    """Copy the outputs of the last machine to catalyst's paths, and describe them.

    ``made`` has the list of a tarball's content, too (`listed`). ``results`` are those of the
    spec's machines. The output of a netboot is a directory.
    Raises ClocheError, OSError.
    """
    wanted = outputs(spec, conf)
    if spec.text("target") == "netboot":
        _unpack(made["stage4"], Path(wanted[0].path))
        return wanted
    more: list[Output] = []

    def describe(place: Path, copy: Path, packed: Path, stack: ExitStack) -> None:
        """Write the files that catalyst does not write, before the output gets its name."""
        signed = {place: copy}
        if attest.provenance:
            statement = Path(f"{place}{SUFFIX}")
            signed[statement] = stack.enter_context(aside(statement))
            subjects = {place.name: copy, f"{place.name}.CONTENTS.gz": packed}
            signed[statement].write_bytes(provenance(spec, conf, results, subjects))
            more.append(Output("provenance", str(statement)))
        if attest.signer is not None:
            for file, content in signed.items():
                signature = Path(f"{file}.asc")
                attest.signer.detached(content, stack.enter_context(aside(signature)))
                more.append(Output("signature", str(signature)))

    for each in wanted:
        if each.kind == "tarball":
            file = made.get(IMAGE, made["stage4"])
            _publish(Path(each.path), file, made["stage4-contents"], conf, describe)
        elif each.kind in IMAGES:
            contents = made[f"{each.kind}-contents"]
            _publish(Path(each.path), made[each.kind], contents, conf, describe)
    return (*(each for each in wanted if each.kind != "directory"), *more)


def _publish(place: Path, file: Path, contents: Path, conf: Conf, describe: Describe) -> None:
    """Copy a file to its path. It gets its name last, after the files that describe it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        copy = stack.enter_context(aside(place))
        shutil.copyfile(file, copy)
        described = Path(f"{place}.CONTENTS.gz")
        packed = stack.enter_context(aside(described))
        _write_contents(contents, packed)
        if "digests" in conf.values:
            files = {place.name: copy, described.name: packed}
            digests = stack.enter_context(aside(Path(f"{place}.DIGESTS")))
            digests.write_text("".join(_digests(conf, files)))
            one = stack.enter_context(aside(Path(f"{place}.sha256")))
            one.write_text(_digest("sha256", place.name, copy, conf))
        describe(place, copy, packed, stack)


def check_replaceable(spec: Spec, conf: Conf) -> None:
    """See that the outputs of a spec only replace files of the same kind. Raises ClocheError."""
    if spec.text("target") == "netboot":
        _check_netboot(Path(outputs(spec, conf)[0].path))
        return
    files = [Path(each.path) for each in outputs(spec, conf) if each.kind != "directory"]
    for file in files:
        above = any(file in other.parents for other in files)
        if above or files.count(file) > 1 or file.is_dir():
            reason = "is a directory" if above or file.is_dir() else "is another output, too"
            what = f"writes {file}, which {reason}"
            raise ConfigError(Origin(spec.file), what, "give the output another name")


def _check_netboot(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise ClocheError(f"{place} is not a directory", todo="move it, so that it can be replaced")
    for other in sorted(place.iterdir()) if place.exists() else ():
        if not other.name.endswith(_OF_NETBOOT):
            what = f"{other} is not a file of a netboot"
            raise ClocheError(what, todo="move it, so that the directory can be replaced")


def _unpack(tarball: Path, place: Path) -> None:
    """Unpack the files of a netboot, in place of earlier ones. Raises ClocheError, OSError."""
    new, old = (place.with_name(f".{place.name}.{state}") for state in ("new", "old"))
    _check_netboot(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in (new, old):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    import_tarball(tarball, new)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def files_of(written: Iterable[Output]) -> Mapping[str, Path]:
    """The files by their kinds; only the first of each kind."""
    found: dict[str, Path] = {}
    for each in written:
        found.setdefault(each.kind, Path(each.path))
    return found


def listed(store: Store, result: Result) -> Mapping[str, Path]:
    """The outputs of a machine, and the list of its tarball's content, which is made once.

    Raises ClocheError, OSError.
    """
    if "stage4" not in result.outputs:
        return result.outputs

    def make() -> Outcome:
        with store.workspace("contents") as room:
            with (room / "contents").open("wb") as target:
                target.writelines(line + b"\n" for line in listing(result.outputs["stage4"]))
            return Outcome({"contents": store.add_blob(room / "contents", result.machine).id})

    key = make_key("contents", {"stage4": result.blobs["stage4"], "format": CONTENTS_FORMAT})
    action = remember(store, key, result.machine, make).action
    return {**result.outputs, "stage4-contents": store.blob(action.outputs["contents"]).path}


def _write_contents(contents: Path, file: Path) -> None:
    with (
        contents.open("rb") as lines,
        file.open("wb") as target,
        gzip.GzipFile("", "wb", fileobj=target, mtime=0) as packed,
    ):
        shutil.copyfileobj(lines, packed)
        packed.write(b"\n")


#: Modes whose tarballs a program of this host reads, to list their content.
_READERS = ("zstd", "lzip", "lzop")


def check_reader(spec: Spec, conf: Conf) -> None:
    """See that the content of a spec's tarball can be listed. Raises ClocheError."""
    program = compression_mode(spec, conf).removesuffix("_x")
    if program in _READERS and shutil.which(program) is None:
        todo = f"install {program}: it is needed to write .CONTENTS.gz"
        raise ClocheError(f"{program} not found", where=spec.file, todo=todo, status=Exit.HOST)


def check_digests(conf: Conf) -> None:
    """See that the digests of catalyst.conf exist. Raises `ConfigError`."""
    for name in conf.words("digests"):
        if name not in hashlib.algorithms_guaranteed or name.startswith("shake"):
            origin = conf.origins["digests"]
            raise ConfigError(origin, f"no digest is called “{name}”", "for example sha512")


def _digests(conf: Conf, files: Mapping[str, Path]) -> Iterator[str]:
    for name, content in files.items():
        for digest in sorted(conf.words("digests")):
            yield _digest(digest, name, content, conf)


def _digest(digest: str, name: str, file: Path, conf: Conf) -> str:
    """A digest of a file called ``name``, as catalyst writes it, or as BSD's programs do."""
    with file.open("rb") as content:
        value = hashlib.file_digest(content, digest).hexdigest()
    if conf.text("digest_format") == "bsd":
        return f"{digest.upper()} ({name}) = {value}\n"
    return f"# {digest.upper()} HASH\n{value}  {name}\n"


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """A temporary name next to a file; it is renamed when the block ends without an error.

    The name is always the same, so the next run replaces what a killed one left behind.
    """
    beside = place.with_name(f".{place.name}.new")
    beside.unlink(missing_ok=True)  # it may be a link or a FIFO
    try:
        yield beside
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
