"""A project with packages to patch: two versions of one in C, and one that takes no patches."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import ROOT, Store, project

TINY = ROOT / "tests/machine/projects/tiny"
HEAD = """EAPI={eapi}
DESCRIPTION="A program that says something"
HOMEPAGE="https://example.org/say"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
src_unpack() {{ cp -r "${{FILESDIR}}/{source}" "${{S}}" || die; }}
"""
SAY = """src_prepare() {
    default
    sed -i s/@VERSION@/${PV}/ version.h || die
}
src_compile() { ${CC:-gcc} ${CFLAGS} ${LDFLAGS} -c say.c && ${CC:-gcc} say.o -o say || die; }
src_test() { [[ $(./say) == *!* ]] || die "it does not shout"; }
src_install() { dobin say; }
"""
OLD = """src_prepare() { :; }
src_install() { dodoc say.c; }
"""
#: Puts a link to what is the host's outside into the place of WORKDIR.
EVIL = """src_prepare() {
    mv "${WORKDIR}" "${T}/aside" && ln -s /etc "${WORKDIR}" && cd /etc || die
    eapply_user
}
"""
PROGRAM = """#include <stdio.h>
#include "version.h"

static const char *whom = "world";

/* What is said is a line of its own. */
int main(void)
{
	printf("hello, %s", whom);
	putchar('\\n');
	return 0;
}
"""
NEWER = PROGRAM.replace('"hello, %s", whom', '"good morning, dear %s", whom')
#: Patches of say-1: one fits say-2, one does not, one is for the one version alone.
GLASS = """Subject: Call the world glass

--- a/say.c
+++ b/say.c
@@ -1,7 +1,7 @@
 #include <stdio.h>
 #include "version.h"
_
-static const char *whom = "world";
+static const char *whom = "glass";
_
 /* What is said is a line of its own. */
 int main(void)
""".replace("_", " ")
SHOUT = """Subject: Shout
Upstream: https://example.org/1

It is far away.

--- a/say.c
+++ b/say.c
@@ -6,7 +6,7 @@
 /* What is said is a line of its own. */
 int main(void)
 {
-	printf("hello, %s", whom);
+	printf("hello, %s!", whom);
 	putchar('\\n');
 	return 0;
 }
"""  # noqa: E101
DATA = """Subject: Change data

--- a/sub/data
+++ b/sub/data
@@ -1 +1 @@
-data
+other
"""
MACHINE = """seed = "debian"
profile = "tiny:default"
portage = ["base"]
packages = ["=tiny/say-1", "tiny/old", "tiny/none", "tiny/evil"]
"""


def talking(store: Store) -> Path:
    """A copy of the project, for a store's user."""
    place = project(store, TINY)
    for name, eapi, source, phases in (
        ("say-1", 8, "say-1", SAY),
        ("say-2", 8, "say-2", SAY),
        ("old-1", 5, "old", OLD),
        ("none-1", 8, "old", OLD),
        ("evil-1", 8, "old", EVIL),
    ):
        directory = place / "repo/tiny" / name.rpartition("-")[0]
        directory.mkdir(exist_ok=True)
        text = HEAD.format(eapi=eapi, source=source) + phases
        (directory / f"{name}.ebuild").write_text(text)
        files = directory / "files" / source
        files.mkdir(parents=True)
        (files / "say.c").write_text(NEWER if name == "say-2" else PROGRAM)
        (files / "version.h").write_text('#define VERSION "@VERSION@"\n')
        (files / ".gitattributes").write_text("*.c binary\n*.h filter=bad\n")
        (files / ".gitignore").write_text("*.txt\n")
        (files / "sub/.git/hooks").mkdir(parents=True)
        (files / "sub/.git/config").write_text("[core]\n\tfsmonitor = touch /tmp/executed\n")
        (files / "sub/data").write_text("data\n")
    (place / "machines/tiny.toml").write_text(MACHINE)
    store.user.own(place)
    return place


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as a user does."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def history(tree: Path) -> list[str]:
    """The subjects of a work tree's commits, the newest first, as git shows them to root."""
    words = ("git", "-c", "safe.directory=*", "-C", str(tree), "log", "--format=%s")
    return subprocess.check_output(words, text=True).splitlines()
