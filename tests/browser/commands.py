"""Runs the real command line against a sandbox."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synglancer.cli import build_make_link, run

if TYPE_CHECKING:
    from cave_sandbox.server import Sandbox


def run_make_link(sandbox: Sandbox, cell: int, *options: str) -> str:
    """Run ``make-link`` in this process and return what it prints."""
    out, err = io.StringIO(), io.StringIO()
    words = [str(cell), "--server", sandbox.origin, *options]
    with pytest.MonkeyPatch.context() as environment, redirect_stdout(out), redirect_stderr(err):
        environment.setenv("CAVE_TOKEN", sandbox.options.token)
        code = run(build_make_link, words)
    assert code == 0, err.getvalue()
    return out.getvalue().strip()


def run_make_link_alone(sandbox: Sandbox, cell: int) -> str:
    """Run ``make-link`` in a separate process and return its output."""
    command = Path(sys.executable).with_name("make-link")
    done = subprocess.run(
        [str(command), str(cell), "--server", sandbox.origin],
        env={**os.environ, "CAVE_TOKEN": sandbox.options.token},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run_make_link_json(sandbox: Sandbox, cell: int, *options: str) -> dict[str, Any]:
    """Run ``make-link --output json`` and return the record."""
    record: dict[str, Any] = json.loads(run_make_link(sandbox, cell, "--output", "json", *options))
    return record
