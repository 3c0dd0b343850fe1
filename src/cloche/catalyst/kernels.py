"""The kernels of a spec (`boot/kernel`) as machines, each over the one before.

A distribution kernel is a package; dracut makes its initramfs once the packages for that kernel are
installed. Otherwise genkernel makes everything from the package of the sources, as a step after the
packages. Either is made again only if something that it can see has changed.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.catalyst.emerge import emerge_call
from cloche.catalyst.kernel_hooks import DRACUT, FIND, GENKERNEL, INPUTS, WORK
from cloche.catalyst.makeconf import use_flags
from cloche.catalyst.making import Content, Copied, Making, keys_of
from cloche.catalyst.spec import Spec
from cloche.catalyst.tokens import checkout_of
from cloche.config.errors import ConfigError, Origin

#: Where a root has the kernels under the boot loader's names: LABEL, LABEL.igz,
#: System-LABEL.map, LABEL-config. The last machine has to remove `LEFT`.
BOOT = "/var/lib/cloche/boot"
#: All that kernels leave for later machines.
LEFT = "/var/lib/cloche"

_LABEL = re.compile(r"[A-Za-z0-9_]+")
_NAME = re.compile(r"[\w+-]+", re.ASCII)
_EXTRAVERSION = re.compile(r"[\w.+~-]+", re.ASCII)
#: A file that makes installkernel work in a chroot, where by itself it does nothing.
_NO_CHROOT_CHECK = "etc/kernel/install.d/05-check-chroot.install"

Kernels = Generator[tuple[str, dict[str, Any]], None, str]
"""Machines by their names; the value is the name of the last one."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of a spec; ``options`` are those of dracut or of genkernel."""

    label: str
    is_distribution: bool
    sources: str
    use: tuple[str, ...]
    packages: tuple[str, ...]
    options: tuple[str, ...]
    extraversion: str
    config: Path | None
    overlay: Path | None
    origin: Origin

    @property
    def key(self) -> str:
        """The prefix of its keys."""
        return f"boot/kernel/{self.label}"


def kernels_of(spec: Spec) -> tuple[Kernel, ...]:
    """The kernels of a spec, in its order. Raises `ConfigError`."""
    return tuple(_kernel(spec, label) for label in spec.words("boot/kernel"))


def _kernel(spec: Spec, label: str) -> Kernel:
    key = f"boot/kernel/{label}"
    if not _LABEL.fullmatch(label):
        what = f"“{label}” is not a kernel's label"
        raise ConfigError(spec.origin("boot/kernel"), what, "write letters, digits and “_”")
    given = spec.text(f"{key}/distkernel")
    if given not in ("", "no", "yes"):
        raise ConfigError(
            spec.origin(f"{key}/distkernel"), f"“{given}” is neither yes nor no", "write yes or no"
        )
    is_distribution = given == "yes"
    extraversion = spec.text(f"{key}/extraversion")
    if extraversion and not _EXTRAVERSION.fullmatch(extraversion):
        what = f"“{extraversion}” cannot be a part of a version"
        raise ConfigError(spec.origin(f"{key}/extraversion"), what, "write one such as 64bit")
    return Kernel(
        label=label,
        is_distribution=is_distribution,
        sources=spec.text(f"{key}/sources")
        or f"sys-kernel/gentoo-{'kernel' if is_distribution else 'sources'}",
        use=spec.words(f"{key}/use"),
        packages=spec.words(f"{key}/packages"),
        options=_options(spec, f"{key}/{'dracut_args' if is_distribution else 'gk_kernargs'}"),
        extraversion=extraversion,
        config=_config(spec, f"{key}/config"),
        overlay=Path(text) if (text := spec.text(f"{key}/initramfs_overlay")) else None,
        origin=spec.origin("boot/kernel"),
    )


def _options(spec: Spec, key: str) -> tuple[str, ...]:
    """Options as a shell reads them: `--kernel-cc='gcc -m64'` is one. Raises `ConfigError`."""
    try:
        return tuple(shlex.split(spec.text(key)))
    except ValueError as error:
        what = f"cannot be split into shell words: {error}"
        raise ConfigError(spec.origin(key), what, "correct the quotation marks") from error


def _config(spec: Spec, key: str) -> Path | None:
    """The file of a kernel's configuration: the one that the spec names, as in catalyst.

    If that does not exist, it is the file of that name below `releases/kconfig` of the releng
    checkout around the spec, as in catalyst-auto. Raises `ConfigError`.
    """
    if not (text := spec.text(key)):
        return None
    named = Path(text)
    if named.is_file():
        return named
    releng = checkout_of(spec.file)
    below = releng / "releases/kconfig" if releng and named.name else None
    there = sorted(below.rglob(glob.escape(named.name))) if below else []
    found = [file for file in there if file.is_file()]
    if len(found) > 1:  # for several architectures
        found = [file for file in found if file.parts[-2:] == named.parts[-2:]] or found
    if len(found) == 1:
        return found[0]
    several = f"; releases/kconfig has several files named {named.name}" if found else ""
    raise ConfigError(spec.origin(key), f"no such file: {named}{several}", "correct the path")


def kernels(making: Making, seed: str, *, boot: bool = False, image: str = "") -> Kernels:
    """The machines that make the kernels over a seed. Raises `ConfigError`.

    With ``boot``, the root gets the directory `BOOT`. ``image`` is a directory of the root that is
    added to each initramfs.
    """
    variables = {"BOOT": BOOT if boot else "", "IMAGE": image}
    before: Kernel | None = None
    for kernel in kernels_of(making.spec):
        tools = f"kernel-{kernel.label}-tools"
        yield tools, _tools(making, kernel, seed, before)
        make = _distribution if kernel.is_distribution else _genkernel
        seed = yield from make(making, kernel, tools, variables)
        before = kernel
    return seed


def _sources(making: Making, kernel: Kernel, seed: str, flag: str) -> dict[str, Any]:
    """The machine with a kernel's own package, built with one more USE flag."""
    name = f"kernel-{kernel.label}-sources"
    use = {"make.conf": _use(making, kernel, flag)}
    if atom := _in_package_use(kernel.sources):  # the confdir may set it there, too
        use["package.use"] = f"{atom} {flag}\n"
    making.fragment(name, use)
    return making.between(
        seed,
        name,
        use=False,
        packages=[kernel.sources],
        emerge=["--update", "--oneshot"],
        keep_world=True,
    )


def _with_packages(making: Making, kernel: Kernel, seed: str, *options: str) -> dict[str, Any]:
    """The machine with the packages for a kernel."""
    name = f"kernel-{kernel.label}"
    making.fragment(name, {"make.conf": _use(making, kernel)})
    call = emerge_call((*options, *kernel.packages))
    keys = keys_of(call, making.spec.origin(f"{kernel.key}/packages"))
    return making.between(seed, name, use=False, keep_world=True, **keys)


def _use(making: Making, kernel: Kernel, *more: str) -> str:
    """USE for what belongs to a kernel."""
    flags = (*use_flags(making.spec, making.conf, building=True), *kernel.use, *more)
    return f'USE="{" ".join(flags)}"\n'


def _in_package_use(atom: str) -> str:
    """An atom, maybe without a category, as package.use names it; empty if it cannot."""
    if "/" in atom:
        return atom
    return f"*/{atom}" if _NAME.fullmatch(atom) else ""


def _tools(making: Making, kernel: Kernel, seed: str, before: Kernel | None) -> dict[str, Any]:
    """The machine with dracut or genkernel; the first kernel of its kind has it merged again."""
    package = f"sys-kernel/{'dracut' if kernel.is_distribution else 'genkernel'}"
    again = before is not None and before.is_distribution == kernel.is_distribution
    emerge = ["--oneshot", *(["--noreplace"] if again else [])]
    machine = making.between(seed, packages=[package], emerge=emerge, keep_world=True)
    if kernel.is_distribution:
        return _first(machine, *_configured(making, kernel, before))
    return machine


def _distribution(making: Making, kernel: Kernel, seed: str, variables: dict[str, str]) -> Kernels:
    """A distribution kernel, its packages, its initramfs."""
    name = f"kernel-{kernel.label}"
    last = _sources(making, kernel, seed, "-initramfs")
    if kernel.packages:
        yield f"{name}-sources", last
        last = _with_packages(making, kernel, f"{name}-sources")
    hook = _hook(making, kernel, DRACUT, kernel.options, variables)
    yield name, _first(last, hook)
    return name


def _first(machine: dict[str, Any], *steps: dict[str, Any]) -> dict[str, Any]:
    """The machine with steps before its own, the last of which remove its configuration."""
    return machine | {"finish": [*steps, *machine["finish"]]}


def _configured(making: Making, kernel: Kernel, before: Kernel | None) -> Iterator[dict[str, Any]]:
    """Steps that put into /etc/kernel what the kernel's package looks for there."""
    if before and before.is_distribution and before.config:
        yield {"remove": [f"/etc/kernel/config.d/{glob.escape(before.config.name)}"]}
    place = f"kernels/{kernel.label}"
    making.files[f"{place}/{_NO_CHROOT_CHECK}"] = ""
    if kernel.config:
        file = f"{place}/etc/kernel/config.d/{kernel.config.name}"
        making.files[file] = Copied(kernel.config)
    yield {"files": place}


def _hook(
    making: Making,
    kernel: Kernel,
    script: str,
    options: tuple[str, ...],
    variables: dict[str, str],
) -> dict[str, Any]:
    """The step that makes a part of a kernel. Its script sees no other keys, and no stamp."""
    own = {"KERNEL": kernel.label, "SOURCES": kernel.sources, "OPTIONS": "\n".join(options)}
    return making.script(f"kernel-{kernel.label}", script, own | variables)


def _genkernel(making: Making, kernel: Kernel, seed: str, variables: dict[str, str]) -> Kernels:
    """A kernel by genkernel; packages for it come between the kernel and its initramfs."""
    name, place = f"kernel-{kernel.label}", f"kernels/{kernel.label}"
    inputs = dict(_inputs(making, kernel))
    making.files |= {f"{place}/{path}": content for path, content in inputs.items()}

    def step(part: str) -> dict[str, Any]:
        options = _genkernel_options(making, kernel, part, inputs, variables["IMAGE"])
        own = {"PART": part, "EXTRAVERSION": kernel.extraversion}
        return _hook(making, kernel, GENKERNEL, options, variables | own) | {"inputs": place}

    last = _sources(making, kernel, seed, "symlink")
    if kernel.packages:
        yield f"{name}-sources", _first(last, step("kernel"))
        last = _with_packages(making, kernel, f"{name}-sources", "--newuse")
    yield name, _first(last, step("initramfs" if kernel.packages else "all"))
    return name


def _inputs(making: Making, kernel: Kernel) -> Iterator[tuple[str, Content]]:
    """The files for genkernel, by their places in the hook's inputs."""
    yield "bin/find", FIND
    if kernel.config:
        yield "config", Copied(kernel.config)
    if kernel.overlay:
        yield "overlay", Copied(kernel.overlay)
    for key in ("linuxrc", "busybox_config"):
        if words := making.words(key):
            yield key, Copied(Path(words[0]))


def _genkernel_options(
    making: Making, kernel: Kernel, part: str, inputs: dict[str, Content], image: str
) -> tuple[str, ...]:
    """The command line of genkernel, in catalyst's order: the last of two equal options counts."""
    options = [
        *kernel.options,
        "--no-mountboot",
        "--kerneldir=/usr/src/linux",
        *(f"--{name}={WORK}/{name}" for name in ("cachedir", "tmpdir")),
        f"--logfile={WORK}/log",
    ]
    if part != "kernel":
        options.append(f"--minkernpackage={WORK}/kernel.tar")
    options += [part, *making.words("gk_mainargs")]
    if making.words("verify"):
        options.append("--b2sum")
    for name, option in (
        ("config", "kernel-config"),
        ("overlay", "initramfs-overlay"),
        ("linuxrc", "linuxrc"),
        ("busybox_config", "busybox-config"),
    ):
        if name in inputs:
            options.append(f"--{option}={INPUTS}/{name}")
    if image:
        options += ["--netboot", f"--initramfs-overlay={image}"]
    return tuple(options)
