"""No package is accepted for a target that its own stock emerge would not take, or that differs.

Pairs of configurations are generated: a package is built for the first, and offered to the second.
What is accepted is shown to a stock ``emerge`` over the second's configuration. What the level
demands is checked by the package's own index entry and files, and not by the code that decides:
each code of a configuration leaves a mark in what it works on.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.support import Store, project
from tests.targets.described import PROJECT, described, entry, offers

from cloche.errors import ClocheError
from cloche.sandbox.base import Bind, Command
from cloche.session.session import Session, open_session
from cloche.targets.acceptance import accept, index_of
from cloche.targets.description import Description
from cloche.targets.levels import Level
from cloche.targets.making import build
from cloche.targets.replay import replay_context, session_for
from cloche.targets.results import Offer, Want
from cloche.tasks.guestcall import ENVIRONMENT

pytestmark = pytest.mark.real

FEW, MANY = 12, 320
LEVELS = (Level.USE, Level.FLAGS, Level.ABI, Level.CLOSURE)
LINKED = re.compile(r"libleaf\.so\.(\d)")
#: Code of a configuration; each leaves a mark.
MARK = """post_src_install() {{
    mkdir -p "${{ED}}/usr/share/marks" && echo x > "${{ED}}/usr/share/marks/{name}"
}}
"""
BAD_AXE = """post_src_install() {
    printf '#!/bin/sh\\necho an axe of another forge\\n' > "${ED}/usr/bin/axe"
}
"""
CODES = {
    "": {},
    "bashrc": {"bashrc": MARK.format(name="bashrc")},
    "profile": {"profile/profile.bashrc": MARK.format(name="profile")},
    "stone": {"env/app-misc/stone": MARK.format(name="stone")},
    "axe": {"env/dev-util/axe": BAD_AXE},
}
MASK = "/usr/bin/stone"
INDEX = "/run/cloche/binhosts/stock"


@dataclass(frozen=True)
class Settings:
    """A generated configuration: the library and the tool that are installed, flags, masks."""

    leaf: str | None
    veins: bool
    axe: str | None
    use: frozenset[str]
    cflags: str
    mask: str
    code: str
    install_mask: str
    inject: bool

    @property
    def sub_slot(self) -> str | None:
        """The ABI of the library that is installed."""
        return self.leaf and self.leaf[0]

    @property
    def description(self) -> Description:
        """The target."""
        packages = {}
        if self.leaf is not None:
            use = "veins" if self.veins else ""
            packages[f"dev-libs/leaf-{self.leaf}"] = entry(f"0/{self.sub_slot}", "veins", use)
        if self.axe is not None:
            packages[f"dev-util/axe-{self.axe}"] = entry()
        conf = {"USE": " ".join(sorted(self.use)), "CFLAGS": self.cflags}
        if self.install_mask:
            conf["PKG_INSTALL_MASK"] = self.install_mask
        masks = {"package.mask": self.mask} if self.mask else {}
        return described(packages, conf, {**masks, **CODES[self.code]})

    def marks(self, cpv: str) -> set[str]:
        """The marks that its code leaves in a package."""
        of_all = {"bashrc", "profile"} & {self.code}
        return of_all | ({"stone"} & {self.code} if cpv == "app-misc/stone-1" else set())


SETTINGS = st.builds(
    Settings,
    leaf=st.sampled_from(("1.0", "1.1", "2.0", None)),
    veins=st.booleans(),
    axe=st.sampled_from(("1", "2", None)),
    use=st.frozensets(st.sampled_from(("fruit", "moss"))),
    cflags=st.sampled_from(("-O1", "-O2")),
    mask=st.sampled_from(("", "", ">=dev-util/axe-2\n", "=dev-libs/leaf-2.0\n", "app-misc/tree\n")),
    code=st.sampled_from(("", "", "", *CODES)),
    install_mask=st.sampled_from(("", "", MASK)),
    inject=st.booleans(),
)
ATOM = st.sampled_from(("app-misc/tree", "app-misc/stone", "app-misc/wood"))


@pytest.fixture(scope="module")
def session(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    store = root_seeded.copy(tmp_path_factory.mktemp("acceptance") / "store")
    with open_session(project(store, PROJECT), store=store.path) as opened:
        yield opened


def stock_takes(session: Session, target: Description, accepted: list[Offer], cpv: str) -> str:
    """What a stock emerge says where it does not take a package; empty if it does."""
    session = session_for(session, target)
    with (
        replay_context(session, "stock", target) as context,
        context.store.workspace("stock") as room,
    ):
        (room / "Packages").write_text(index_of(target, accepted))
        for name in ("root", "out"):
            (room / name).mkdir()
        binds = (
            *context.whole_repositories(),
            Bind(room / "Packages", f"{INDEX}/Packages"),
            Bind(room / "out", "/run/out", writable=True),
        )
        sandbox = context.sandbox((), upper=room / "root", binds=binds)
        words = ["--pretend", "--quiet", "--getbinpkgonly", "--oneshot", "--color=n"]
        script = 'emerge "$@" >/run/out/said 2>&1'
        argv = ("/bin/bash", "-c", script, "emerge", *words, f"={cpv}")
        env = {
            **ENVIRONMENT,
            **context.inputs.environment,
            "PORTAGE_BINHOST": f"file://{INDEX}",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        ended = context.engine.start(sandbox, Command(argv, env, timeout=120)).wait()
        said = (room / "out/said").read_text()
    taken = re.search(rf"^\[binary[^\]]*\] {re.escape(cpv)}\b", said, re.MULTILINE)
    return "" if ended is not None and ended.ok and taken else said or "nothing"


def files_of(package: Path) -> dict[str, str]:
    """The texts of a package's files, by their paths; those of programs do not matter."""
    found = {}
    with tarfile.open(package) as outer:
        (member,) = (each for each in outer.getnames() if "/image.tar" in each)
        packed = outer.extractfile(member)
        assert packed is not None
        words = ["zstd", "--decompress", "--stdout"]
        image = subprocess.run(words, input=packed.read(), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(image)) as inner:
        for each in inner:
            if each.isfile():
                data = inner.extractfile(each)
                assert data is not None
                found[each.name.partition("/")[2]] = data.read().decode("latin-1")
    return found


def code_in(package: Path, cpv: str, level: Level, own: Settings) -> list[str]:
    """Traces of code that is not the target's own in an accepted package, or missing ones."""
    files = files_of(package)
    marks = {name.rpartition("/")[2] for name in files if "/marks/" in name}
    found = [f"the mark {name}" for name in marks - own.marks(cpv)]
    if "another forge" in files.get("usr/share/wood/made-by", "") and own.code != "axe":
        found.append("a tool of another target's code")
    masked = cpv == "app-misc/stone-1" and "usr/bin/stone" not in files
    if masked and not own.install_mask:
        found.append("masked files")
    if level.rank >= Level.FLAGS.rank:
        found += [f"no mark {name}" for name in own.marks(cpv) - marks]
        if cpv == "app-misc/stone-1" and own.install_mask and not masked:
            found.append("files that are masked here")
    return found


def wrong_in(offer: Offer, level: Level, own: Settings, offered: list[Offer]) -> list[str]:
    """What the level demands and an accepted package has not, by its index entry."""
    lines = dict(line.split(": ", 1) for line in offer.entry.splitlines() if ": " in line)
    use = set(lines.get("USE", "").split())
    iuse = {"fruit", "moss"} & set(lines.get("IUSE", "").replace("+", "").split())
    found = [f"USE {flag}" for flag in iuse if (flag in use) != (flag in own.use)]
    if level.rank >= Level.FLAGS.rank and offer.environment.flags.get("CFLAGS") != own.cflags:
        found.append("CFLAGS")
    linked = LINKED.search(lines.get("REQUIRES", ""))
    along = {each.cpv[-3:] for each in offered if each.cpv.startswith("dev-libs/leaf")}
    there = {own.sub_slot, *(version[0] for version in along)}
    if linked and linked[1] not in there:
        found.append(f"linked with libleaf.so.{linked[1]}")
    if level is Level.CLOSURE:
        seen = {each.cp: each for each in offer.environment.build}
        for name, has in (("dev-libs/leaf", own.leaf), ("dev-util/axe", own.axe)):
            if has is not None and name in seen and seen[name].version not in {has, *along}:
                found.append(f"built with {name}-{seen[name].version}")
    return found


def check(
    session: Session, room: Path, first: Settings, second: Settings, level: Level, atom: str
) -> Counter[str]:
    """Build for one target, and offer it to another; what was accepted and refused."""
    try:
        want = Want((atom,), level, inject=first.inject)
        built = build(session, "first", first.description, want, room)
    except ClocheError:
        return Counter({"not built": 1})
    offered, target = offers(built.packages), second.description
    verdicts = {v.key: v for v in accept(session, "second", target, offered, level)}
    accepted = [offer for offer in offered if verdicts[offer.key].accepted]
    files = {each.gpkg: each.file for each in built.packages}
    for offer in accepted:
        assert code_in(files[offer.key], offer.cpv, level, second) == [], (first, second, level)
        assert stock_takes(session, target, accepted, offer.cpv) == "", (first, second, level)
        assert wrong_in(offer, level, second, accepted) == [], (first, second, level)
    if first == second and not built.refused:
        assert len(accepted) == len(offered), (first, level, verdicts)
    return Counter(
        accepted=len(accepted),
        refused=len(offered) - len(accepted),
        linked=sum(bool(LINKED.search(offer.entry)) for offer in accepted),
        coded=sum(bool(second.marks(offer.cpv)) for offer in accepted),
    )


few = pytest.param(FEW, id="few")
many = pytest.param(MANY, id="many", marks=pytest.mark.proof(name="acceptance"))


@pytest.mark.parametrize("examples", [few, many])
def test_wrong_acceptances(session: Session, tmp_path: Path, examples: int) -> None:
    total: Counter[str] = Counter()

    @seed(int(os.environ.get("CLOCHE_TESTS_SEED", "13")))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SETTINGS, st.one_of(st.none(), SETTINGS), st.sampled_from(LEVELS), ATOM)
    def pairs(first: Settings, other: Settings | None, level: Level, atom: str) -> None:
        total["pairs"] += 1
        total.update(check(session, tmp_path, first, other or first, level, atom))

    pairs()
    print(dict(total))
    assert total["pairs"] >= min(examples, FEW)
    assert total["linked"]
    assert total["coded"] or examples == FEW
    assert total["refused"]
