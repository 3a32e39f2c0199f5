"""The sandbox serves sources that clients published, with ranges and to any page."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.server import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def running(sample: Path, tmp_path: Path) -> Iterator[Sandbox]:
    options = SandboxOptions(
        data=sample, states=tmp_path / "s.sqlite", token="t", published=tmp_path / "published"
    )
    for name in ("one/spine/info", "one/spine/pre/0.shard", ".work/plan.json", "one/a.5.tmp"):
        path = tmp_path / "published" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0123456789")
    (tmp_path / "secret").write_text("secret")
    with Sandbox(options) as sandbox:
        yield sandbox


def get(running: Sandbox, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(f"{running.origin}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, b"", {}


def test_ranges_are_answered_for_any_page(running):
    """A part of a file has status 206, needs no token, and any page may read it."""
    status, content, headers = get(running, "/published/one/spine/pre/0.shard", Range="bytes=2-4")
    assert (status, content) == (206, b"234")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert get(running, "/published/one/spine/info")[2]["Content-Type"] == "application/json"


def test_nothing_else_is_served(running):
    """Unfinished files and files outside the folder are not served."""
    for path in ("one/a.5.tmp", ".work/plan.json", "../secret", "%2e%2e/secret", "one", "none"):
        assert get(running, f"/published/{path}")[0] == 404, path
