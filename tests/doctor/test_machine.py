"""The checks of Python, packages, browser and cache describe this machine."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError

import pytest

from synglancer.doctor import machine
from synglancer.doctor.machine import check_browser, check_cache, check_packages, check_python


def test_this_python_is_good_enough() -> None:
    """The running Python is named, and synglancer supports it."""
    found = check_python()
    assert found.status == "ok"
    assert sys.executable in found.message


def test_a_python_that_is_too_old(monkeypatch) -> None:
    """If the metadata require a newer Python, the hint says so."""
    monkeypatch.setattr(machine, "metadata", lambda _: {"Requires-Python": ">=4"})
    found = check_python()
    assert found.status == "failed"
    assert ">=4" in found.hint


@pytest.mark.parametrize(
    ("needed", "lacking"),
    [
        (["pandas>=999"], "pandas>=999"),
        (["no-such-package-anywhere"], "no-such-package-anywhere"),
        (["pandas>=999", "numpy>=1"], "pandas>=999"),
    ],
)
def test_packages_that_are_missing_or_too_old(monkeypatch, needed, lacking) -> None:
    """Only missing or outdated packages are named, in pip's form."""
    monkeypatch.setattr(machine, "requires", lambda _: needed)
    found = check_packages()
    assert found.status == "failed"
    assert found.message == f"1 package is missing or too old: {lacking}."
    assert found.hint == f"Run {sys.executable} -m pip install '{lacking}'."


def test_what_is_not_for_this_machine_is_not_missing(monkeypatch) -> None:
    """Packages for other systems, other Pythons or extras may be missing."""
    needed = [
        "no-such-package; sys_platform == 'nowhere'",
        "no-such-package; python_version < '3'",
        "no-such-package; extra == 'preview'",
        "numpy>=1",
    ]
    monkeypatch.setattr(machine, "requires", lambda _: needed)
    assert check_packages().status == "ok"


def test_extras_that_are_installed_are_named(monkeypatch) -> None:
    """An extra is listed if all of its packages are installed; extras for developers are not
    listed."""

    class Metadata:
        def get_all(self, _: str) -> list[str]:
            return ["preview", "excel", "sandbox", "dev"]

    needed = [
        "numpy>=1",
        "duckdb; extra == 'sandbox'",
        "playwright; extra == 'preview'",
        "no-such-package; extra == 'preview'",
        "no-such-package; extra == 'excel'",
        "numpy; extra == 'dev'",
    ]
    monkeypatch.setattr(machine, "requires", lambda _: needed)
    monkeypatch.setattr(machine, "metadata", lambda _: Metadata())
    assert check_packages().message.endswith("; extras: sandbox.")


def test_a_program_that_was_never_installed(monkeypatch) -> None:
    """Run from its source, synglancer cannot know its requirements, and says so."""

    def refuse(_: str) -> None:
        raise PackageNotFoundError

    monkeypatch.setattr(machine, "requires", refuse)
    monkeypatch.setattr(machine, "metadata", refuse)
    assert check_packages().status == "warning"
    assert check_python().status == "ok"


def test_a_browser_that_cannot_be_driven(monkeypatch) -> None:
    """Without Playwright, the hint says how to install it; links do not need it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = check_browser()
    assert found.status == "warning"
    assert "synglancer[preview]" in found.hint


def test_the_cache_has_a_size_and_a_place(tmp_path, monkeypatch) -> None:
    """A missing folder counts as empty if it can be created; a file in its place is an error."""
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(tmp_path / "new" / "cache"))
    found = check_cache()
    assert found.status == "ok"
    assert found.message == f"0 bytes of at most 2.0 GB in {tmp_path}/new/cache."
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = check_cache()
    assert found.status == "warning"
    assert "SYNGLANCER_CACHE_DIR" in found.hint
