"""The marks that a reviewer can make: right, unsure, or another tag.

The name of a mark is valid in every viewer as a property, in a shader and in a tool.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REVIEW = "review"
"""The name of the layer with the synapses to review."""

RIGHT, UNSURE, UNMARKED = "right", "unsure", "unmarked"
"""Names of the marks without a tag, and of a missing mark."""

VERDICT = "verdict"
"""The property that holds marks in viewers with keys for the labels of one property."""

ALWAYS = ("spine", "shaft", "soma")
"""Tags that can be marked even if no synapse in the table has them."""

_TYPED = re.compile(r"=\s*([^\s=]+)")


@dataclass(frozen=True)
class Mark:
    """A mark.

    Attributes
    ----------
    name
        Its name: letters, digits and single underscores, with a lower-case letter first.
    label
        Its text in viewers.
    tag
        The tag that the synapse has instead; empty for `RIGHT` and `UNSURE`.
    """

    name: str
    label: str
    tag: str = ""

    def means(self, predicted: str) -> str:
        """Return the tag of a synapse according to the mark; empty for unsure."""
        return predicted if self.name == RIGHT else self.tag


def list_marks(tags: Iterable[str]) -> tuple[Mark, ...]:
    """List the marks for these tags: right, unsure, and one for each tag.

    Examples
    --------
    >>> [mark.name for mark in list_marks(["shaft", "multi-input", "multi input"])]
    ['right', 'unsure', 'is_shaft', 'is_multi_input', 'is_multi_input_2']
    """
    marks = [Mark(RIGHT, "right"), Mark(UNSURE, "unsure")]
    taken: set[str] = set()
    for place, tag in enumerate(tags, start=1):
        plain = f"is_{_normalise(tag) or place}"
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name)
        marks.append(Mark(name, f"is {tag}", tag))
    return tuple(marks)


def _normalise(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")


def read_typed(text: str, marks: Sequence[Mark]) -> tuple[list[Mark], list[str], str]:
    """Read the marks typed into a text: ``=shaft``, or an unambiguous beginning of it.

    Returns
    -------
    tuple
        The marks, the words after ``=`` that are not marks, and the text without the marks.

    Examples
    --------
    >>> marks, unknown, rest = read_typed("=sh? see =rigth", list_marks(ALWAYS))
    >>> [mark.name for mark in marks], unknown, rest
    (['is_shaft'], ['=rigth'], 'see =rigth')
    """
    found: list[Mark] = []
    unknown: list[str] = []

    def take(word: re.Match[str]) -> str:
        mark = _find_mark(word[1], marks)
        if mark is None:
            unknown.append(f"={word[1]}")
            return word[0]
        found.append(mark)
        return " "

    rest = _TYPED.sub(take, text)
    return found, unknown, " ".join(rest.split())


def _find_mark(word: str, marks: Sequence[Mark]) -> Mark | None:
    """Find the mark with this name, with or without ``is_``, or the only one that begins so."""
    typed = _normalise(word)
    for exact in (typed, f"is_{typed}"):
        for mark in marks:
            if mark.name == exact:
                return mark
    begun = [mark for mark in marks if typed and mark.name.startswith((typed, f"is_{typed}"))]
    return begun[0] if len(begun) == 1 else None
