"""A tarball with secrets in it: what is copied, what is replaced, what is refused."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cloche.archives.compression import packed
from cloche.config.errors import Origin
from cloche.config.secrets import Secret
from cloche.errors import ClocheError
from cloche.output.sealed import Revealed, Sealing

WHERE = Origin(Path("/p/machines/web.toml"), 7)
HASH = b"$6$salt$hash"
PASSWORD = Revealed(Secret(WHERE, user="larry"), HASH)
KEY = Revealed(Secret(WHERE, path="/etc/ssl/private/key", owner="larry:www", mode=0o640), b"key\n")
ACCOUNTS = {
    "./etc/group": b"root:x:0:\nwww:x:400:\n",
    "./etc/passwd": b"root:x:0:0::/root:/bin/sh\nlarry:x:1000:1000::/home/larry:/bin/sh\n",
    "./etc/shadow": b"root:*:::::::\nlarry:!::0:99999:7:::\n",
}
Add = Callable[[tarfile.TarFile], None]


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def add(archive: tarfile.TarFile, name: str, content: bytes, **more: object) -> None:
    archive.addfile(member(name, size=len(content), **more), io.BytesIO(content))


def tarball(*adds: Add, accounts: bool = True) -> bytes:
    """A root's tarball, as tar(1) of cloche writes it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member("./", tarfile.DIRTYPE, mode=0o755))
        archive.addfile(member("./etc", tarfile.DIRTYPE, mode=0o755))
        for name, text in ACCOUNTS.items() if accounts else ():
            add(archive, name, text, mode=0o640)
        for each in adds:
            each(archive)
    return content.getvalue()


def sealed(content: bytes, *revealed: Revealed) -> bytes:
    """The tarball with secrets."""
    made = io.BytesIO()
    Sealing(io.BytesIO(content), made, Path("stage4.tar"), revealed).run()
    return made.getvalue()


def read(content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_all_is_copied_as_it_is_but_for_secrets(tmp_path: Path) -> None:
    xattrs = {"SCHILY.xattr.user.x": "a\n20 path=./etc/shadow\n", "path": "./srv/x"}
    plain = tarball(
        lambda archive: add(archive, "./srv/x", b"of others\n", pax_headers=xattrs),
        lambda archive: add(archive, f"./long/{'n' * 180}", bytes(700)),
        lambda archive: archive.addfile(
            member("./etc/link", tarfile.SYMTYPE, linkname="passwd", mode=0o777)
        ),
        lambda archive: add(archive, "./etc/ssl/private/key", b"an old one\n"),
        lambda archive: add(archive, "./last", b"z" * 512),
    )
    made = sealed(plain, PASSWORD, KEY)
    assert read(made, "./etc/shadow") == b"root:*:::::::\nlarry:$6$salt$hash::0:99999:7:::\n"
    assert read(made, "./srv/x") == b"of others\n"
    assert read(made, "./etc/ssl/private/key") == b"key\n"
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        names = archive.getnames()
        assert archive.getmember("./srv/x").pax_headers["SCHILY.xattr.user.x"].startswith("a\n")
        found = archive.getmember("./etc/ssl/private/key")
        assert (found.mode, found.uid, found.gid) == (0o640, 1000, 400)
        assert archive.getmember("./etc/shadow").mode == 0o640
    assert names[-3:] == ["./etc/ssl", "./etc/ssl/private", "./etc/ssl/private/key"]
    assert names.count("./etc/ssl/private/key") == 1
    assert f"./long/{'n' * 180}" in names
    (tmp_path / "made.tar").write_bytes(made)
    subprocess.run(["tar", "-tf", tmp_path / "made.tar"], check=True, stdout=subprocess.DEVNULL)


def test_a_size_that_only_a_record_has_counts() -> None:
    """As tar(1) writes one of 8 GiB and more; a header of zeros follows in its content."""
    large = member("./disk", size=1536, pax_headers={"size": "1536"})
    header = bytearray(large.tobuf(tarfile.PAX_FORMAT))
    header[-512 + 124 : -512 + 136] = b"0" * 11 + b"\0"
    last = header[-512:]
    last[148:156] = b" " * 8
    header[-512 + 148 : -512 + 156] = f"{sum(last):06o}\0 ".encode()
    content = bytes(512) + b"x" * 1024
    plain = tarball().rstrip(b"\0")
    plain += bytes(-len(plain) % 512) + bytes(header) + content
    after = member("./after", size=3).tobuf(tarfile.PAX_FORMAT) + b"end".ljust(512, b"\0")
    made = sealed(plain + after + bytes(1024), PASSWORD)
    assert read(made, "./disk") == content
    assert read(made, "./after") == b"end"


@pytest.mark.parametrize(
    ("what", "adds"),
    [
        (
            "/etc/ssl is no directory",
            [lambda a: a.addfile(member("./etc/ssl", tarfile.SYMTYPE, linkname="/srv"))],
        ),
        (
            "/etc/ssl/private/key is a directory",
            [lambda a: a.addfile(member("./etc/ssl/private/key/", tarfile.DIRTYPE))],
        ),
        (
            "/x and /etc/ssl/private/key are one file",
            [
                lambda a: add(a, "./etc/ssl/private/key", b"old"),
                lambda a: a.addfile(
                    member("./x", tarfile.LNKTYPE, linkname="./etc/ssl/private/key")
                ),
            ],
        ),
        (
            "/etc/passwd is not one plain file",
            [lambda a: add(a, "./etc/passwd", b"larry:x:0:0:::\n")],
        ),
    ],
)
def test_what_would_take_a_secret_elsewhere_is_refused(what: str, adds: list[Add]) -> None:
    with pytest.raises(ClocheError) as caught:
        sealed(tarball(*adds), KEY)
    assert what in str(caught.value)


def test_accounts_that_are_not_there_are_named() -> None:
    nobody = Revealed(Secret(WHERE, user="nobody"), HASH)
    for revealed, accounts, what in (
        (nobody, True, "no user nobody"),
        (PASSWORD, False, "web.toml:7: the root has no /etc/shadow"),
        (KEY, False, "web.toml:7: the root has no user larry, who owns a secret"),
    ):
        with pytest.raises(ClocheError, match=what):
            sealed(tarball(accounts=accounts), revealed)


def test_no_message_shows_a_secret() -> None:
    assert "hash" not in repr(PASSWORD)
    assert "key\\n" not in repr(KEY)


def test_a_compressor_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "zstd"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert shutil.which("zstd") == str(program)

    def compress() -> None:
        with (tmp_path / "out").open("wb") as file, packed(file, "zstd") as stream:
            for _ in range(100):
                stream.write(bytes(1 << 16))

    with pytest.raises(ClocheError, match="zstd, which compresses the tarball, ended with status"):
        compress()
