"""Modules that come with Debian's perl, as Gentoo's ``virtual/perl-*`` of the same versions.

A virtual of Gentoo's tree names the versions of dev-lang/perl that bring a module, and Debian's is
seldom among them: without an entry of its own a dependency on a module would build another perl.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloche.seeds.debian.provided import REVISION, Provided
from cloche.seeds.debian.versions import perl_module

PERL = "perl"
#: Where Debian's perl has its modules, from the top of the tree; the first that has one counts.
_PLACES = ("usr/lib/*/perl/[0-9]*", "usr/share/perl/[0-9]*", "usr/lib/*/perl-base")
#: ``$VERSION = "7.64"``, ``$VERSION = sprintf "…", q$Revision: 3.19 $``, ``package Socket 0.43;``
_VERSION = re.compile(
    rb"^(?:[^#\n]*?\$(?:\w+::)*VERSION\s*=\s*(?:qv\(|sprintf\b.*?\$Revision:\s*)?['\"]?"
    rb"|package\s+[\w:]+\s+)v?([0-9][0-9._]*)",
    re.MULTILINE,
)

#: Distributions that are virtuals in Gentoo and named as their main module.
_NAMED_AS_MODULE = """
    Archive-Tar Attribute-Handlers autodie AutoLoader bignum Carp Compress-Raw-Bzip2
    Compress-Raw-Zlib constant CPAN CPAN-Meta CPAN-Meta-Requirements CPAN-Meta-YAML
    Data-Dumper DB_File Devel-PPPort Digest Digest-MD5 Digest-SHA Dumpvalue Encode Env
    Exporter ExtUtils-CBuilder ExtUtils-Constant ExtUtils-Install ExtUtils-MakeMaker
    ExtUtils-Manifest ExtUtils-ParseXS File-Fetch File-Path File-Spec File-Temp Filter-Simple
    Getopt-Long HTTP-Tiny I18N-LangTags IO IO-Compress IO-Socket-IP IO-Zlib IPC-Cmd IPC-SysV
    JSON-PP Locale-Maketext Locale-Maketext-Simple Math-BigInt Math-BigInt-FastCalc
    Math-BigRat Math-Complex Memoize MIME-Base64 Module-CoreList Module-Load
    Module-Load-Conditional Module-Loaded Module-Metadata Net-Ping parent Params-Check
    Perl-OSType PerlIO-via-QuotedPrint Pod-Checker Pod-Escapes Pod-Perldoc Pod-Simple
    Pod-Usage Safe Search-Dict SelfLoader Socket Storable Sys-Syslog Term-ANSIColor
    Term-ReadLine Test Test-Harness Test-Simple Text-Abbrev Text-Balanced Text-ParseWords
    Thread-Queue Thread-Semaphore threads threads-shared Tie-RefHash Time-HiRes Time-Local
    Time-Piece Unicode-Collate Unicode-Normalize version XSLoader
"""
_MODULES: Mapping[str, str] = {
    **{name: name.replace("-", "/") for name in _NAMED_AS_MODULE.split()},
    "IO-Compress": "IO/Compress/Gzip",
    "libnet": "Net/Cmd",
    "podlators": "Pod/Man",
    "Scalar-List-Utils": "List/Util",
    "Text-Tabs+Wrap": "Text/Wrap",
}


def perl_virtuals(tree: Path) -> Iterator[Provided]:
    """The virtuals whose modules a Debian tree with perl has."""
    places = [place for pattern in _PLACES for place in sorted(tree.glob(pattern))]
    for name, module in sorted(_MODULES.items()):
        file = next((f for place in places if (f := place / f"{module}.pm").is_file()), None)
        if file is not None and (found := _VERSION.search(file.read_bytes())):
            version = perl_module(found[1].decode())
            yield Provided("virtual", f"perl-{name}-{version}-{REVISION}", "0", (), PERL)
