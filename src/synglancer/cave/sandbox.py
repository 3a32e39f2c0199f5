"""Use the embedded sandbox as a CAVE server, and convert its errors to ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cave_sandbox.errors import InputError, SandboxError
from cave_sandbox.process.daemon import ensure
from cave_sandbox.process.residence import Residence
from synglancer.errors import ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cave_sandbox.process.residence import Running


def start_sandbox() -> Running:
    """Start the sandbox in the background, unless it is running.

    Raises
    ------
    UsageError
        When its dependencies are not installed.
    ServiceError
        When it does not start.
    """
    with translate_sandbox_errors():
        return ensure()


def find_published() -> Path:
    """Return the folder whose files the sandbox of this machine serves under ``/published/``."""
    return Residence.of_user().published


@contextmanager
def translate_sandbox_errors() -> Iterator[None]:
    """Raise the sandbox's errors as ours, which have exit codes."""
    try:
        yield
    except InputError as error:
        raise UsageError(str(error), error.hint) from error
    except SandboxError as error:
        raise ServiceError(str(error), error.hint) from error
