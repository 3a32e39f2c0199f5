"""synglancer sandbox: an embedded CAVE in the foreground or the background."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from cave_sandbox.process import daemon
from cave_sandbox.process.daemon import StartOptions
from synglancer.cave.sandbox import translate_sandbox_errors
from synglancer.errors import UsageError

_DEFAULTS = StartOptions()

Options = Annotated[StartOptions, Parameter(name="*")]


def serve(*, options: Options = _DEFAULTS) -> None:
    """Serve the sandbox in the foreground until it is stopped."""
    with translate_sandbox_errors():
        daemon.serve_in_foreground(options)


def start(*, options: Options = _DEFAULTS) -> None:
    """Start the sandbox in the background if it is not running, and print its address."""
    with translate_sandbox_errors():
        running = daemon.start(None if options == _DEFAULTS else options)
    print(running.origin)  # noqa: T201


def status() -> int:
    """Print the address of the background sandbox."""
    with translate_sandbox_errors():
        running = daemon.status()
    if running is None:
        print("The sandbox is not running.", file=sys.stderr)  # noqa: T201
        return 1
    print(running.origin)  # noqa: T201
    return 0


def stop() -> None:
    """Stop the background sandbox; stored states are kept."""
    with translate_sandbox_errors():
        stopped = daemon.stop()
    if not stopped:
        raise UsageError("The sandbox is not running.", "There is nothing to stop.")
