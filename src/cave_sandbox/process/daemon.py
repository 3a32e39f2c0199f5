"""The sandbox in the background: start it once, find it again, stop it.

One sandbox runs for each user. Several processes that want it at once get the same one. Its port
and its token stay the same from one start to the next, so that old links open again.

The process itself is ``python -m cave_sandbox --background`` (see `__main__`). Its options, the
token among them, travel through a pipe, because every user of a machine can read the arguments of
all processes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from cave_sandbox.errors import InputError, ProcessError, SandboxError
from cave_sandbox.process.options import TOKEN_VARIABLE, StartOptions
from cave_sandbox.process.residence import Residence, Running, poll

__all__ = ["Running", "StartOptions", "ensure", "serve_in_foreground", "start", "status", "stop"]

#: Variables that a background process does not inherit.
SECRETS = frozenset({"CAVE_TOKEN", TOKEN_VARIABLE})

#: Longest time to wait for a start, which may generate the sample first, in seconds.
START_TIMEOUT = 180.0

#: Time that a sandbox is given to end by itself, in seconds.
STOP_TIMEOUT = 10.0


def status() -> Running | None:
    """Return the sandbox that runs in the background, or None.

    The record of a killed process, whose process ID or port may belong to another program by now,
    is ignored.
    """
    return Residence.of_user().find_running()


def ensure() -> Running:
    """Return the sandbox that runs in the background; start it if it does not run.

    Raises
    ------
    ProcessError
        When it does not start.
    """
    return status() or start()


def start(options: StartOptions | None = None) -> Running:
    """Start the sandbox in the background unless it runs; without options, any sandbox will do.

    Raises
    ------
    InputError
        When a sandbox with other options runs.
    ProcessError
        When it does not start.
    """
    _require_extra()
    options = None if options is None else options.with_token()
    residence = Residence.of_user()
    residence.prepare()
    try:
        with residence.locked("start", START_TIMEOUT):
            running = _await_settled(residence)
            if running is None:
                _launch(residence, options or StartOptions().with_token())
                running = _await_settled(residence)
                if running is None:
                    raise _not_started(residence)
            elif options is not None:
                _check_same(running, options)
            return running
    except TimeoutError as error:
        raise ProcessError(
            "Another process has been starting the sandbox for too long.",
            "End that process, then try again.",
        ) from error


def stop() -> bool:
    """Stop the sandbox in the background; return whether it was running.

    Raises
    ------
    ProcessError
        When it cannot be stopped.
    """
    residence = Residence.of_user()
    running = partial(residence.is_locked, "server")
    if not running():
        return False
    try:
        with residence.locked("start", START_TIMEOUT):
            poll(lambda: "pid" in residence.read_record() or not running(), STOP_TIMEOUT)
            pid = residence.read_record().get("pid")
            for order in (signal.SIGTERM, signal.SIGKILL):
                if pid is None or not running():
                    break
                os.kill(pid, order)
                if poll(lambda: not running(), STOP_TIMEOUT):
                    return True
    except (TimeoutError, ProcessLookupError):
        pass
    if running():
        raise ProcessError(
            "The background sandbox did not stop.", f"See {residence.log} for the reason."
        )
    return True


def serve_in_foreground(options: StartOptions) -> None:
    """Serve in this process until it is told to end."""
    _require_extra()
    # The server is imported only in the process that runs it.
    from cave_sandbox.process.serving import serve_foreground

    serve_foreground(options.with_token())


def _require_extra() -> None:
    if not all(map(find_spec, ("duckdb", "marshmallow", "tornado", "werkzeug"))):
        raise InputError(
            "The sandbox is not installed.",
            "Install it with: pip install 'synglancer[sandbox]'.",
        )


def _await_settled(residence: Residence) -> Running | None:
    """Wait while a sandbox is starting or ending; return it when it runs."""
    settled = poll(
        lambda: residence.find_running() or not residence.is_locked("server"), START_TIMEOUT
    )
    if not settled:
        raise ProcessError(
            "The background sandbox does not answer.",
            "Stop it with `synglancer sandbox stop`, then try again.",
        )
    return settled if isinstance(settled, Running) else None


def _launch(residence: Residence, options: StartOptions) -> None:
    """Start the process and wait until it reports that it is ready; raise the error it reports."""
    command = [sys.executable, "-m", "cave_sandbox", "--background"]
    message = {"folder": str(residence.folder), "options": options.to_record()}
    with (
        residence.open_log() as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Otherwise Python could import a user's file in the current folder as a module.
            cwd=residence.folder,
            env=_environment(),
            start_new_session=True,
        ) as process,
    ):
        try:
            said, _ = process.communicate(json.dumps(message).encode(), timeout=START_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise _not_started(residence) from error
    try:
        answer = json.loads(said)
    except ValueError as error:
        raise _not_started(residence) from error
    if "error" in answer:
        kind: type[SandboxError] = InputError if answer.get("usage") else ProcessError
        raise kind(answer["error"], answer["hint"])


def _environment() -> dict[str, str]:
    """Return the environment with absolute paths and without tokens."""
    environment = {k: v for k, v in os.environ.items() if k not in SECRETS}
    paths = environment.get("PYTHONPATH")
    if paths:
        absolute = [str(Path(path).absolute()) for path in paths.split(os.pathsep) if path]
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return environment


def _not_started(residence: Residence) -> ProcessError:
    return ProcessError("The sandbox did not start.", f"See {residence.log} for the reason.")


def _check_same(running: Running, options: StartOptions) -> None:
    """Refuse to use a running sandbox if its options differ from the requested ones."""
    wanted = options.to_record()
    for item in fields(StartOptions):
        asked = wanted[item.name]
        has = running.token if item.name == "token" else running.options.get(item.name)
        if asked not in (item.default, has):
            raise InputError(
                f"The sandbox is already running at {running.origin}, with another {item.name}.",
                "Stop it with `synglancer sandbox stop`, then start it again.",
            )
