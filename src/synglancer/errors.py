"""The errors that synglancer raises on purpose, each with its exit code and its hint.

Every error is one sentence that says what happened (`str(error)`) and one that says what to do
(`error.hint`).

    SynglancerError                 exit 1  (never raised itself)
    ├── UsageError                  exit 2  what was asked cannot be asked
    │   └── TooLargeError                   a state is larger than a link or a server may hold
    ├── CellError                   exit 3  the cell is unknown, outdated or ambiguous
    ├── PictureError                exit 4  no picture can be made of a link
    ├── OutputError                 exit 4  what was made cannot be written: a full disk, for one
    └── ServiceError                exit 4  the service refused or failed
        ├── LoginError                      no token, or one that is not accepted
        ├── PermissionMissingError          the token may not see this
        ├── TermsOfServiceError             terms of service not accepted yet
        ├── NotServedError                  no such datastack, version or table there
        ├── UnreachableError                no answer: refused, reset, timed out
        ├── RateLimitError                  the service asks for patience
        ├── TruncatedError                  the answer is not whole
        ├── DataChangedError                the server serves other data than before
        └── BadAnswerError                  the answer is not what CAVE answers
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

_PACKAGE = Path(__file__).parent

DOCTOR = "`synglancer doctor` shows which step fails."
"""What to do about an error on the way to the data, behind all else."""

SOME_SKIPPED = 5
"""Exit code of a batch that finished, with cells, links or files that were skipped or are bad."""


class SynglancerError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    message
        One sentence that says what happened.
    hint
        One sentence that says what to do.
    """

    exit_code = 1
    doctor_helps = False
    """Whether `synglancer doctor` looks at what such an error is about."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[type, tuple[str, str], dict[str, object]]:
        """Keep the hint, and all else, when the error crosses a process boundary."""
        return type(self), (str(self), self.hint), self.__dict__

    @property
    def advice(self) -> str:
        """The hint, with the command that looks for the cause where there is one."""
        return f"{self.hint} {DOCTOR}" if self.doctor_helps else self.hint

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and Jupyter show: what happened, what to do, and where."""
        if is_debugging():
            return "".join(traceback.format_exception(self)).splitlines()
        where = [_name_line(frame) for frame in traceback.extract_tb(self.__traceback__)]
        return [f"{type(self).__name__}: {self}", self.advice, *filter(None, where)]


def _name_line(frame: traceback.FrameSummary) -> str:
    """Name a line of the user's; nothing for one of ours or of IPython's."""
    path = Path(frame.filename)
    if path.is_relative_to(_PACKAGE) or "IPython" in path.parts:
        return ""
    place = f"{path.name}, line {frame.lineno}" if path.is_file() else f"line {frame.lineno}"
    return f"    {place}: {frame.line}"


def is_debugging() -> bool:
    """Whether ``SYNGLANCER_DEBUG`` asks for whole tracebacks."""
    return os.environ.get("SYNGLANCER_DEBUG", "").strip() not in {"", "0"}


class SynglancerWarning(UserWarning):
    """What a reader should know of a link that was made."""


class UsageError(SynglancerError):
    """What was asked cannot be asked."""

    exit_code = 2


class TooLargeError(UsageError):
    """A state is larger than a link or a state server may hold: one cell's, not that of others."""


class CellError(SynglancerError):
    """The cell is unknown, outdated beyond repair or ambiguous."""

    exit_code = 3


class PictureError(SynglancerError):
    """No picture can be made of a link: there is no browser, or it does not draw the view."""

    exit_code = 4


class OutputError(SynglancerError):
    """What was made cannot be written: the disk is full, a folder is gone, stdout is closed."""

    exit_code = 4


class ServiceError(SynglancerError):
    """The service refused or failed.

    Parameters
    ----------
    message, hint
        As for every error.
    transient
        Whether the same request may succeed a moment later.
    sent
        Whether the request may have reached the server and had an effect there.
    retry_after
        Seconds after which the server wants to be asked again, when it says so.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        hint: str,
        *,
        transient: bool | None = None,
        sent: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.transient = self.usually_transient if transient is None else transient
        self.sent = sent
        self.retry_after = retry_after

    usually_transient = False


class LoginError(ServiceError):
    """No token was given, or the service does not accept it."""

    doctor_helps = True


class PermissionMissingError(ServiceError):
    """The token is good, but may not see this."""

    doctor_helps = True


class TermsOfServiceError(ServiceError):
    """The terms of service have not been accepted with this account."""

    doctor_helps = True


class NotServedError(ServiceError):
    """The service has no such datastack, version or table."""


class UnreachableError(ServiceError):
    """No answer came: refused, reset or timed out."""

    doctor_helps = True
    usually_transient = True


class RateLimitError(ServiceError):
    """The service asks for fewer requests."""

    usually_transient = True


class TruncatedError(ServiceError):
    """The answer is not whole, or could not be completed.

    Parameters
    ----------
    message, hint
        As for every error.
    limit
        How many rows the server gives at most, where it says so.
    content
        The rows that came, as they came.
    """

    def __init__(
        self, message: str, hint: str, *, limit: int | None = None, content: bytes = b""
    ) -> None:
        super().__init__(message, hint)
        self.limit = limit
        self.content = content


class DataChangedError(ServiceError):
    """The server serves other data than before at the same address."""


class BadAnswerError(ServiceError):
    """The answer is not what a CAVE service answers."""


def describe_os_error(error: OSError) -> str:
    """Say that the system refused to read or write, and what."""
    what = f" ({error.filename})" if error.filename else ""
    return f"The system refused to read or write{what}: {error.strerror or error}."


def build_not_cave_error(server: str) -> BadAnswerError:
    """Make the error for an answer that no CAVE service would give."""
    error = BadAnswerError(
        f"The answer of {server} is not what a CAVE server answers.",
        "Check the address given with --server; try again if it is right.",
    )
    error.doctor_helps = True  # others of its kind are about a link or a table
    return error
