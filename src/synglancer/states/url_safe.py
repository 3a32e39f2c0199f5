"""Read the JSON of older viewers' links, with single quotes and with underscores for commas.

``{'layers':{}_'layout':'3d'}`` has no character that a browser encodes. All viewers still read it.
"""

from __future__ import annotations

import re

_PIECE = re.compile(r"'(?P<single>(?:[^'\\]|\\.)*)'|(?P<double>\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_ESCAPE = re.compile(r"\\.|\"", re.DOTALL)
_COMMA = re.compile("[_&]")


def to_json(text: str) -> str:
    r"""Convert a text in this form to JSON; JSON stays unchanged.

    Examples
    --------
    >>> to_json(r"{'a_b':[1_true]&'it\'s':'say \"x\"'}")
    '{"a_b":[1,true],"it\'s":"say \\"x\\""}'
    >>> to_json('{"a_b": ["c", 1]}')
    '{"a_b": ["c", 1]}'
    """
    parts, end = [], 0
    for piece in _PIECE.finditer(text):
        parts.append(_COMMA.sub(",", text[end : piece.start()]))
        single = piece["single"]
        parts.append(piece["double"] if single is None else f'"{_ESCAPE.sub(_requote, single)}"')
        end = piece.end()
    parts.append(_COMMA.sub(",", text[end:]))
    return "".join(parts)


def _requote(escape: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(escape[0], escape[0])
