"""Run the commands as a user would, against a sandbox on loopback."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import MISSING_TERMS, NO_PERMISSION, TOKEN, Outcome, check_advice
from synglancer.cli import build_make_link, build_synglancer, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cave_sandbox.tables.loaded import LoadedFolder

# Built once in a process, not for each of thousands of commands.
BUILD_MAKE_LINK = functools.cache(build_make_link)
BUILD_SYNGLANCER = functools.cache(build_synglancer)


@pytest.fixture(scope="session")
def build_options(sample: Path) -> Callable[[Path], SandboxOptions]:
    """Build the options of a sandbox with the sample, three tokens, and a folder for its states."""

    def build(folder: Path) -> SandboxOptions:
        return SandboxOptions(
            data=sample,
            states=folder / "states.sqlite",
            token=TOKEN,
            no_permission_token=NO_PERMISSION,
            missing_tos_token=MISSING_TERMS,
        )

    return build


@pytest.fixture
def options(build_options: Callable[[Path], SandboxOptions], tmp_path: Path) -> SandboxOptions:
    return build_options(tmp_path)


@pytest.fixture
def own_sandbox(
    options: SandboxOptions,
    sample: Path,
    loaded_sample: LoadedFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sandbox]:
    with Sandbox(options, loaded_sample if options.data == sample else None) as running:
        monkeypatch.setenv("CAVE_TOKEN", TOKEN)
        monkeypatch.setenv("SYNGLANCER_SERVER", running.origin)
        yield running


@pytest.fixture
def sandbox(own_sandbox: Sandbox) -> Sandbox:
    return own_sandbox


@pytest.fixture(scope="module")
def _lasting(
    build_options: Callable[[Path], SandboxOptions],
    loaded_sample: LoadedFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Sandbox, Path]]:
    folder = tmp_path_factory.mktemp("lasting")
    with Sandbox(build_options(folder), loaded_sample) as running:
        yield running, folder / "cache"


@pytest.fixture
def lasting_sandbox(_lasting: tuple[Sandbox, Path], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox and a cache for all tests of a file, which make each link once."""
    running, cache = _lasting
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    monkeypatch.setenv("SYNGLANCER_SERVER", running.origin)
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(cache))
    running.take_requests()
    return running


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request a state that seems to be missing again without a pause."""
    monkeypatch.setattr("synglancer.check.missing.PAUSE", 0)


@pytest.fixture
def make_link(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run ``make-link`` with these words."""

    def call(*words: object) -> Outcome:
        code = run(BUILD_MAKE_LINK, [str(word) for word in words])
        out, err = capfd.readouterr()
        check_advice(code, err)
        return Outcome(code, out, err)

    return call


@pytest.fixture
def synglancer(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run ``synglancer`` with these words."""

    def call(*words: object) -> Outcome:
        code = run(BUILD_SYNGLANCER, [str(word) for word in words])
        out, err = capfd.readouterr()
        check_advice(code, err)
        return Outcome(code, out, err)

    return call
