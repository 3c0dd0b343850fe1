"""What Portage says while it resolves: what is about configuration, and what else."""

from __future__ import annotations

from cloche.guest.complaints import LONGEST, MOST, flags, of_portage

SAID = """--- Invalid atom in /etc/portage/package.use: =cat/a
Calculating dependencies  ... done!

WARNING: A requested package will not be merged because it is listed in
package.provided:

  cat/b pulled in by 'args'

!!! /etc/portage/profile/odd is not
!!! what it should be
Undefined license group 'X'
--- Invalid atom in /etc/portage/package.use: =cat/a

"""


def test_what_no_pattern_knows_is_not_lost() -> None:
    complaints, others = of_portage(SAID)
    assert complaints == [
        "--- Invalid atom in /etc/portage/package.use: =cat/a",
        "Portage says: !!! /etc/portage/profile/odd is not !!! what it should be",
    ]
    assert others == [
        "WARNING: A requested package will not be merged because it is listed in "
        "package.provided: cat/b pulled in by 'args'"
    ]
    assert of_portage("") == ([], [])


def test_it_is_not_without_end() -> None:
    _, others = of_portage("\n\n".join(f"{n} {'x' * 1000}" for n in range(50)))
    assert len(others) == MOST + 1
    assert max(map(len, others)) == LONGEST + 1
    assert others[-1] == "30 more messages; they are in the log"
    assert of_portage("again\n\nagain")[1] == ["again"]


def test_flags_of_a_line_have_their_variable() -> None:
    words = ["a", "-b", "-*", "L10N:", "de", "-fr", "\n", "c"]
    assert flags(words) == {
        "a": ("", "a"),
        "b": ("", "b"),
        "l10n_de": ("L10N", "de"),
        "l10n_fr": ("L10N", "fr"),
        "c": ("", "c"),
    }
