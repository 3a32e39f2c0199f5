"""What ``synglancer sandbox`` does. `cli` makes commands of these functions.

It must not know how the sandbox works, and loads its server only to serve.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations

from synglancer.errors import UsageError


def serve(
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    token: str | None = None,
    row_limit: int | None = None,
    latency_ms: int = 0,
    fault: str | None = None,
    data: Path | None = None,
) -> None:
    """Serve the sandbox in the foreground until it is stopped.

    Parameters
    ----------
    port
        Port on this machine; 0 chooses a free one.
    host
        Address on this machine to listen at.
    token
        The token that requests must carry; by default one is made and printed.
    row_limit
        Rows after which an answer is cut off, as CAVE does after 200,000.
    latency_ms
        Milliseconds to wait before each answer.
    fault
        What should go wrong, for tests: see docs/faults.md.
    data
        Folder of data to serve instead of the synthetic cell: see docs/data-folder.md.
    """
    from synglancer.sandbox.daemon import serve_in_foreground  # noqa: PLC0415

    serve_in_foreground(
        port=port,
        host=host,
        token=token,
        row_limit=row_limit,
        latency_ms=latency_ms,
        fault=fault,
        data=data,
    )


def start() -> None:
    """Start the sandbox in the background, unless it is running."""
    from synglancer.sandbox.daemon import ensure  # noqa: PLC0415

    print(ensure().origin)  # noqa: T201


def status() -> int:
    """Say whether the sandbox is running, and where."""
    from synglancer.sandbox import daemon  # noqa: PLC0415

    running = daemon.status()
    if running is None:
        print("The sandbox is not running.", file=sys.stderr)  # noqa: T201
        return 1
    print(running.origin)  # noqa: T201
    return 0


def stop() -> None:
    """Stop the sandbox that runs in the background; its states are kept."""
    from synglancer.sandbox import daemon  # noqa: PLC0415

    if daemon.status() is None:
        raise UsageError("The sandbox is not running.", "There is nothing to stop.")
    daemon.stop()
