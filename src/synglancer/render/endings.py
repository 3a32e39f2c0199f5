"""Check file extensions, and refuse unsupported ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.errors import UsageError
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST = 200  # characters of a file's name in a message


def check_kind(
    what: str, name: str | Path, endings: Collection[str], hint: str | None = None
) -> None:
    """Check that the extension of a file's name is supported.

    Parameters
    ----------
    what
        The beginning of the error message, such as ``A table``.
    name
        The file's name, or only an extension.
    endings
        The supported extensions.
    hint
        What to do; by default, choose one of them.

    Raises
    ------
    UsageError
        When it is not supported.
    """
    suffix = find_suffix(name)
    if suffix in endings:
        return
    hint = hint or f"Use one of the extensions {', '.join(endings)}."
    file = "" if str(name) == suffix else f", as the name {quote(str(name), _LONGEST)} says"
    if not suffix:
        raise UsageError(
            f"{what} needs a file name with an extension, which decides the format, but "
            f"{quote(str(name), _LONGEST)} has none.",
            hint,
        )
    raise UsageError(f"{what} cannot be written as {quote(suffix)}{file}.", hint)


def find_suffix(name: str | Path) -> str:
    """Return the extension of a file's name, or an extension itself, in lower case.

    Examples
    --------
    >>> find_suffix("Table.CSV"), find_suffix(".csv"), find_suffix("table")
    ('.csv', '.csv', '')
    """
    text = str(name)
    return text.lower() if re.fullmatch(r"\.\w+", text) else Path(text).suffix.lower()
