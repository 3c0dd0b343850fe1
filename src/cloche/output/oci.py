"""A root as an OCI image: an archive of an image layout, made of the root's layers as they are.

Formats: OCI image-spec 1.1, image-layout.md, image-index.md, manifest.md, config.md; besides them
``manifest.json``, which `docker load` reads (moby, image/spec). No program is run. A layer of the
image is made once for each group of layers of the root (`cloche.output.oci_layers`), whatever
machine has it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from cloche.archives.tarformat import Member
from cloche.archives.tarwriting import TarWriter
from cloche.building.context import BuildContext
from cloche.config.chost import cpu_of
from cloche.config.errors import ConfigError
from cloche.config.images import Image, Oci
from cloche.layers import SOURCE_DATE_EPOCH, Layer
from cloche.output.finished import Finished
from cloche.output.oci_layers import FORMAT, OciLayer, groups, oci_layer
from cloche.seeds.arch import arch_of, host_arch
from cloche.store import Outcome

_TYPE = "application/vnd.oci.image"
_BLOBS = "blobs/sha256"
_CREATED = datetime.fromtimestamp(SOURCE_DATE_EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
#: Go's names (GOARCH) of Gentoo's architectures, with the variant where there is one.
_PLATFORMS = {
    "amd64": {"architecture": "amd64"},
    "arm": {"architecture": "arm", "variant": "v7"},
    "arm64": {"architecture": "arm64", "variant": "v8"},
    "loong": {"architecture": "loong64"},
    "ppc64": {"architecture": "ppc64le"},
    "riscv": {"architecture": "riscv64"},
    "s390": {"architecture": "s390x"},
    "x86": {"architecture": "386"},
}


def parts_of(done: Finished, image: Image, format: Oci) -> dict[str, str]:
    """What counts in an image's key besides its layers and options. Raises ConfigError."""
    platform = json.dumps(platform_of(done, image), sort_keys=True)
    whole = {"whole": "yes"} if _is_whole(done, format) else {}
    return {"ref": ref_of(done, image, format), "platform": platform, "layers": FORMAT, **whole}


def _is_whole(done: Finished, format: Oci) -> bool:
    """Whether one layer holds all: of a minimal root, others would only hide what is left out."""
    return format.squash or done.machine.minimal


def make(done: Finished, image: Image, format: Oci, root: Sequence[Layer]) -> Outcome:
    """Make the image of a machine. Raises ClocheError."""
    context = done.context
    whole = _is_whole(done, format)
    divided = (root,) if whole else groups(root)
    layers = [oci_layer(context, group, whole=whole) for group in divided]
    platform = platform_of(done, image)
    config = config_of(format, platform, layers)
    with context.store.workspace("image") as workspace:
        file = workspace / "image.oci.tar"
        name = ref_of(done, image, format)
        with file.open("xb") as out:
            _write(out, context, name, platform, config, layers)
        blob = context.store.add_blob(file, f"{context.inputs.machine}-{file.name}")
    return Outcome({"image": blob.id})


def ref_of(done: Finished, image: Image, format: Oci) -> str:
    """The name and tag of an image: what it asks for, or the machine's, and its own of several."""
    alone = sum(isinstance(each.format, Oci) for each in done.machine.images) == 1
    name = done.context.inputs.machine + ("" if alone else f"-{image.name}")
    plain = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    return format.ref or f"{plain or 'image'}:latest"


def platform_of(done: Finished, image: Image) -> dict[str, str]:
    """The platform of a machine's programs, in the words of OCI. Raises ConfigError."""
    chost, seed = done.machine.chost or "", done.context.inputs.base[0]
    cpu = cpu_of(chost)
    arch = cpu.gentoo if cpu else arch_of(seed.path) or host_arch().gentoo
    if arch not in _PLATFORMS:
        what = f"no name is known for {arch} among the platforms of containers"
        raise ConfigError(image.origin, what, "leave this image out")
    found = {"os": "linux", **_PLATFORMS[arch]}
    if arm := re.match(r"armv(\d)", chost):
        found["variant"] = f"v{arm[1]}"
    return found


def config_of(
    format: Oci, platform: Mapping[str, str], layers: Sequence[OciLayer]
) -> dict[str, Any]:
    """The configuration of an image (config.md), without what a container does not need."""
    settings = {
        "User": format.user,
        "ExposedPorts": {port: {} for port in format.ports},
        "Env": [f"{name}={value}" for name, value in sorted(format.env.items())],
        "Entrypoint": list(format.entrypoint),
        "Cmd": list(format.cmd),
        "Volumes": {path: {} for path in format.volumes},
        "WorkingDir": format.working_dir,
        "Labels": dict(sorted(format.labels.items())),
        "StopSignal": format.stop_signal,
    }
    return {
        "created": _CREATED,
        **platform,
        "config": {name: value for name, value in settings.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each.diff_id}" for each in layers]},
        "history": [
            {"created": _CREATED, "created_by": f"cloche: {', '.join(each.made_of)}"}
            for each in layers
        ],
    }


def _write(
    out: BinaryIO,
    context: BuildContext,
    name: str,
    platform: Mapping[str, str],
    config: Mapping[str, Any],
    layers: Sequence[OciLayer],
) -> None:
    """Write the archive: the layout, then the blobs, each once."""
    configured = _json(config)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}.manifest.v1+json",
            "config": _descriptor("config.v1+json", _digest(configured), len(configured)),
            "layers": [_descriptor("layer.v1.tar+gzip", each.blob, each.size) for each in layers],
        }
    )
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.index.v1+json",
        "manifests": [
            {
                **_descriptor("manifest.v1+json", _digest(manifest), len(manifest)),
                "platform": platform,
                "annotations": {
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": name,
                },
            }
        ],
    }
    docker = {
        "Config": f"{_BLOBS}/{_digest(configured)}",
        "RepoTags": [name],
        "Layers": [f"{_BLOBS}/{each.blob}" for each in layers],
    }
    writer = TarWriter(out)
    for path, text in (
        ("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _json(index)),
        ("manifest.json", _json([docker])),
        (f"{_BLOBS}/{_digest(configured)}", configured),
        (f"{_BLOBS}/{_digest(manifest)}", manifest),
    ):
        _add(writer, path, text)
    for blob, size in {each.blob: each.size for each in layers}.items():
        with context.store.blob(blob).path.open("rb") as file:
            writer.add(_member(f"{_BLOBS}/{blob}", size), file.read)
    writer.end()


def _add(writer: TarWriter, path: str, text: bytes) -> None:
    """Write a short file."""
    writer.add(_member(path, len(text)), io.BytesIO(text).read)


def _member(path: str, size: int) -> Member:
    return Member(path.encode(), "file", 0o644, 0, 0, SOURCE_DATE_EPOCH * 10**9, size)


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_TYPE}.{kind}", "digest": f"sha256:{digest}", "size": size}


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
