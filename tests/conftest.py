"""The common environment of all tests: a separate home, a clean environment, and no network but
loopback."""

from __future__ import annotations

import contextlib
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from pytest_socket import socket_allow_hosts

from assembled import assemble_options_once
from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.tables.loaded import LoadedFolder, load_folder
from docs.site import ensure_site
from synglancer.cache.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

# As the commands do, because collecting garbage among many long-lived objects is slow.
gc.set_threshold(100_000)

# Where this release of cyclopts has these functions.
with contextlib.suppress(ImportError, AttributeError):
    assemble_options_once()

# The same examples in every run, so that a change is only blamed for its own faults; no deadline,
# because a busy machine is no failure.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.load_profile("same")

_UNWANTED = {
    "CAVE_TOKEN", "NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "BROWSER",
    # Of the many processes that tests start, the first compiles the package for all.
    "PYTHONDONTWRITEBYTECODE",
}  # fmt: skip
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}


def _prepare(environment: pytest.MonkeyPatch, home: Path) -> None:
    for name in list(os.environ):
        ours = name.startswith("SYNGLANCER_")
        if ours or name.upper() in _UNWANTED | _PROXIES or name.startswith("XDG_"):
            environment.delenv(name)
    home.mkdir(parents=True, exist_ok=True)
    environment.setenv("HOME", str(home))
    environment.setenv("SYNGLANCER_CACHE_DIR", str(home / "synglancer-cache"))
    environment.setenv("SYNGLANCER_DATA_DIR", str(home / "synglancer-data"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Block the network beyond loopback before the first fixture of a test is created."""
    if item.get_closest_marker("live") is None:
        socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(scope="session", autouse=True)
def _session_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Give fixtures shared by several tests a separate home, too."""
    if all(item.get_closest_marker("live") for item in request.session.items):
        yield
        return
    with pytest.MonkeyPatch.context() as environment:
        _prepare(environment, tmp_path_factory.mktemp("session-home"))
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the synthetic sample, generated once for all workers of a run."""
    folder = _find_shared_folder(tmp_path_factory)
    with locked(folder / "sample.lock", 300):
        return ensure_sample(folder / "sample")


@pytest.fixture(scope="session")
def loaded_sample(sample: Path) -> Iterator[LoadedFolder]:
    """The sample's tables in memory, for all sandboxes of a worker that serve them unchanged."""
    loaded = load_folder(sample)
    yield loaded
    loaded.tables.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the documentation, built once for all workers of a run."""
    folder = _find_shared_folder(tmp_path_factory)
    with locked(folder / "site.lock", 300):
        return ensure_site(folder / "site")


def _find_shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all workers of a run share; `make test` has filled it before."""
    if given := os.environ.get("TESTS_SHARED"):
        return Path(given)
    folder = factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(autouse=True)
def _own_home(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test its own home, cache and data folder, without the user's settings."""
    if request.node.get_closest_marker("live") is None:
        _prepare(monkeypatch, tmp_path / "home")
