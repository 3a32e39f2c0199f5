"""The commands and the Python code in the README and on the site run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.process.residence import Residence
from synglancer.cli import build_make_link, build_synglancer
from synglancer.cli import run as run_here

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]


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


@pytest.fixture(scope="module")
def residence(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the sandbox that all documents share; its sample is generated elsewhere."""
    home = tmp_path_factory.mktemp("documents")
    folder = home / "sandbox"
    folder.mkdir()
    (folder / "sample").symlink_to(sample.parent)
    yield folder
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SYNGLANCER_DATA_DIR", str(home))
        run(["synglancer", "sandbox", "stop"], home)


@pytest.fixture
def _shared_sandbox(residence: Path) -> None:
    """Let the commands find the sandbox that another document has started."""
    place = Residence.of_user().folder
    place.parent.mkdir(parents=True)
    place.symlink_to(residence)


COMMANDS = {"make-link": build_make_link, "synglancer": build_synglancer}


@pytest.mark.usefixtures("_shared_sandbox")
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name)
def test_commands_of_documents_run(document, tmp_path, monkeypatch, capfd) -> None:
    """Every command in a console block exits with 0, in the given order; in the README, the first
    use of each program in a process of its own."""
    monkeypatch.chdir(tmp_path)
    alone = {*COMMANDS} if document == README else set()
    for command in read_commands(document):
        first, *words = shlex.split(command)
        if first in alone:
            alone.remove(first)
            done = run([first, *words], tmp_path)
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            code = run_here(COMMANDS[first], words)
            out, err = capfd.readouterr()
        assert code == 0, (command, err)
        assert "\x1b" not in out
    assert not alone


@pytest.mark.usefixtures("_shared_sandbox")
def test_python_of_the_readme_runs(tmp_path) -> None:
    """The Python blocks run unchanged, one after the other, in a process of their own."""
    code = "\n".join(read_blocks(README, "python"))
    done = run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("_shared_sandbox")
@pytest.mark.parametrize("document", [one for one in WITH_PYTHON if one != README], ids=name)
def test_python_of_documents_runs(document, tmp_path, monkeypatch) -> None:
    """The Python blocks of a document run unchanged, one after the other."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(read_blocks(document, "python"))
    exec(compile(code, name(document), "exec"), {"__name__": "__main__"})


def test_the_readme_has_examples() -> None:
    """The README shows commands and Python, so the tests above prove something."""
    assert README in WITH_COMMANDS
    assert README in WITH_PYTHON


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_named_in_documents_exist(name) -> None:
    """Files in this repository that a document links to exist."""
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert all((ROOT / target).exists() for target in targets)
