"""A sandbox on loopback, used as in a notebook."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from caveclient import CAVEclient

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from caveclient.frameworkclient import CAVEclientFull

    from cave_sandbox.tables.loaded import LoadedFolder


@pytest.fixture
def sandbox(
    sample: Path, loaded_sample: LoadedFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    options = SandboxOptions(data=sample, states=tmp_path / "states.sqlite", token=TOKEN)
    with Sandbox(options, loaded_sample) as running:
        monkeypatch.setenv("CAVE_TOKEN", TOKEN)
        yield running


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CAVEclientFull]:
    """Make a real client of the sandbox; only this client knows the token."""
    monkeypatch.delenv("CAVE_TOKEN", raising=False)
    return partial(
        CAVEclient,
        "minnie65_public",
        server_address=sandbox.origin,
        auth_token=TOKEN,
        write_server_cache=False,
    )


@pytest.fixture
def client(connect: Callable[..., CAVEclientFull]) -> CAVEclientFull:
    """A real client of version 1718."""
    return connect(version=1718)
