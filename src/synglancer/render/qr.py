"""Make QR codes of links, for posters and slides; the only module that imports segno."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from synglancer.errors import UsageError
from synglancer.render.endings import check_kind

if TYPE_CHECKING:
    from pathlib import Path

_MODULE = 6  # pixels of the smallest square
_BORDER = 4  # squares of quiet around it, as the standard wants


def check_qr_suffix(name: str | Path) -> None:
    """Refuse a file extension that is not supported for QR codes."""
    check_kind("A QR code", name, (".png", ".svg"), "Use the extension .png or .svg.")


def format_qr(url: str, suffix: str = ".svg") -> bytes:
    """Make the QR code of a link, black on white with a quiet border.

    Parameters
    ----------
    url
        The link.
    suffix
        ``.svg`` or ``.png``.

    Raises
    ------
    UsageError
        When the link is too long for a QR code.
    """
    import segno

    check_qr_suffix(suffix)
    try:
        # Level M can be read with a seventh of it covered. Few phones read micro codes, so none are
        # made.
        code = segno.make(url, error="m", micro=False, boost_error=False)
    except segno.DataOverflowError as error:
        raise UsageError(
            f"A link of {len(url):,} characters is too long for a QR code, which holds at most "
            "2,331.",
            "Leave out --inline to get a short link.",
        ) from error
    content = io.BytesIO()
    code.save(content, kind=suffix[1:], scale=_MODULE, border=_BORDER, light="white")
    return content.getvalue()
