"""synglancer sandbox: an embedded CAVE in the foreground or the background."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import Annotated

from cyclopts import Parameter

from cave_sandbox.process import daemon
from cave_sandbox.process.daemon import StartOptions
from synglancer.cave.sandbox import translate_sandbox_errors
from synglancer.cli.options import describe
from synglancer.cli.printing import print_lines
from synglancer.errors import ServiceError, UsageError


@dataclass(frozen=True)
class SandboxOptions(StartOptions):
    """`StartOptions`, with the placeholders that help shows for values."""

    data: Annotated[Path | None, describe(None, "FOLDER")] = None
    host: Annotated[str, describe(None, "ADDRESS")] = "127.0.0.1"
    port: Annotated[int, describe(None, "N")] = 0
    token: Annotated[str | None, describe(None, "TOKEN")] = field(default=None, repr=False)
    token_file: Annotated[Path | None, describe(None, "FILE")] = None
    row_limit: Annotated[int | None, describe(None, "N")] = None
    latency_ms: Annotated[int, describe(None, "MS")] = 0
    fault: Annotated[str | None, describe(None, "SPEC")] = None
    idle_minutes: Annotated[float, describe(None, "MINUTES")] = 30.0


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
