"""synglancer sandbox: an embedded CAVE in the foreground or the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from cave_sandbox.process import daemon
from cave_sandbox.process.daemon import StartOptions
from synglancer.cave.sandbox import translate_sandbox_errors
from synglancer.cli.options import describe, show_as
from synglancer.cli.printing import print_lines
from synglancer.errors import ServiceError, UsageError

_VALUES = {
    "data": "FOLDER", "host": "ADDRESS", "port": "N", "token": "TOKEN", "token_file": "FILE",
    "row_limit": "N", "latency_ms": "MS", "fault": "SPEC", "idle_minutes": "MINUTES",
}  # fmt: skip


@dataclass(frozen=True)
@show_as({name: describe(None, value) for name, value in _VALUES.items()})
class SandboxOptions(StartOptions):
    """`StartOptions`, with the placeholders that help shows for values."""

    token: str | None = field(default=None, repr=False)


_DEFAULTS = SandboxOptions()

Options = Annotated[SandboxOptions, Parameter(name="*")]


def serve(*, options: Options = _DEFAULTS) -> None:
    """Serve the sandbox in the foreground until it is stopped."""
    with translate_sandbox_errors():
        daemon.serve_in_foreground(options)


def start(*, options: Options = _DEFAULTS) -> None:
    """Start the sandbox in the background if it is not running, and print its address."""
    with translate_sandbox_errors():
        running = daemon.start(None if options == _DEFAULTS else options)
    print(running.origin)  # noqa: T201


def status() -> None:
    """Print the address of the background sandbox."""
    with translate_sandbox_errors():
        running = daemon.status()
    if running is None:
        raise ServiceError(
            "The sandbox is not running.", "Start it with `synglancer sandbox start`."
        )
    print(running.origin)  # noqa: T201


def stop() -> None:
    """Stop the background sandbox; stored states are kept."""
    with translate_sandbox_errors():
        stopped = daemon.stop()
    if not stopped:
        raise UsageError("The sandbox is not running.", "There is nothing to stop.")
    print_lines(["The sandbox was stopped."])
