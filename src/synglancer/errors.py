"""The errors of synglancer, each with its exit code and its hint.

Every error is one sentence that says what happened (`str(error)`) and one that says what to do
(`error.hint`).

    SynglancerError                 exit 1  (never raised itself)
    ├── UsageError                  exit 2  the request cannot be carried out as given
    │   └── TooLargeError                   a state is too large for a link or the state server
    ├── CellError                   exit 3  the cell is unknown, outdated or ambiguous
    ├── PictureError                exit 4  a link cannot be rendered as a picture
    ├── OutputError                 exit 4  a result cannot be written, e.g. on a full disk
    └── ServiceError                exit 4  the service refused or failed
        ├── LoginError                      no token, or the token is not accepted
        ├── PermissionMissingError          the token may not see this
        ├── TermsOfServiceError             terms of service not accepted yet
        ├── NotServedError                  unknown datastack, version or table
        ├── UnreachableError                no answer: refused, reset, timed out
        ├── RateLimitError                  the service wants fewer requests
        ├── TruncatedError                  the answer is incomplete
        ├── DataChangedError                the server's data have changed
        └── BadAnswerError                  the answer does not come from CAVE
"""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = Path(__file__).parent

DOCTOR = "`synglancer doctor` shows which step fails."
"""Appended to the hints of errors that doctor can explain."""

SOME_SKIPPED = 5
"""Exit code of a batch that finished, with cells, links or files that were skipped or are bad."""


class SynglancerError(Exception):
    """Base of all errors that synglancer raises.

    Parameters
    ----------
    message
        One sentence that says what happened.
    hint
        One sentence that says what to do.
    """

    exit_code = 1
    doctor_helps = False
    """Whether `synglancer doctor` checks for the causes of this error."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[type, tuple[str, str], dict[str, object]]:
        """Keep the hint and all attributes when the error crosses a process boundary."""
        return type(self), (str(self), self.hint), self.__dict__

    @property
    def advice(self) -> str:
        """The hint, with a pointer to `synglancer doctor` if doctor can explain the error."""
        return f"{self.hint} {DOCTOR}" if self.doctor_helps else self.hint

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and Jupyter show: what happened, what to do, and where."""
        if is_debugging():
            return "".join(traceback.format_exception(self)).splitlines()
        where = [_name_line(frame) for frame in traceback.extract_tb(self.__traceback__)]
        return [f"{type(self).__name__}: {self}", self.advice, *filter(None, where)]


def _name_line(frame: traceback.FrameSummary) -> str:
    """Name a line of the user's code; nothing for our own and IPython's code."""
    path = Path(frame.filename)
    if path.is_relative_to(_PACKAGE) or "IPython" in path.parts:
        return ""
    place = f"{path.name}, line {frame.lineno}" if path.is_file() else f"line {frame.lineno}"
    return f"    {place}: {frame.line}"


def is_debugging() -> bool:
    """Whether ``SYNGLANCER_DEBUG`` turns on full tracebacks."""
    return os.environ.get("SYNGLANCER_DEBUG", "").strip() not in {"", "0"}


class SynglancerWarning(UserWarning):
    """Something that readers of a link should know."""


class UsageError(SynglancerError):
    """The request cannot be carried out as given."""

    exit_code = 2


class TooLargeError(UsageError):
    """A state is too large for a link or the state server; other cells may still fit."""


class CellError(SynglancerError):
    """The cell is unknown or ambiguous, or it is outdated and cannot be followed."""

    exit_code = 3


class PictureError(SynglancerError):
    """A link cannot be rendered: no browser was found, or it does not draw the view."""

    exit_code = 4


class OutputError(SynglancerError):
    """A result cannot be written: the disk is full, a folder is gone, or stdout is closed."""

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
        Seconds to wait before the next request, if the server says so.
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
    """The token is valid, but has no permission for these data."""

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
    """The answer is incomplete and could not be completed.

    Parameters
    ----------
    message, hint
        As for every error.
    limit
        The server's row limit, if it says so.
    content
        The rows that arrived, unchanged.
    """

    def __init__(
        self, message: str, hint: str, *, limit: int | None = None, content: bytes = b""
    ) -> None:
        super().__init__(message, hint)
        self.limit = limit
        self.content = content


class DataChangedError(ServiceError):
    """The server's data have changed at the same address."""


class BadAnswerError(ServiceError):
    """The answer does not look like one from a CAVE service."""


@contextmanager
def needs_extra(extra: str, message: str, otherwise: str = "") -> Iterator[None]:
    """Explain a failed import by the extra that has the library.

    Parameters
    ----------
    extra
        Name of the extra.
    message
        The sentence that says what needs which library.
    otherwise
        What else the user can do, after "or".

    Raises
    ------
    UsageError
        When the library is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise UsageError(message, advise_extra(extra, otherwise)) from error


def advise_extra(extra: str, otherwise: str = "") -> str:
    """Say how to install an extra, and what else to do."""
    also = f"; or {otherwise}" if otherwise else ""
    return f"Install it with: pip install 'synglancer[{extra}]'{also}."


def describe_os_error(error: OSError) -> str:
    """Explain that the system refused to read or write a file."""
    what = f" ({error.filename})" if error.filename else ""
    return f"The system refused to read or write{what}: {error.strerror or error}."


def build_not_cave_error(server: str) -> BadAnswerError:
    """Make the error for an answer that does not come from CAVE."""
    error = BadAnswerError(
        f"The answer of {server} does not look like an answer from CAVE.",
        "Check the address given with --server. If it is right, try again.",
    )
    error.doctor_helps = True  # others of its kind are about a link or a table
    return error
