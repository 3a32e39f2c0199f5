"""A sandbox on loopback, which is asked as a notebook asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sandbox(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    options = SandboxOptions(data=sample, states=tmp_path / "states.sqlite", token=TOKEN)
    with Sandbox(options) as running:
        monkeypatch.setenv("CAVE_TOKEN", TOKEN)
        yield running
