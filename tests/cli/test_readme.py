"""The README and the help say what is true: their commands are run, their options exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cave_sandbox.process.residence import Residence

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path},
        timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def _generated(sample: Path) -> None:
    """Let the sandbox that the commands start find its sample: it is generated elsewhere."""
    place = Residence.of_user().sample
    place.parent.mkdir(parents=True)
    place.symlink_to(sample.parent)


@pytest.mark.usefixtures("_generated")
def test_commands_of_the_readme_run(tmp_path) -> None:
    """Every command in a console block of the README ends with exit code 0, in its order."""
    commands = [
        line.removeprefix("$ ")
        for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) > 5
    try:
        for command in commands:
            done = run(shlex.split(command), tmp_path)
            assert done.returncode == 0, (command, done.stderr)
            assert "\x1b" not in done.stdout
    finally:
        run(["synglancer", "sandbox", "stop"], tmp_path)


@pytest.mark.usefixtures("_generated")
def test_python_of_the_readme_runs(tmp_path) -> None:
    """The README's Python runs as it stands."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    try:
        done = run([sys.executable, "-c", code], tmp_path)
        assert done.returncode == 0, done.stderr
    finally:
        run(["synglancer", "sandbox", "stop"], tmp_path)


def test_every_option_is_in_the_readme(tmp_path) -> None:
    """Each option that --help shows is in the README, and the README names no other."""
    shown = set(re.findall(r"--[a-z][a-z-]+", run(["make-link", "--help"], tmp_path).stdout))
    table = README[README.index("## Options") : README.index("Exit codes:")]
    assert set(re.findall(r"--[a-z][a-z-]+", table)) == shown


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_named_in_documents_exist(name) -> None:
    """What a document links to in this repository is there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert all((ROOT / target).exists() for target in targets)
