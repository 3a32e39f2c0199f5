"""IPython without a history, for tests of what notebooks show."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from typing import TYPE_CHECKING

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def open_shell() -> Iterator[InteractiveShell]:
    """Open a shell, and close it at the end.

    At the exit of a process, each shell left open collects the garbage of all tests, which took
    seconds.
    """
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    try:
        yield shell
    finally:
        atexit.unregister(shell.atexit_operations)
        InteractiveShell.clear_instance()
