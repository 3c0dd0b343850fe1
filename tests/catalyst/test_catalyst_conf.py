"""catalyst.conf in both of its forms, and catalyst-auto's tokens."""

from pathlib import Path

import pytest

from cloche.catalyst.conf import CONF_KEYS, DEFAULTS, Conf, read_conf
from cloche.catalyst.tokens import fill, tokens_in
from cloche.config.errors import ConfigError

RELEASE = Path(__file__).parent / "release"


def written(directory, text):
    file = directory / "catalyst.conf"
    file.write_text(text)
    return file


def test_the_shared_releases_is_read():
    conf = read_conf([RELEASE / "catalyst.conf"])
    assert conf.words("options") == ("autoresume", "bindist", "kerncache", "pkgcache", "seedcache")
    assert conf.text("load-average") == "4.0"
    assert conf.text("repos_storedir") == "@R@/store/repos"
    assert conf.origins["storedir"].line == 4
    assert "sharedir" in conf.origins
    assert "target_pkgdir" not in conf.origins


def test_the_older_form_gives_the_same_values(tmp_path):
    file = written(
        tmp_path,
        '# old\nstoredir="/srv/catalyst"\noptions="pkgcache seedcache"  # both\n'
        "repo_name=gentoo\ndistdir='%(storedir)s/d'\n",
    )
    conf = read_conf([file])
    assert conf.words("options") == ("pkgcache", "seedcache")
    assert conf.text("distdir") == "/srv/catalyst/d"
    assert conf.origins["repo_name"].line == 4


def test_of_several_files_the_last_counts(tmp_path):
    conf = read_conf([RELEASE / "catalyst.conf", written(tmp_path, 'storedir = "/x"\njobs = 8\n')])
    assert (conf.text("storedir"), conf.text("jobs")) == ("/x", "8")
    assert conf.text("binhost").startswith("https:")


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ('jobs = 2\nstoredirr = "/x"\n', "unknown key “storedirr”", 2),
        ("options = 3\n", "“options” is 3; write a list of words", 1),
        ('options = ["bindist", "nosuch"]\n', "not “nosuch”", 1),
        ('options = ["pkgcach"]\n', "words such as pkgcache", 1),
        ('distdir = "%(nothing)s"\n', "has no value", 1),
        ("jobs = 2\nwhat is this\n", "neither TOML", 2),
        ("jobs = [1]\n", "“jobs” is [1]; write a number from 1", 1),
        ('jobs = "many"\n', "“jobs” is “many”; write a number from 1", 1),
        ("jobs = 0\n", "a number from 1", 1),
        ("jobs = true\n", "a number from 1", 1),
        ("storedir = 5\n", "“storedir” is 5; write a string in quotation marks", 1),
        ('storedir = ""\n', "write a path", 1),
        ('\nload-average = "x"\n', "“load-average” is “x”; write a number above 0", 2),
        ("load-average = nan\n", "a number above 0", 1),
        ('digest_format = "gnu"\n', 'write "linux" or "bsd"', 1),
        ('repo_basedir = "var/db/repos"\n', "an absolute path in the root", 1),
        ("var_tmpfs_portage = 1.5\n", "a number from 1", 1),
        ("binhost = false\n", "a string in quotation marks", 1),
        ('\nbinhost = "http://x/\\n[evil]"\n', "one line of characters", 2),
        ('repo_name = "../own"\n', "letters, digits", 1),
        ('target_distdir = "/x\\" y"\n', "an absolute path in the root", 1),
        ("target_pkgdir = '/x$(id)'\n", "an absolute path in the root", 1),
    ],
)
def test_a_wrong_one_is_an_error_with_its_line(tmp_path, text, words, line):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_conf([file])
    assert words in str(caught.value)
    assert caught.value.where == f"{file}:{line}"


def test_relative_paths_begin_where_catalyst_is_started(tmp_path):
    file = written(
        tmp_path,
        'storedir = "store"\nsharedir = "../share"\ndistdir = "%(storedir)s/d"\nenvscript = ""\n',
    )
    conf = read_conf([file], Path("/srv/releng"))
    assert conf.text("storedir") == "/srv/releng/store"
    assert conf.text("sharedir") == "/srv/share"
    assert conf.text("distdir") == "/srv/releng/store/d"
    assert conf.text("envscript") == ""
    assert conf.text("repos_storedir") == "/srv/releng/store/repos"


def test_defaults_are_of_known_keys():
    assert set(DEFAULTS) <= set(CONF_KEYS)
    assert Conf().text("repos_storedir") == "/var/tmp/catalyst/repos"


def test_tokens_are_filled_in_and_unknown_ones_stay():
    assert fill("@TIMESTAMP@-@OTHER@", {"TIMESTAMP": "20260426T191549Z"}) == (
        "20260426T191549Z-@OTHER@"
    )
    assert tokens_in("@A@ x@b.org @B_1@@A@") == ("A", "B_1")
