"""Runs the real command line against a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cave_sandbox.server import Sandbox


def run_make_link(sandbox: Sandbox, cell: int, *options: str) -> str:
    """Run ``make-link`` and return what it prints."""
    command = Path(sys.executable).with_name("make-link")
    done = subprocess.run(
        [str(command), str(cell), "--server", sandbox.origin, *options],
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
