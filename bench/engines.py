"""Probe and build under every engine that is here, and write the figures into docs/engines.md.

``python -m bench.engines --store DIR``: as root, or as an ordinary user, on a quiet machine. What
people have written in that file stays; only what stands between its two marks is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import builds, facts
from bench.place import ROOT, BenchError, Place, say, settle, without_stage4
from bench.table import significant
from cloche.display.engines import markdown
from cloche.probing.battery import Probed

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
DOCUMENT = ROOT / "docs" / "engines.md"


def main() -> int:
    """Measure, or take what was measured; write; the exit status."""
    options = _options()
    if options.measured is None:
        data = measure(options)
    else:
        data = json.loads(options.measured.read_text())
    if options.save is not None:
        options.save.write_text(json.dumps(data, indent=2) + "\n")
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text("\n".join([before + BEGIN, "", *render(data), "", END + after]))
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything, as plain data."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="cloche-bench-", dir=options.store) as name:
        place = Place(Path(name), options.store / "store")
        builds.make_seed(place)
        project = place.project("project", without_stage4(options.machine))
        say("probing")
        probing = ("engines", "--probe", "--json", "--rounds", str(options.rounds))
        told = place.cloche(project, *probing, *options.engines).out
        data: dict[str, Any] = json.loads(told)
        names = [each["engine"] for each in data["probed"] if not each["error"]]
        if options.machine != "none":
            builds.fetch_all(place, options.machine)
            wanted = [name for name in names if name not in options.unbuilt]
            data["builds"] = [_build(place, project, options.machine, name) for name in wanted]
        data["machine"] = options.machine
        data["about"] = [*facts.about(place.directory, load), *versions()]
        place.removed(place.directory)
        place.directory.mkdir()  # for the context to remove
    return data


def versions() -> Iterator[tuple[str, str]]:
    """Of the tools that make sandboxes; `facts` knows bubblewrap's."""
    for tool in ("crun", "runc", "systemd-nspawn", "podman", "qemu-system-x86_64"):
        if shutil.which(tool):
            told = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
            if found := re.search(
                r"\d+(\.\d+)*", told.stdout.splitlines()[0].replace("x86_64", "")
            ):
                yield tool, found[0]


def _build(place: Place, project: Path, machine: str, engine: str) -> dict[str, Any]:
    """Build a machine from nothing but seed and sources; its seconds and the ids of its layers."""
    say(f"building {machine} under {engine}")
    place.forget()
    settle()
    try:
        built = place.build(project, machine, engine=engine)
    except BenchError as error:
        return {"engine": engine, "error": str(error).splitlines()[-1]}
    told = place.cloche(project, "plan", machine, "--json").out
    layers = {each["cpv"]: each["layer"] for each in json.loads(told)["packages"]}
    if None in layers.values():
        return {"engine": engine, "error": "a package has no layer"}
    return {"engine": engine, "seconds": built.seconds, "layers": layers}


def render(data: dict[str, Any]) -> Iterator[str]:
    """The part between the marks, line by line."""
    yield "| | |"
    yield "| --- | --- |"
    for name, value in data["about"]:
        yield f"| {name} | {value} |"
    yield f"| probed in | {data['root']} |"
    yield ""
    yield from _list(data["engines"])
    yield ""
    yield markdown(msgspec.convert(data["probed"], list[Probed]))
    if data.get("builds"):
        yield ""
        yield from _built(data["builds"], data["machine"])


def _list(engines: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| engine | what it is | here | its kernel |"
    yield "| --- | --- | --- | --- |"
    for each in engines:
        here = "yes" if each["there"] else f"no: {each['reason']}"
        kernel = "the host's" if each["shares_kernel"] else "its own"
        yield f"| `{each['name']}` | {each['title']} | {here} | {kernel} |"


def _built(done: Sequence[dict[str, Any]], machine: str) -> Iterator[str]:
    first = next((each for each in done if "layers" in each), None)
    packages = len(first["layers"]) if first else 0
    yield f"The machine `{machine}` ({packages} packages), from seed and sources alone, `--jobs 2`:"
    yield ""
    yield "| engine | whole command | as a multiple of the first | layer ids |"
    yield "| --- | --- | --- | --- |"
    for each in done:
        if first is None or "layers" not in each:
            yield f"| `{each['engine']}` | failed: {each['error']} | | |"
            continue
        ratio = significant(each["seconds"] / first["seconds"])
        same = "all equal" if each["layers"] == first["layers"] else "**differ**"
        yield f"| `{each['engine']}` | {significant(each['seconds'])} s | {ratio} | {same} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", help="only these")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(os.environ.get("TMPDIR", "/var/tmp")),
        help="directory that keeps seed and sources, below store/; what was built there is removed",
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each engine [3]")
    parser.add_argument("--machine", default="mini", help="of the workbench; `none` builds nothing")
    parser.add_argument("--unbuilt", nargs="*", default=(), help="engines that are only probed")
    parser.add_argument("--save", type=Path, help="write what was measured there, as JSON")
    parser.add_argument("--measured", type=Path, help="take that JSON, and measure nothing")
    options = parser.parse_args()
    options.store = options.store.absolute()
    options.store.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
