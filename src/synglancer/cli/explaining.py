"""Explain errors to users of a command: exit code, what happened and what to do."""

from __future__ import annotations

from cyclopts import CycloptsError
from cyclopts.exceptions import UnknownOptionError, UnusedCliTokensError

from synglancer.cli.config import CONFIG_FILE, find_file
from synglancer.cli.printing import find_unknown_option, suggest_option
from synglancer.errors import OutputError, SynglancerError, describe_os_error
from synglancer.text.printable import quote

_NUMBERS: dict[type | None, str] = {int: "a whole number", float: "a number"}
_BUG = 1
_REPORT = (
    "Please run the command again with the environment variable SYNGLANCER_DEBUG=1, and report it "
    "with the output."
)
_USAGE = 2


def explain(error: Exception) -> tuple[int, str, str]:
    """Return the exit code of an error, what happened and what to do."""
    cause = error.__cause__ if isinstance(error, CycloptsError) else error
    if isinstance(cause, SynglancerError):
        return cause.exit_code, str(cause), cause.advice
    if type(error) is CycloptsError and isinstance(cause, OSError | ValueError):
        hint = "Correct or remove the file. It is read from this folder or a folder above it."
        return _USAGE, _say_why_unread(cause), hint
    if option := _find_unknown(error):
        return _USAGE, f"Unknown option: {quote(option)}.", suggest_option(option)
    if isinstance(error, CycloptsError):
        return _USAGE, _say_what_is_wrong(error), "See --help for the options."
    if isinstance(error, OSError):
        message = describe_os_error(error)
        return OutputError.exit_code, message, "Check free space and permissions, then try again."
    message = f"This is a bug in synglancer: {type(error).__name__}."
    return _BUG, message, _REPORT


def _say_why_unread(cause: OSError | ValueError) -> str:
    """Explain in one sentence why the file of options cannot be read."""
    path = find_file() or CONFIG_FILE
    if isinstance(cause, IsADirectoryError):
        return f"{path} is a folder."
    if isinstance(cause, UnicodeDecodeError):
        return f"{path} is not a text file in UTF-8."
    reason = cause.strerror if isinstance(cause, OSError) else None
    return f"{path} cannot be read: {reason or cause}."


def _find_unknown(error: Exception) -> str:
    """Find the option that the command does not have; empty if something else is wrong."""
    if isinstance(error, UnknownOptionError):
        return (error.token.keyword or error.token.value).partition("=")[0]
    return find_unknown_option() if isinstance(error, UnusedCliTokensError) else ""


def _say_what_is_wrong(error: CycloptsError) -> str:
    """Explain in one sentence why the words of a command line are refused."""
    from cyclopts.exceptions import CoercionError, MissingArgumentError

    if isinstance(error, UnusedCliTokensError):
        return f"The command does not accept these words: {' '.join(error.unused_tokens or ())}."
    if isinstance(error, MissingArgumentError) and error.keyword:
        return f"{error.keyword} requires an argument."
    if isinstance(error, MissingArgumentError) and error.argument:
        name, by_place = error.argument.name, error.argument.index is not None
        return f"{name.strip('-').upper() if by_place else name} is missing."
    if isinstance(error, CoercionError) and error.token and error.msg is None:
        kind = _NUMBERS.get(error.target_type)
        if kind:
            name = (error.token.keyword or "this word").strip("[]")
            in_file = str(error.token.source).endswith(CONFIG_FILE)
            name = f"{name} in {CONFIG_FILE}" if in_file else name
            return f"{error.token.value} is not {kind}, as {name} needs."
    return " ".join(str(error).split())
