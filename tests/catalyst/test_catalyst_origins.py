"""Places of a generated project, in the words of the spec."""

from pathlib import Path

import pytest
from tests.catalyst.made import text

from cloche.catalyst.conf import read_conf
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import Inputs, Project
from cloche.catalyst.origins import Origins
from cloche.catalyst.spec import Spec, parse_spec
from cloche.catalyst.subarchs import Subarch
from cloche.errors import ClocheError

RELEASE = Path(__file__).parent / "release"
TOP = Path("/srv/cloche/stage4")
SPEC = """\
target: stage4
profile: default
subarch: amd64
version_stamp: x
rel_type: r
source_subpath: r/seed
snapshot_treeish: abc
compression_mode: zstd
portage_confdir: /inputs/confdir
stage4/packages:
\tapp-misc/a
\tapp-misc/b
stage4/fsscript: /inputs/fs.sh
stage4/rcadd: sshd|default
stage4/rm: /a /b
"""


@pytest.fixture
def spec() -> Spec:
    return parse_spec(SPEC, Path("x.spec"))


@pytest.fixture
def made(spec: Spec) -> Project:
    inputs = Inputs(Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"))
    return project_of(spec, read_conf([RELEASE / "catalyst.conf"]), inputs)


def line_of(made: Project, part: str) -> str:
    lines = text(made, "machines/stage4.toml").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if part in line)
    return f"{TOP}/machines/stage4.toml:{number}"


@pytest.mark.parametrize(
    ("part", "said", "place"),
    [
        ("packages", "“app-misc/b” is not there", "x.spec:12: stage4/packages"),
        ("packages", "nothing is named", "x.spec:10: stage4/packages"),
        ("profile", "no profile", "x.spec:2: profile"),
        ("hooks/fsscript", "status 1", "x.spec:13: stage4/fsscript"),
        ("services_on", "rc-update", "x.spec:14: stage4/rcadd"),
        ('"/a"', "“/b”", "x.spec:15: stage4/rm"),
        ("seed =", "no seed", "x.spec:6: source_subpath"),
    ],
)
def test_a_line_of_a_machine_is_that_of_the_spec(
    spec: Spec, made: Project, part: str, said: str, place: str
) -> None:
    error = ClocheError(said, where=line_of(made, part))
    Origins(spec, made, TOP).translate(error)
    assert error.where == place


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("hooks/live", "y.spec:10: livecd/type"),
        ("hooks/depclean", "y.spec:1: target"),
        ("iso = {", "y.spec:11: livecd/iso"),
    ],
)
def test_a_step_of_a_medium_is_that_of_its_key(part: str, place: str) -> None:
    common = SPEC.replace("target: stage4", "target: livecd-stage2").partition("stage4/")[0]
    more = "livecd/type: generic-livecd\nlivecd/iso: x.iso\nboot/kernel: gentoo\n"
    spec = parse_spec(common + more, Path("y.spec"))
    inputs = Inputs(Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"))
    made = project_of(spec, read_conf([RELEASE / "catalyst.conf"]), inputs)
    lines = text(made, "machines/livecd-stage2.toml").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if part in line)
    error = ClocheError("x", where=f"{TOP}/machines/livecd-stage2.toml:{number}")
    Origins(spec, made, TOP).translate(error)
    assert error.where == place


def test_a_copied_file_is_the_users_own(spec: Spec, made: Project) -> None:
    origins = Origins(spec, made, TOP)
    for copy, own in (
        ("portage/confdir/package.use/r1:3", "/inputs/confdir/package.use/r1:3"),
        ("finish/etc/portage/patches", "/inputs/confdir/patches"),
        ("hooks/tmp/fs.sh", "/inputs/fs.sh"),
    ):
        assert origins.translated(f"wrong: {TOP}/{copy}") == f"wrong: {own}"


def test_several_lines_and_places_within_words_are_found(spec: Spec, made: Project) -> None:
    first = line_of(made, "hooks/fsscript")
    error = ClocheError(f"{first} to line 99: no such thing", where="machine/stage4")
    Origins(spec, made, TOP).translate(error)
    assert error.what == "x.spec:13: stage4/fsscript: no such thing"
    assert error.where == "machine/stage4"


def test_other_places_stay(spec: Spec, made: Project) -> None:
    text = f"{TOP}/machines/other.toml:1, /etc/passwd:3"
    assert Origins(spec, made, TOP).translated(text) == text


def test_lines_of_generated_settings_are_those_of_their_keys() -> None:
    text_of = SPEC.replace("stage4/packages:\n", "stage4/use: x\nstage4/packages:\n")
    stage4 = parse_spec(text_of + "boot/kernel: a\nboot/kernel/a/distkernel: yes\n", Path("x.spec"))
    inputs = Inputs(Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"))
    project = project_of(stage4, read_conf([RELEASE / "catalyst.conf"]), inputs)
    origins = Origins(stage4, project, TOP)
    toml = text(project, "cloche.toml").splitlines()
    for place, key in (
        ("portage/use/make.conf:1", "x.spec:10: stage4/use"),
        ("portage/catalyst/make.conf:2", "x.spec:1: target"),
        ("portage/catalyst/make.conf", "x.spec:1: target"),
        ("portage/kernel-a-sources/make.conf:1", "x.spec:17: boot/kernel"),
        (f"cloche.toml:{toml.index('[seeds.source]') + 1}", "x.spec:6: source_subpath"),
        (f"cloche.toml:{toml.index('[repos.gentoo]') + 1}", "x.spec:7: snapshot_treeish"),
    ):
        assert origins.translated(f"{TOP}/{place}: wrong") == f"{key}: wrong"


def test_what_catalyst_does_for_a_target_is_its_line() -> None:
    text_of = SPEC.replace("stage4", "stage3").split("stage3/packages")[0]
    stage3 = parse_spec(text_of, Path("x.spec"))
    inputs = Inputs(Subarch(), Path("/source.tar"), Path("/gentoo-x.sqfs"))
    project = project_of(stage3, read_conf([RELEASE / "catalyst.conf"]), inputs)
    lines = text(project, "machines/stage3.toml").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "hooks/stage3" in line)
    error = ClocheError(f"{TOP}/machines/stage3.toml:{number}: stage3: no bash")
    Origins(stage3, project, TOP).translate(error)
    assert error.what == "x.spec:1: target: stage3: no bash"


def test_an_unusable_source_or_tree_is_the_line_that_names_it(spec: Spec, made: Project) -> None:
    for table, place in (
        ("[seeds.source]", "x.spec:6: source_subpath"),
        ("[repos.gentoo]", "x.spec:7: snapshot_treeish"),
        ("[seeds.tools]", "[seeds.tools]"),
    ):
        error = ClocheError("cannot be used", where=table)
        Origins(spec, made, TOP).translate(error)
        assert error.where == place
