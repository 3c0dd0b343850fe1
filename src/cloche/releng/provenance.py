"""States what an output was made from: in-toto statements with SLSA provenance.

Formats: https://in-toto.io/Statement/v1, https://slsa.dev/spec/v1.0/provenance. A statement has no
time and no path of the build host, so equal inputs give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cloche.catalyst.conf import Conf
from cloche.catalyst.hostpaths import CACHES, PUBLIC_KEY, path_keys
from cloche.catalyst.paths import compression_mode
from cloche.catalyst.spec import Spec
from cloche.config.lock import DistfilePin, RepoPin
from cloche.releng.inputs import snapshot_of, source_of
from cloche.session.building import Result
from cloche.version import version

SUFFIX = ".intoto.json"
_BUILD_TYPE = "urn:cloche:catalyst-spec:1"
_BUILDER = "urn:cloche"
_COMMIT = re.compile("[0-9a-f]{40}")

Resource = dict[str, Any]
"""A ResourceDescriptor of in-toto: a name, digests by their algorithms, annotations."""


def provenance(
    spec: Spec, conf: Conf, results: Iterable[Result], files: Mapping[str, Path]
) -> bytes:
    """The statement about files by their names, as the bytes of a JSON file. Raises OSError.

    ``results`` are those of the spec's machines in their order.
    """
    results = tuple(results)
    names = sorted(files)
    return _bytes(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": digests(files[name])} for name in names],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": _BUILD_TYPE,
                    "externalParameters": _parameters(spec, conf),
                    "resolvedDependencies": [*_of_spec(spec, conf), *_of_machines(results)],
                },
                "runDetails": {
                    "builder": {"id": _BUILDER, "version": {"cloche": version()}},
                    "byproducts": [*_packages(results)],
                },
            },
        }
    )


def digests(file: Path) -> Mapping[str, str]:
    """SHA-256 and SHA-512 of a file."""
    found = hashlib.sha256(), hashlib.sha512()
    with file.open("rb") as content:
        while part := content.read(1 << 20):
            for each in found:
                each.update(part)
    return {each.name: each.hexdigest() for each in found}


def directory_digest(directory: Path) -> str:
    """in-toto's ``dirHash``, which is that of Go's modules (h1); a link counts by its target.

    Raises OSError.
    """
    lines = []
    for place, directories, names in os.walk(directory):
        for name in (*names, *(each for each in directories if Path(place, each).is_symlink())):
            path = Path(place, name)
            if not path.is_symlink() and not path.is_file():
                continue  # a FIFO, for example, which never becomes a part of an output
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            relative = path.relative_to(directory).as_posix()
            lines.append((relative, hashlib.sha256(content).hexdigest()))
    text = "".join(f"{value}  {name}\n" for name, value in sorted(lines))
    encoded = text.encode("utf-8", "surrogateescape")
    return "h1:" + base64.b64encode(hashlib.sha256(encoded).digest()).decode()


def _bytes(statement: Mapping[str, Any]) -> bytes:
    return (json.dumps(statement, indent=1, sort_keys=True, ensure_ascii=True) + "\n").encode()


def _parameters(spec: Spec, conf: Conf) -> Mapping[str, Any]:
    """The user's choices: the spec's values except paths, and the options of catalyst.conf."""
    paths = path_keys(spec)
    values = {key: setting.value for key, setting in spec.settings.items() if key not in paths}
    options = sorted(conf.words("options"))
    return {"spec": values, "options": options, "compression_mode": compression_mode(spec, conf)}


def _of_spec(spec: Spec, conf: Conf) -> Iterator[Resource]:
    """Everything that a spec and catalyst.conf name."""
    source, snapshot = source_of(spec, conf), snapshot_of(spec, conf)
    yield _file("source", source)
    treeish = spec.text("snapshot_treeish")
    commit = {"gitCommit": treeish} if _COMMIT.fullmatch(treeish) else {}
    yield {"name": "snapshot", "digest": {**digests(snapshot), **commit}}
    yield from named_files(spec, conf)


def named_files(spec: Spec, conf: Conf) -> Iterator[Resource]:
    """The files and directories that a spec and catalyst.conf name, besides source and snapshot.

    Those that do not exist are left out. Raises OSError.
    """
    for key, kind in path_keys(spec).items():
        if kind in CACHES:
            continue
        for number, word in enumerate(spec.words(key)):
            place = Path(word.partition("=")[2] if kind == PUBLIC_KEY else word)
            name = key if number == 0 else f"{key} {number + 1}"
            if place.is_dir():
                yield {"name": name, "digest": {"dirHash": directory_digest(place)}}
            elif place.is_file():
                yield _file(name, place)
    if (envscript := Path(conf.text("envscript"))).is_file():
        yield _file("envscript", envscript)


def _file(name: str, file: Path) -> Resource:
    return {"name": name, "digest": digests(file)}


def _of_machines(results: Iterable[Result]) -> Iterator[Resource]:
    """Layers of seeds and configurations, repositories, and distfiles, each once."""
    found: dict[str, Resource] = {}
    for result in results:
        if (origins := result.origins) is None:
            continue
        for kind, layer in origins.base.items():
            name = f"{kind} of {result.machine}"
            found[name] = {"name": name, "digest": {"clocheLayer": layer}}
        for name, repo in origins.repos.items():
            found[f"repository {name}"] = _repository(name, repo)
        for pin in origins.distfiles:
            found[f"distfile {pin.name}"] = _distfile(pin)
    return (found[name] for name in sorted(found))


def _repository(name: str, repo: RepoPin) -> Resource:
    sha256 = {"sha256": repo.digest} if repo.digest else {}
    commit = {"gitCommit": repo.commit} if repo.commit else {}
    digest = {"clocheLayer": repo.tree, **sha256, **commit}
    return {"name": f"repository {name}", "digest": digest}


def _distfile(pin: DistfilePin) -> Resource:
    algorithm, _, value = pin.digest.partition(":")
    return {"name": f"distfile {pin.name}", "digest": {algorithm.lower(): value}}


def _packages(results: Iterable[Result]) -> Iterator[Resource]:
    """The binary packages of each machine with their keys."""
    for result in results:
        for each in result.origins.packages if result.origins else ():
            about = {"machine": result.machine, "repository": each.repo, "key": each.key}
            use = {"member": each.member, "layer": each.layer}
            yield {"name": each.cpv, "digest": {"sha256": each.gpkg}, "annotations": about | use}
