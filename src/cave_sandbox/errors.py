"""The errors of the sandbox: one sentence says what happened, a hint says what to do."""

from __future__ import annotations


class SandboxError(Exception):
    """Base of the sandbox's errors.

    Parameters
    ----------
    message
        One sentence that says what happened.
    hint
        One sentence that says what to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(SandboxError):
    """An option, a data folder or a fault specification cannot be used."""


class ProcessError(SandboxError):
    """The sandbox cannot be started, reached or stopped."""
