"""synglancer sandbox: an embedded CAVE in the foreground or the background."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from synglancer.errors import UsageError
from synglancer.sandbox import daemon
from synglancer.sandbox.daemon import StartOptions

_DEFAULTS = StartOptions()

Options = Annotated[StartOptions, Parameter(name="*")]


def serve(*, options: Options = _DEFAULTS) -> None:
    """Serve the sandbox in the foreground until it is stopped."""
    daemon.serve_in_foreground(options)


def start(*, options: Options = _DEFAULTS) -> None:
    """Start the sandbox in the background, unless it is running, and print its address."""
    print(daemon.start(None if options == _DEFAULTS else options).origin)  # noqa: T201


def status() -> int:
    """Print the address of the sandbox that runs in the background."""
    running = daemon.status()
    if running is None:
        print("The sandbox is not running.", file=sys.stderr)  # noqa: T201
        return 1
    print(running.origin)  # noqa: T201
    return 0


def stop() -> None:
    """Stop the sandbox that runs in the background; its states are kept."""
    if not daemon.stop():
        raise UsageError("The sandbox is not running.", "There is nothing to stop.")
