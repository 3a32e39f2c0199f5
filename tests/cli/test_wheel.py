"""The wheel is whole: installed into an empty environment, it makes a link."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cli.outcome import CELL, TOKEN

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from the source distribution, as an index would serve it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_wheel_holds_templates_and_types(wheel) -> None:
    """Every template and the py.typed marker reach the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"synglancer/templates/{path.name}" for path in (ROOT / "templates").glob("*.j2")}
    assert templates
    assert templates | {"synglancer/py.typed"} <= names


def test_wheel_makes_a_link_in_an_empty_environment(wheel, sandbox, tmp_path) -> None:
    """With only the wheel and its dependencies, make-link makes a link and renders a card."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    install = [str(environment / "bin" / "pip"), "install", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    make_link = str(environment / "bin" / "make-link")
    done = subprocess.run(
        [make_link, CELL, "--output", "markdown"], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "CAVE_TOKEN": TOKEN}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{sandbox.origin}/nglstate/api/v1/" in done.stdout
    without = subprocess.run(
        [make_link, CELL, "--sandbox"], capture_output=True, text=True, cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "SYNGLANCER_SERVER"},
        check=False,
    )  # fmt: skip
    assert without.returncode == 2
    assert "synglancer[sandbox]" in without.stderr
