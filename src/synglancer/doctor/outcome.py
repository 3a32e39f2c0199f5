"""What a check found: one sentence, and one that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "failed", "skipped"]
"""How a check ended. A warning is about something that links can be made without."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes
    ----------
    name
        The check, in a word.
    status
        How it ended.
    message
        What was found, as a sentence; or why the check was skipped.
    hint
        What to do, as a sentence; empty where there is nothing to do.
    """

    name: str
    status: Status
    message: str
    hint: str = ""
