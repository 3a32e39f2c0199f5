"""Check file extensions, and refuse unsupported ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection


def check_kind(what: str, suffix: str, endings: Collection[str], hint: str | None = None) -> None:
    """Check that a file extension is supported.

    Parameters
    ----------
    what
        The beginning of the error message, such as ``A table``.
    suffix
        The file extension.
    endings
        The supported extensions.
    hint
        What to do; by default, choose one of them.

    Raises
    ------
    UsageError
        When it is not supported.
    """
    if not suffix:
        raise UsageError(
            f"{what} needs a file name with an extension, which decides the format.",
            hint or f"Use one of the extensions {', '.join(endings)}.",
        )
    if suffix not in endings:
        raise UsageError(
            f"{what} cannot be written as {suffix!r}.",
            hint or f"Use one of the extensions {', '.join(endings)}.",
        )
