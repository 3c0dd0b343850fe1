"""Fragments become one /etc/portage, or an error that names both places."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.config.errors import (
    ConfigError,
)
from cloche.config.fragments import SourceFile, machine_files, merge
from cloche.config.project import load_project


def fragment(name: str, **files: str) -> tuple[str, tuple[SourceFile, ...]]:
    """A fragment; `package_use` stands for package.use, `env__a` for env/a."""

    def real(key: str) -> str:
        return key.replace("__", "/").replace("make_", "make.").replace("package_", "package.")

    return name, tuple(
        SourceFile(real(key), Path("/p") / name / real(key), text.encode())
        for key, text in files.items()
    )


def test_each_fragment_keeps_its_files_under_its_number() -> None:
    tree = merge([
        fragment("base", make_conf="A=1\n", package_use="a/b x\n", env__small="C=1\n"),
        fragment("desk", package_use__games="a/c y\n", profile__package_mask="a/d\n",
                 bashrc=":\n", profile__eapi="8\n"),
    ])  # fmt: skip
    assert tree == {
        "make.conf/00-base": b"A=1\n",
        "package.use/00-base": b"a/b x\n",
        "env/small": b"C=1\n",
        "package.use/01-desk/games": b"a/c y\n",
        "profile/package.mask/01-desk": b"a/d\n",
        "bashrc": b":\n",
        "profile/eapi": b"8\n",
    }


def test_the_number_keeps_the_order_of_a_hundred_fragments() -> None:
    parts = [fragment(f"f{200 - index}", package_use="a/b x\n") for index in range(120)]
    names = sorted(merge(parts))
    assert names == [f"package.use/{index:03}-f{200 - index}" for index in range(120)]


def test_incremental_variables_add_up_over_fragments() -> None:
    tree = merge([fragment("one", make_conf='USE="a"\n'), fragment("two", make_conf='USE="b"\n')])
    assert sorted(tree) == [
        "make.conf/00-one", "make.conf/01--before", "make.conf/01-two", "make.conf/01-two+after",
    ]  # fmt: skip
    assert tree["make.conf/01-two+after"] == b'USE="${__CLOCHE_USE} ${USE}"\n'


def test_a_variable_that_builds_on_itself_needs_no_help() -> None:
    tree = merge([
        fragment("one", make_conf='USE="a"\nCFLAGS="-O2"\n'),
        fragment("two", make_conf='USE="${USE} b"\nCFLAGS="${CFLAGS} -g"\n'),
    ])  # fmt: skip
    assert sorted(tree) == ["make.conf/00-one", "make.conf/01-two"]


@pytest.mark.parametrize(
    ("kind", "one", "two", "says"),
    [
        ("make_conf", 'CFLAGS="-O2"\n', '\nCFLAGS="-O3"\n', "CFLAGS is “-O3” here, but “-O2”"),
        ("make_conf", 'USE="a b"\n', '\nUSE="c -b"\n', "“b” in USE is “-b” here, but “b”"),
        ("make_conf", 'FEATURES="-test"\n', '\nFEATURES="test"\n', "“test” in FEATURES"),
        ("package_use", "a/b x -y\n", "#\na/b y\n", "“y” in package.use of a/b is “y” here"),
        ("package_use", "a/b L10N: de\n", "#\na/b -l10n_de\n", "“l10n_de” in package.use of a/b"),
        ("package_license", "a/b EULA\n", "#\na/b -EULA\n", "“EULA” in package.license of a/b"),
        (
            "package_accept_keywords",
            "a/b ~amd64\n",
            "#\na/b -~amd64\n",
            "“~amd64” in package",
        ),
        ("make_conf", 'USE="a"\n', '\nUSE="-* b"\n', "“a” in USE is taken away by “-*” here"),
        ("package_use", "a/b x\n", "\na/b -*\n", "“x” in package.use of a/b is taken away"),
        (
            "package_use",
            "*/* L10N: de\n",
            "\n*/* L10N: -* en\n",
            "“l10n_de” in package.use of */* is taken away by “-l10n_*” here",
        ),
        ("package_mask", ">a/b-2\n", "\n->a/b-2 # no\n", "is unmasked here, but masked"),
    ],
)
def test_two_fragments_that_contradict_each_other_are_an_error(
    kind: str, one: str, two: str, says: str
) -> None:
    first, second = fragment("one", **{kind: one}), fragment("two", **{kind: two})
    name = first[1][0].name
    with pytest.raises(ConfigError) as caught:
        merge([first, second])
    assert says in str(caught.value)
    assert caught.value.where == f"/p/two/{name}:2"
    assert f"in /p/one/{name}:1" in str(caught.value)
    # Within one fragment, the last word wins, as it does in Portage.
    both = fragment("both", **{kind: one.rstrip("\n") + "\n" + two})
    assert merge([both])


def test_masked_here_and_unmasked_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unmasked here, but masked"):
        merge([fragment("a", package_mask="a/b\n"), fragment("b", package_unmask="a/b\n")])


def test_old_and_new_name_of_the_keywords_file_are_one() -> None:
    with pytest.raises(ConfigError, match=r"package\.accept_keywords"):
        merge([
            fragment("a", package_keywords="a/b ~amd64\n"),
            fragment("b", package_accept_keywords="a/b -~amd64\n"),
        ])  # fmt: skip


def test_a_third_fragment_is_compared_with_all_before() -> None:
    with pytest.raises(ConfigError, match=r"/p/one/make\.conf:1"):
        merge([
            fragment("one", make_conf="A=1\n"), fragment("two", make_conf="B=1\n"),
            fragment("three", make_conf="A=2\n"),
        ])  # fmt: skip


def test_agreement_is_no_contradiction() -> None:
    same = {"make_conf": 'CFLAGS="-O2  -pipe"\nUSE="-* a"\n', "env__x": "A=1\n", "bashrc": ":\n"}
    merge([fragment("one", **same), fragment("two", **{**same, "make_conf": 'CFLAGS="-O2 -pipe"'})])


def test_one_file_with_two_contents_is_an_error() -> None:
    with pytest.raises(ConfigError, match="env/x is one thing here, but another"):
        merge([fragment("one", env__x="A=1\n"), fragment("two", env__x="A=2\n")])


def test_a_file_here_and_a_directory_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="env/x is a directory here, but a file"):
        merge([fragment("one", env__x="A=1\n"), fragment("two", env__x__y="A=2\n")])


def test_one_atom_a_line_in_masks() -> None:
    with pytest.raises(ConfigError, match="more than one word"):
        merge([fragment("a", package_mask="a/b a/c\n")])


FLAGS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", "-"]), max_size=4)


@given(st.lists(FLAGS, max_size=5))
def test_fragments_merge_exactly_if_no_two_disagree(said: list[dict[str, str]]) -> None:
    parts = [
        fragment(f"f{index}", package_use=f"a/b {' '.join(s + f for f, s in flags.items())}\n")
        for index, flags in enumerate(said)
    ]
    signs: dict[str, set[str]] = {}
    for flags in said:
        for flag, sign in flags.items():
            signs.setdefault(flag, set()).add(sign)
    if any(len(both) > 1 for both in signs.values()):
        with pytest.raises(ConfigError):
            merge(parts)
    else:
        tree = merge(parts)
        assert [tree[name] for name in sorted(tree)] == [files[0].content for _, files in parts]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "p"
    for name in ("machines", "sets", "portage/base", "patches/a-b/c"):
        (root / name).mkdir(parents=True)
    (root / "cloche.toml").write_text('[seeds.s]\ntype="debian"\n[repos.r]\npath="r"\n')
    (root / "machines/m.toml").write_text(
        'seed="s"\nprofile="r:d"\nportage=["base"]\nsets=["one"]\n'
    )
    (root / "sets/one").write_text("a/b\n@two\n")
    (root / "sets/two").write_text("a/b\n")
    (root / "sets/of-another-machine").write_text("a/x\n")
    (root / "patches/README").write_text("no patch\n")
    (root / "patches/a-b/c/x.patch").write_text("diff\n")
    return root


def files(root: Path) -> dict[str, bytes]:
    return machine_files(load_project(root).machine("m"))


def test_sets_and_patches_of_the_project_come_along(project: Path) -> None:
    (project / "portage/base/package.use").mkdir()
    (project / "portage/base/package.use/x").write_text("a/b c\n")
    (project / "portage/base/package.use/x~").write_text("a/b -c\n")
    (project / "portage/base/package.use/.x.swp").write_bytes(b"\xff")
    assert files(project) == {
        "package.use/00-base/x": b"a/b c\n",
        "sets/one": b"a/b\n@two\n",
        "sets/two": b"a/b\n",
        "patches/a-b/c/x.patch": b"diff\n",
    }


def test_a_patch_is_switched_off_by_a_link_to_nothing(project: Path) -> None:
    (project / "patches/a-b/c/x.patch").unlink()
    (project / "patches/a-b/c/x.patch").symlink_to("/dev/null")
    assert files(project)["patches/a-b/c/x.patch"] == b""


def test_a_directory_linked_from_the_host_is_refused(project: Path) -> None:
    (project / "portage/base/env").symlink_to("/etc")
    with pytest.raises(ConfigError, match="leads out of the project, to /etc"):
        files(project)


def test_a_link_to_a_parent_ends(project: Path) -> None:
    (project / "portage/base/env").mkdir()
    (project / "portage/base/env/again").symlink_to("..")
    with pytest.raises(ConfigError, match=r"nested too deeply|symbolic links"):
        files(project)


def test_links_without_end_are_noticed_soon(project: Path) -> None:
    (project / "portage/base/env").mkdir()
    for name in "abc":
        (project / "portage/base/env" / name).symlink_to(".")
    with pytest.raises(ConfigError):
        files(project)


def test_too_many_bytes_are_noticed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloche.config.files.TREE_BYTES", 3)
    with pytest.raises(ConfigError, match="holds more than"):
        files(project)


def test_too_many_names_are_noticed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloche.config.files.TREE_LIMIT", 3)
    with pytest.raises(ConfigError, match="more than 3 names"):
        files(project)


@pytest.mark.parametrize("name", [b"env/\xff", b"env/a\nb", b"env/\x1b[31m"])
def test_a_name_that_would_steer_a_terminal_is_refused(project: Path, name: bytes) -> None:
    (project / "portage/base/env").mkdir()
    Path(os.fsdecode(bytes(project / "portage/base") + b"/" + name)).write_text("A=1\n")
    with pytest.raises(ConfigError, match="not printable") as caught:
        files(project)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("repos.conf", "cloche writes it"), ("make.profile", "`profile`"),
        ("package.provided", "profile/package.provided"),
        ("package.sue", "did you mean “package.use”"), ("zzzzzz", "portage"),
    ],
)  # fmt: skip
def test_a_file_that_would_be_ignored_is_refused(project: Path, name: str, says: str) -> None:
    (project / "portage/base" / name).write_text("x\n")
    with pytest.raises(ConfigError, match="portage/base") as caught:
        files(project)
    assert says in str(caught.value)


def test_a_set_of_project_and_fragment_must_agree(project: Path) -> None:
    (project / "portage/base/sets").mkdir()
    (project / "portage/base/sets/one").write_text("a/b\n@two\n")
    assert files(project)["sets/one"] == b"a/b\n@two\n"
    (project / "portage/base/sets/one").write_text("a/c\n")
    with pytest.raises(ConfigError, match="portage/base/sets/one"):
        files(project)


def test_patches_must_be_a_directory(project: Path) -> None:
    (project / "machines/m.toml").write_text('seed="s"\nprofile="r:d"\npackages=["a/b"]\n')
    for path in ("a-b/c/x.patch", "a-b/c", "a-b", "README"):
        target = project / "patches" / path
        target.rmdir() if target.is_dir() else target.unlink()
    (project / "patches").rmdir()
    assert files(project) == {}
    (project / "patches").write_text("")
    with pytest.raises(ConfigError, match="patches go below it"):
        files(project)
