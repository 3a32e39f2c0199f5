"""The commands and the Python code in the README and on the site run."""

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
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read_blocks(document: Path, language: str) -> list[str]:
    """Read the code blocks of one language, without their indentation."""
    text = document.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def read_commands(document: Path) -> list[str]:
    return [
        line.removeprefix("$ ")
        for block in read_blocks(document, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


WITH_COMMANDS = [document for document in DOCUMENTS if read_commands(document)]
WITH_PYTHON = [document for document in DOCUMENTS if read_blocks(document, "python")]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path},
        timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def _generated(sample: Path) -> None:
    """Let the sandbox that the commands start find its sample, which is generated elsewhere."""
    place = Residence.of_user().sample
    place.parent.mkdir(parents=True)
    place.symlink_to(sample.parent)


@pytest.mark.usefixtures("_generated")
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name)
def test_commands_of_documents_run(document, tmp_path) -> None:
    """Every command in a console block exits with 0, in the given order."""
    try:
        for command in read_commands(document):
            done = run(shlex.split(command), tmp_path)
            assert done.returncode == 0, (command, done.stderr)
            assert "\x1b" not in done.stdout
    finally:
        run(["synglancer", "sandbox", "stop"], tmp_path)


@pytest.mark.usefixtures("_generated")
@pytest.mark.parametrize("document", WITH_PYTHON, ids=name)
def test_python_of_documents_runs(document, tmp_path) -> None:
    """The Python blocks of a document run unchanged, one after the other."""
    code = "\n".join(read_blocks(document, "python"))
    try:
        done = run([sys.executable, "-c", code], tmp_path)
        assert done.returncode == 0, done.stderr
    finally:
        run(["synglancer", "sandbox", "stop"], tmp_path)


def test_the_readme_has_examples() -> None:
    """The README shows commands and Python, so the tests above prove something."""
    assert ROOT / "README.md" in WITH_COMMANDS
    assert ROOT / "README.md" in WITH_PYTHON


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_named_in_documents_exist(name) -> None:
    """Files in this repository that a document links to exist."""
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert all((ROOT / target).exists() for target in targets)
