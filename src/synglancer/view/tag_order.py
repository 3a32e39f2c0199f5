"""The order of tags, the same in layers, cards, reports and summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.settings import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Iterable

KNOWN_TAGS = ("spine", "shaft", "soma", "multi-input")


def sort_tags(tags: Iterable[str]) -> list[str]:
    """Sort tags in the order of their layers.

    Examples
    --------
    >>> sort_tags(["unlabelled", "vesicle", "soma", "spine"])
    ['spine', 'soma', 'vesicle', 'unlabelled']
    """
    return sorted(tags, key=rank_tag)


def rank_tag(tag: str) -> tuple[int, str]:
    """Return a sort key: known tags first, then other tags by name, then unlabelled ones."""
    if tag == UNLABELLED:
        return len(KNOWN_TAGS) + 1, tag
    return (KNOWN_TAGS.index(tag) if tag in KNOWN_TAGS else len(KNOWN_TAGS)), tag
