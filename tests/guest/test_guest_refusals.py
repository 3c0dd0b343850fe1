"""What Portage refuses is found in its own words."""

from __future__ import annotations

from cloche.guest.refusals import broken, masks

EBUILD = "/var/db/repos/toy/cat/bad/bad-1.ebuild"
DIED = f""" * ERROR: cat/bad-1::toy failed (depend phase):
 *   nosuch.eclass could not be found by inherit()
 *
 * Call stack:
 *       ebuild.sh, line 693:  Called source '{EBUILD}'
 *   bad-1.ebuild, line   8:  Called inherit 'nosuch'
 *        ebuild.sh, line 282:  Called die
"""


def test_a_syntax_error_has_its_line_also_in_an_eclass() -> None:
    text = "/r/eclass/odd.eclass: line 3: syntax error near unexpected token `}'\n" + DIED
    assert broken(text) == {
        "file": "/r/eclass/odd.eclass",
        "line": 3,
        "reason": "syntax error near unexpected token `}'",
    }


def test_die_in_global_scope_has_the_ebuilds_line() -> None:
    reason = "nosuch.eclass could not be found by inherit()"
    assert broken(DIED) == {"file": EBUILD, "line": 8, "reason": reason}


def test_words_that_name_no_line_are_no_place() -> None:
    assert (
        broken(" * ERROR: cat/bad-1::toy failed (depend phase):\n *   error sourcing ebuild") == {}
    )


def test_each_masked_package_has_its_reasons_and_who_masks_it() -> None:
    text = (
        "- cat/a-2::toy (masked by: package.mask, ~amd64 keyword)\n"
        "/etc/portage/package.mask/00-base:\n# why\n\n"
        "- cat/a-1::toy (masked by: invalid: RDEPEND: Invalid atom (foo), token 1)\n"
        "- cat/a-0::toy (masked by: odd license(s), missing keyword)\n"
    )
    assert masks(text) == [
        {
            "cpv": "cat/a-2",
            "reasons": ["package.mask", "~amd64 keyword"],
            "file": "/etc/portage/package.mask/00-base",
        },
        {
            "cpv": "cat/a-1",
            "reasons": ["invalid: RDEPEND: Invalid atom (foo), token 1"],
            "file": None,
        },
        {"cpv": "cat/a-0", "reasons": ["odd license(s)", "missing keyword"], "file": None},
    ]
