"""What is signed of a root, and what its VDB says of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.config.errors import ConfigError, Origin
from cloche.config.kernel_files import ConfigFile
from cloche.config.kernel_signing import Signing
from cloche.config.secrets import Secret
from cloche.layers import Merged
from cloche.output.modules import correct_contents, sign_modules, unsigned
from cloche.output.signature import MAGIC
from cloche.store import Store

WHERE = Origin(Path("/p/machines/web.toml"), 7)
SIGNING = Signing(WHERE, Secret(WHERE, key="key"), ConfigFile("a.pem", Path("/p/a.pem"), b""))
OLD, NEW = b"0" * 32, b"1" * 32


def root(place: Path, files: dict[str, bytes]) -> Merged:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return Merged([place])


def test_modules_without_a_signature_are_signed_and_nothing_else(tmp_path: Path) -> None:
    merged = root(
        tmp_path,
        {
            "usr/lib/modules/6.12.1/extra/own.ko": b"module",
            "usr/lib/modules/6.12.1/kernel/theirs.ko": b"module" + MAGIC,
            "usr/lib/modules/6.12.1/modules.dep": b"",
            "usr/share/doc/sample.ko": b"module",
        },
    )
    (tmp_path / "usr/lib/modules/6.12.1/extra/link.ko").symlink_to("own.ko")
    found = [node.path for node in unsigned(merged, SIGNING)]
    assert found == [b"usr/lib/modules/6.12.1/extra/own.ko"]


def test_a_compressed_module_is_refused_by_its_name(tmp_path: Path) -> None:
    merged = root(tmp_path, {"lib/modules/6.12.1/extra/own.ko.zst": b"compressed"})
    with pytest.raises(ConfigError) as caught:
        list(unsigned(merged, SIGNING))
    assert "/lib/modules/6.12.1/extra/own.ko.zst is compressed" in str(caught.value)
    assert str(caught.value.where) == "/p/machines/web.toml:7"


def test_the_vdb_knows_the_new_md5_of_a_signed_module(tmp_path: Path) -> None:
    lines = [
        b"dir /lib/modules",
        b"obj /lib/modules/6.12.1/extra/own.ko " + OLD + b" 1700000000",
        b"obj /lib/modules/6.12.1/extra/own.ko.txt " + OLD + b" 1700000000",
        b"",
    ]
    contents = "var/db/pkg/app-misc/own-1/CONTENTS"
    merged = root(
        tmp_path / "below",
        {contents: b"\n".join(lines), "var/db/pkg/app-misc/other-1/CONTENTS": b"dir /usr\n"},
    )
    tree = tmp_path / "tree"
    correct_contents(merged, {b"/lib/modules/6.12.1/extra/own.ko": NEW}, tree)
    lines[1] = lines[1].replace(OLD, NEW)
    assert (tree / contents).read_bytes() == b"\n".join(lines)
    assert [path for path in tree.rglob("*") if path.is_file()] == [tree / contents]


def test_links_of_a_layer_do_not_lead_to_modules_of_this_host(tmp_path: Path) -> None:
    host, link = tmp_path / "host/lib/modules/6.12.1", tmp_path / "link"
    host.mkdir(parents=True)
    link.mkdir()
    (link / "lib").symlink_to(tmp_path / "host/lib")
    with Store.open(tmp_path / "store") as store:
        context, told = values.context(store), []
        context.bus.add(told.append)
        assert sign_modules(context, SIGNING, [values.layer(link)], None) == ()
        assert told == []
        assert sign_modules(context, SIGNING, [values.layer(tmp_path / "host")], None) == ()
        assert [each.level for each in told] == ["warning"]
