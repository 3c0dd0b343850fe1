"""Names and places of user patches, as portage(5) has them below ``patches/``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cloche.errors import ClocheError
from cloche.portage.cpv import Cpv

_LONGEST = 40  # characters of the words in a name
_NUMBER = re.compile(r"(\d+)-")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
ENDS = (".patch", ".diff")


def word_of(subject: str) -> str:
    """The words of a subject, as a file's name has them."""
    words = re.findall(r"[a-z0-9]+", subject.lower())
    text = ""
    for word in words:
        longer = f"{text}-{word}" if text else word[:_LONGEST]
        if len(longer) > _LONGEST:
            break
        text = longer
    return text or "change"


def next_name(subject: str, there: Iterable[str], *, name: str | None = None) -> str:
    """``NNNN-word.patch``, with the number that follows those of the names ``there``.

    ``name`` is what the user wants in the place of the subject's words. Raises ClocheError.
    """
    if name is not None:
        name = name.removesuffix(".patch")
        if _NAME.fullmatch(name) is None:
            what = f"“{name}” is not a name for a patch"
            raise ClocheError(what, where="--name", todo="use letters, digits, _ . + -")
    numbers = [int(found[1]) for each in there if (found := _NUMBER.match(each))]
    return f"{max(numbers, default=0) + 1:04}-{name or word_of(subject)}.patch"


def place(cpv: Cpv, *, this_version: bool) -> str:
    """The directory below /etc/portage that has the patches of all versions, or of this one."""
    return f"patches/{cpv.category}/{cpv.p if this_version else cpv.pn}"


def advice(cpv: str, new: Iterable[str], there: Iterable[str]) -> str:
    """What to do if a new patch, which was made on top of the others, does not apply.

    Portage goes by the bytes of the names.
    """
    for name in new:
        after = sorted((each for each in there if each.encode() > name.encode()), key=str.encode)
        if after:
            return f"{name} would come before {after[0]}: rename that one to 0001-{after[0]}"
    return f"`cloche patch prep ={cpv} --force` begins again"
