"""Run a sandbox process: load the data, serve, and end when stopped or idle.

It also handles signals and sets up the log.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cave_sandbox.errors import InputError, SandboxError
from cave_sandbox.process.idle import IdleWatch
from cave_sandbox.process.options import StartOptions
from cave_sandbox.process.residence import Residence
from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.server import Sandbox, SandboxOptions, bind

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Longest time between two checks for requests, in seconds.
LOOK_EVERY = 5.0

#: Port numbers are below this.
PORTS = 2**16

#: Longest time to wait for a sandbox that is ending, in seconds.
LOCK_TIMEOUT = 5.0


class MaskingFormatter(logging.Formatter):
    """Formats log lines with tokens masked."""

    def __init__(self, token: str) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self.token = token

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, traceback included, with the token masked."""
        return super().format(record).replace(self.token, "***")


def serve_background(
    folder: str, record: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> None:
    """Serve as the user's background sandbox until stopped or idle.

    The record is what `StartOptions.to_record` wrote; ``report`` is called once, with ``{"ready":
    True}`` or with what went wrong.
    """
    residence = Residence(Path(folder))
    options = StartOptions.from_record(record)
    try:
        with residence.locked("server", LOCK_TIMEOUT):
            _serve_locked(residence, options, report)
    except TimeoutError:
        busy = "Another sandbox is running in the background."
        report({"error": busy, "hint": "Stop it with `synglancer sandbox stop`."})
    except SandboxError as error:
        usage = isinstance(error, InputError)
        report({"error": str(error), "hint": error.hint, "usage": usage})
    except Exception as error:
        logger.exception("The sandbox stops.")
        failure = f"The sandbox did not start: {type(error).__name__}."
        report({"error": failure, "hint": f"See {residence.log} for the reason."})


def _serve_locked(
    residence: Residence, options: StartOptions, report: Callable[[dict[str, Any]], None]
) -> None:
    last_port, last_token = _read_last(residence)
    token = options.token or last_token or secrets.token_urlsafe(32)
    kept = {"host": options.host, "port": last_port, "token": token}
    residence.write_record(kept)  # without a process ID, so the old record is not taken for ours
    _log_to_stderr(token)
    ended = _end_on_signals()
    with _open_sandbox(residence, options, token, last_port) as sandbox:
        told = options.to_record()
        del told["token"]
        kept["port"] = int(sandbox.origin.rsplit(":", 1)[1])
        running = {
            **kept,
            "origin": sandbox.origin,
            "pid": os.getpid(),
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "options": told,
        }
        residence.write_record(running)
        logger.info("Serving at %s.", sandbox.origin)
        report({"ready": True})
        _wait_until_idle(sandbox, ended, options.idle_minutes * 60)
        residence.write_record(kept)
    logger.info("Ended.")


def _read_last(residence: Residence) -> tuple[int, str | None]:
    """Return the port and the token of the last start, if they can be used again."""
    last = residence.read_record()
    port, token = last.get("port"), last.get("token")
    return (
        port if isinstance(port, int) and 0 < port < PORTS else 0,
        token if isinstance(token, str) and token else None,
    )


def serve_foreground(options: StartOptions) -> None:
    """Print the address, and serve until the process is told to end.

    If no token is given, one is generated and printed on stderr.
    """
    residence = Residence.of_user()
    residence.prepare()
    token = options.token or secrets.token_urlsafe(32)
    _log_to_stderr(token)
    ended = _end_on_signals()
    with _open_sandbox(residence, options, token, 0) as sandbox:
        print(sandbox.origin, flush=True)  # noqa: T201  # the command's result
        if options.token is None:
            sys.stderr.write(f"Its token, for CAVE_TOKEN or --token-file: {token}\n")
        sys.stderr.write("It serves until you stop it with Ctrl-C.\n")
        while not ended.wait(LOOK_EVERY):
            sandbox.take_requests()  # otherwise the list of requests would grow for weeks


def _open_sandbox(
    residence: Residence, options: StartOptions, token: str, last_port: int
) -> Sandbox:
    """Load the data and open the sandbox, by default at its last port if that is free."""
    return Sandbox(
        SandboxOptions(
            data=options.data or ensure_sample(residence.sample),
            states=residence.states,
            published=residence.published,
            host=options.host,
            port=options.port or (last_port if _is_free(options.host, last_port) else 0),
            token=token,
            row_limit=options.row_limit,
            latency_ms=options.latency_ms,
            fault=options.fault,
        )
    )


def _is_free(host: str, port: int) -> bool:
    """Return whether a port at an address is free to listen on."""
    with suppress(OSError):
        bind(host, port).close()
        return True
    return False


def _wait_until_idle(sandbox: Sandbox, ended: threading.Event, limit: float) -> None:
    watch = IdleWatch(limit, now=time.monotonic())
    while not ended.wait(min(LOOK_EVERY, limit / 4)):
        # A page that reconnects by itself, after a restart or sleep, does not count as use.
        used = any(not item.path.startswith("/events/") for item in sandbox.take_requests())
        if watch.is_idle(now=time.monotonic(), used=used, pages=sandbox.open_pages):
            logger.info("No requests for %.0f s.", limit)
            return


def _end_on_signals() -> threading.Event:
    """Return an event that is set when the process is told to end."""
    ended = threading.Event()
    for order in (signal.SIGTERM, signal.SIGINT):
        signal.signal(order, lambda *_: ended.set())
    return ended


def _log_to_stderr(token: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(MaskingFormatter(token))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It writes a line for each request, which would be too many.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
