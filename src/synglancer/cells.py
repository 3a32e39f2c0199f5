"""What was typed → a root ID.

It must not ask a service: it only decides what can be a root ID at all.
"""

from __future__ import annotations

import re

from synglancer.errors import UsageError

_MAX_UINT64 = 2**64 - 1
_LAYER_SHIFT = 56
_SUPERVOXEL_LAYER = 1
_HINT = "Give a root ID, such as 864691135276234469."
_MAX_QUOTE = 60


def parse_cell(given: str | int) -> int:
    """Read a root ID.

    Parameters
    ----------
    given
        What was typed: a decimal number, in text or as an integer (also of numpy).

    Returns
    -------
    int
        The root ID, 1 … 2**64 - 1.

    Raises
    ------
    UsageError
        When it cannot be a root ID; the sentences say why and what to do.

    Examples
    --------
    >>> parse_cell(" 864691135276234469 ")
    864691135276234469
    """
    try:
        text = str(given).strip()
    except ValueError:  # an integer of more digits than Python writes out
        text = "9" * (_MAX_QUOTE + 1)
    shown = repr(text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "…")
    if not text:
        raise UsageError("No cell was given.", _HINT)
    if re.fullmatch(r"[+-]?(\d+\.\d*|\.?\d+(\.\d*)?[eE][+-]?\d+)", text):
        raise UsageError(
            f"{shown} is a rounded number, not a root ID.",
            "A spreadsheet or a float cannot hold 18 digits: give the ID as text or an integer.",
        )
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise UsageError(f"{shown} is not a root ID, which is a whole number.", _HINT)
    cell = int(text) if len(text) <= _MAX_QUOTE else _MAX_UINT64 + 1
    if cell <= 0:
        raise UsageError(f"{shown} is not a root ID, which is above zero.", _HINT)
    if cell > _MAX_UINT64:
        raise UsageError(
            f"{shown} is too large for a root ID, which has 64 bits.",
            "Check for a digit too many, or two IDs that ran together.",
        )
    if cell >> _LAYER_SHIFT == _SUPERVOXEL_LAYER:
        raise UsageError(
            f"{shown} looks like a supervoxel ID, not a root ID.",
            "Give the root ID of the cell, which begins with 8646911 in minnie65.",
        )
    return cell
