"""The outcome of a check: a sentence, and another one that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]
"""The status of a check. A warning does not keep links from being made."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check.

    Attributes
    ----------
    name
        The check, in a word.
    status
        Its status.
    message
        The result as a sentence; or why the check was skipped.
    hint
        What to do, as a sentence; empty if there is nothing to do.
    """

    name: str
    status: Status
    message: str
    hint: str = ""
