"""Projects and machines: what loads, and what is said about each thing that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin, unknown_key, unknown_name
from cloche.config.project import load_project
from cloche.errors import Exit

TOP = """\
[seeds.debian]
type = "debian"
suite = "bookworm"
packages = ["git", "jq"]

[repos.local]
path = "repo"
priority = 5

[build]
jobs = 4
phase_timeout = "1h30m"
distfiles = "sources"

[store]
path = "/var/cache/cloche"
reserve = "1G"
"""

MACHINE = """\
seed = "debian"
profile = "local:default/linux"
portage = [
    "base",
    "desktop",  # and "more"
]
sets = ["tools"]
packages = ["app-misc/jq"]

[output]
stage4 = true

[limits]
phase_timeout = 90
memory = "1.5G"
processes = 64
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("machines", "sets", "portage/base", "portage/desktop"):
        (root / name).mkdir(parents=True)
    (root / "cloche.toml").write_text(TOP)
    (root / "machines/box.toml").write_text(MACHINE)
    (root / "sets/tools").write_text("# tools\napp-text/tree\n@more # and\n\n")
    (root / "sets/more").write_text("dev-lang/lua:5.4\n@tools\n@system\n")
    return root


def test_machines_are_in_the_order_of_their_names(project: Path) -> None:
    (project / "machines/box-trial.toml").write_text(MACHINE)
    assert load_project(project).machines == ("box", "box-trial")


def test_a_list_that_is_cut_says_so_and_that_of_keys_is_whole() -> None:
    known = [f"n{number}" for number in range(10, 35)]
    place = Origin(Path("x.toml"), 1)
    cut = str(unknown_name(place, "seed", "zz", known))
    assert cut.endswith("there is: " + ", ".join(known[:20]) + ", … (25 in all)")
    assert str(unknown_key(place, "zz", known)).endswith("there is: " + ", ".join(known))


def test_a_project_is_found_from_a_directory_inside_it(project: Path) -> None:
    loaded = load_project(project / "portage" / "base")
    assert loaded.root == project
    assert loaded.lock == project / "cloche.lock"
    assert loaded.machines == ("box",)
    assert loaded.seeds["debian"].options == {"suite": "bookworm", "packages": ("git", "jq")}
    assert loaded.seeds["debian"].text("suite") == "bookworm"
    assert loaded.seeds["debian"].text("packages") is None
    assert loaded.repos["local"].path == project / "repo"
    assert (loaded.repos["local"].priority, loaded.jobs) == (5, 4)
    assert (loaded.phase_timeout, loaded.distfiles) == (5400, project / "sources")
    assert (loaded.store, loaded.reserve) == (Path("/var/cache/cloche"), 1 << 30)


def test_a_machine_knows_its_parts_and_where_each_atom_comes_from(project: Path) -> None:
    machine = load_project(project).machine("box")
    assert [part.name for part in machine.fragments] == ["base", "desktop"]
    assert [part.origin.line for part in machine.fragments] == [4, 5]
    assert (machine.profile.repo, machine.profile.path) == ("local", "default/linux")
    assert machine.targets == ("app-misc/jq", "@tools")
    assert {asked.atom: str(asked.origin) for asked in machine.atoms} == {
        "app-misc/jq": f"{machine.file}:8",
        "app-text/tree": f"{project}/sets/tools:2",
        "dev-lang/lua:5.4": f"{project}/sets/more:1",
        "@system": f"{project}/sets/more:3",
    }
    assert machine.outputs == ("stage4",)
    assert machine.limits.phase_timeout == 90
    assert machine.limits.memory == 3 << 29
    assert machine.limits.processes == 64


def test_without_a_project_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cloche init"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("suite =", "siute =", 3, "did you mean “suite”"),
        ("suite =", "zzz =", 3, "there is: mirror"),
        ("suite =", "arch =", 3, "unknown key"),
        ("suite =", "snapshot =", 3, "unknown key"),
        ("[build]", "[bulid]", 10, "did you mean “build”"),
        ("jobs = 4", 'jobs = "4"', 11, "a string, expected a whole number"),
        ("jobs = 4", "jobs = true", 11, "true or false"),
        ("jobs = 4", "jobs = 0", 11, "a number from 1"),
        ("jobs = 4", "cores = 0", 11, "a number from 1"),
        ("jobs = 4", 'ccache = true\ndistcc = ["x"]', 12, "exclude each other"),
        ("jobs = 4", 'distcc = ["ssh://x"]', 11, "expected unix:/PATH or HOST[:PORT][/LIMIT]"),
        ('"1h30m"', '"soon"', 12, "a time such as"),
        ('"1h30m"', "1.5", 12, "a number, expected a time"),
        ('"1h30m"', '"0s"', 12, "a time such as"),
        ('"1h30m"', '"3 weeks"', 12, "a time such as"),
        ('type = "debian"', 'type = "debain"', 2, "did you mean “debian”"),
        ('type = "debian"\n', "", 1, 'type = "debian"'),
        ('path = "repo"\n', "", 6, 'path = "repo"'),
        ('path = "repo"', "path = 1", 7, "a whole number, expected a string"),
        ('path = "repo"', 'path = ""', 7, "an empty string"),
        ('["git", "jq"]', '["git", 1]', 4, "holds a whole number"),
        ("[repos.local]", "[repos.'../x']", 6, "not a name for a repository"),
        ("[repos.local]", "[repos", 6, "not TOML"),
        ('"/var/cache/cloche"', "1979-05-27", 16, "a date or time"),
        ("[seeds.debian]", "build = 3\n[seeds.debian]", 11, "not TOML"),
        ('reserve = "1G"', 'reserve = "much"', 17, "a size such as"),
        ('reserve = "1G"', 'check = "some"', 17, "one of off, quick, all"),
        ("jobs = 4", "store = 3", 11, "build.store"),
        ("[build]", '[repos.b]\npath="b"\nmain=true\n[repos.c]\npath="c"\nmain=true\n[build]',
         13, "second main repository"),
    ],
)  # fmt: skip
def test_a_fault_in_cloche_toml_is_told_with_its_line(
    project: Path, old: str, new: str, line: int, says: str
) -> None:
    text = TOP.replace(old, new, 1)
    assert text != TOP
    (project / "cloche.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_project(project)
    assert caught.value.where == f"{project}/cloche.toml:{line}"
    assert says in str(caught.value)
    assert caught.value.status is Exit.BAD_INPUT


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("packages =", "pakcages =", 8, "did you mean “packages”"),
        ("stage4 =", "stage5 =", 11, "output.stage5"),
        ('"debian"', '"debain"', 1, "did you mean “debian”"),
        ("local:", "locla:", 2, "did you mean “local”"),
        ("local:default/linux", "default", 2, "REPO:PATH"),
        ("default/linux", "../../etc", 2, "REPO:PATH"),
        ('"desktop"', '"dekstop"', 5, "did you mean “desktop”"),
        ('"desktop"', '"base"', 5, "named twice"),
        ('"tools"', '"tolls"', 7, "did you mean “tools”"),
        ("app-misc/jq", "jq", 8, "the category is missing"),
        ('sets = ["tools"]\npackages = ["app-misc/jq"]', "", None, "asks for nothing"),
        ('sets = ["tools"]\npackages = ["app-misc/jq"]', "packages = []", 7, "asks for nothing"),
        ("90", '"never"', 14, "limits.phase_timeout"),
        ('"1.5G"', '"1.5X"', 15, "a size"),
        ('"1.5G"', "0", 15, "a size"),
        ("64", "0", 16, "a number from 1"),
        ("packages =", "live = 1\npackages =", 8, "a list"),
        ("packages =", 'live = ["jq"]\npackages =', 8, "CATEGORY/NAME"),
        ("packages =", 'emerge = ["--updtae"]\npackages =', 8, "did you mean “--update”"),
        ("packages =", 'emerge = ["--with-bdeps"]\npackages =', 8, "write --with-bdeps=y or"),
        ("packages =", 'emerge = ["--deep=3"]\npackages =', 8, "write --deep"),
        ("packages =", 'emerge = ["--usepkgonly"]\npackages =', 8, "name their host in `binrepos`"),
        ("packages =", 'emerge = ["-u"]\npackages =', 8, "no option of emerge is called “-u”"),
        ("stage4 =", 'compression = "zip"\nstage4 =', 11, "no compression is called “zip”"),
        ("stage4 =", 'needs = "warn"\nstage4 =', 11, "with a root of its own"),
    ],
)
def test_a_fault_in_a_machine_is_told_with_its_line(
    project: Path, old: str, new: str, line: int | None, says: str
) -> None:
    (project / "machines/box.toml").write_text(MACHINE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_project(project).machine("box")
    place = f"{project}/machines/box.toml"
    assert caught.value.where == (f"{place}:{line}" if line else place)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("true", ("*/*",)),
        ("false", ()),
        ('["app-misc/*", "=dev-vcs/git-9999"]', ("app-misc/*", "=dev-vcs/git-9999")),
    ],
)
def test_a_machine_names_the_live_ebuilds_that_may_fetch(
    project: Path, text: str, names: tuple[str, ...]
) -> None:
    machine = project / "machines/box.toml"
    machine.write_text(MACHINE.replace("packages =", f"live = {text}\npackages =", 1))
    assert load_project(project).machine("box").live == names


def test_an_unknown_machine_names_the_nearest_one(project: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean “box”"):
        load_project(project).machine("bax")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("app-misc/hello\nsys-apps/sed bash\n", 2, "more than one word"),
        ("app-misc/hello\n\nsys-apps/sed-4.9\n", 3, "needs an operator"),
        ("@nowhere\n", 1, "no set is called"),
    ],
)
def test_a_fault_in_a_set_is_told_with_its_line(
    project: Path, text: str, line: int, says: str
) -> None:
    (project / "sets/more").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_project(project).machine("box")
    assert caught.value.where == f"{project}/sets/more:{line}"


def test_what_is_no_text_is_refused_with_its_line(project: Path) -> None:
    (project / "sets/more").write_bytes(b"# one\nsys-apps/s\xe9d\n")
    with pytest.raises(ConfigError, match="more:2: not UTF-8"):
        load_project(project).machine("box")
    (project / "sets/more").write_bytes(b"a/b\0\n")
    with pytest.raises(ConfigError, match="more:1: holds a NUL"):
        load_project(project).machine("box")


def test_a_project_cannot_reach_files_of_the_host(project: Path) -> None:
    (project / "sets/more").unlink()
    (project / "sets/more").symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match="leads out of the project"):
        load_project(project).machine("box")


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    (project / "sets/more").rename(project / "sets/real")
    (project / "sets/more").symlink_to("real")
    assert "dev-lang/lua:5.4" in {a.atom for a in load_project(project).machine("box").atoms}


@pytest.mark.parametrize("kind", ["fifo", "directory", "huge", "circle", "dangling"])
def test_what_is_no_ordinary_file_is_refused(project: Path, kind: str) -> None:
    file = project / "machines/box.toml"
    file.unlink()
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "directory":
        file.mkdir()
    elif kind == "huge":
        file.write_bytes(b"#" * (1 << 21))
    else:
        file.symlink_to("box.toml" if kind == "circle" else "nowhere")
    with pytest.raises(ConfigError) as caught:
        load_project(project).machine("box")
    assert caught.value.where == str(file)


def test_a_directory_among_the_sets_is_refused(project: Path) -> None:
    (project / "sets/deep").mkdir()
    with pytest.raises(ConfigError, match="a set is one file"):
        load_project(project).machine("box")


def test_a_set_of_a_fragment_can_be_asked_for(project: Path) -> None:
    (project / "portage/base/sets").mkdir()
    (project / "portage/base/sets/server").write_text("net-misc/rsync\n")
    text = MACHINE.replace('["tools"]', '["@server"]')
    (project / "machines/box.toml").write_text(text)
    machine = load_project(project).machine("box")
    assert machine.targets == ("app-misc/jq", "@server")
    assert "net-misc/rsync" in {asked.atom for asked in machine.atoms}


@pytest.mark.parametrize("name", ["sets/my set", "machines/-x.toml"])
def test_names_that_nobody_could_write_are_refused(project: Path, name: str) -> None:
    (project / name).write_text(MACHINE)
    with pytest.raises(ConfigError, match="not a name for a"):
        load_project(project).machine("-x" if "-x" in name else "box")


def test_a_fragment_is_no_path(project: Path) -> None:
    text = MACHINE.replace('"desktop"', '"../sets"')
    (project / "machines/box.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"box\.toml:5: .* not a name for a fragment"):
        load_project(project).machine("box")
