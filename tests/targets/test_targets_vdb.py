"""What a seed has installed, as targets compare it; what the store knows of files by its VDBs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.values import stored, vdb_entry

from cloche.store import Store
from cloche.targets.known_files import known_files
from cloche.targets.vdb import installed_in


def test_packages_are_those_of_the_tree_and_not_of_this_host(tmp_path: Path) -> None:
    host, tree, link = (tmp_path / name for name in ("host", "tree", "link"))
    (vdb_entry(host, "app-misc/theirs-1") / "SLOT").write_text("1\n")
    entry = vdb_entry(tree, "app-misc/own-2")
    (entry / "SLOT").write_text("2/2.1\n")
    (entry / "USE").symlink_to(host / "var/db/pkg/app-misc/theirs-1/SLOT")
    (tree / "var/db/pkg/app-misc/-MERGING-other-3").mkdir()
    link.mkdir()
    (link / "var").symlink_to(host / "var")
    found = installed_in((tree, link))
    assert list(found) == ["app-misc/own-2"]
    assert found["app-misc/own-2"].slot == "2"
    assert not found["app-misc/own-2"].use


def test_a_vdb_behind_a_link_names_no_files(tmp_path: Path) -> None:
    content = "the file\n"
    md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    contents = f"obj /etc/own {md5} 1\n"
    with Store.open(tmp_path / "store") as store:
        entry = "var/db/pkg/app-misc/own-1/CONTENTS"
        stored(store, "app-misc/own-1", **{"etc/own": content, entry: contents})
        wanted = {(md5, len(content))}
        assert [Path(each.decode()).name for each in known_files(store, wanted).values()] == ["own"]
    vdb_entry(tmp_path / "host", "app-misc/own-1", contents)
    with Store.open(tmp_path / "other") as store:
        layer = stored(store, "app-misc/own-1", **{"etc/own": content})
        layer.path.chmod(0o755)
        (layer.path / "var").symlink_to(tmp_path / "host/var")
        assert known_files(store, wanted) == {}
