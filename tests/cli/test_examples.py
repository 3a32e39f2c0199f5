"""The stored output of example notebooks is what running them gives, without traces of the
machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from cave_sandbox.process import daemon
from cave_sandbox.process.residence import Residence
from cli.examples import FOLDER, clean, run_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture
def _own_sandbox(sample: Path) -> Iterator[None]:
    """Let the sandbox that a notebook starts find its sample, and stop it afterwards."""
    place = Residence.of_user().sample
    place.parent.mkdir(parents=True)
    place.symlink_to(sample.parent)
    yield
    daemon.stop()


def words_of(notebook: nbformat.NotebookNode) -> list[tuple[str, list[Any]]]:
    """The text output of each cell, and the kinds of its pictures."""
    return [
        (cell.id, [_words(output) for output in cell.outputs])
        for cell in notebook.cells
        if cell.get("outputs")
    ]


def _words(output: nbformat.NotebookNode) -> tuple[Any, ...]:
    data = output.get("data", {})
    html = re.sub(r"<style.*?</style>|<[^>]*>", " ", data.get("text/html", ""), flags=re.DOTALL)
    return ("image/png" in data, output.get("text"), data.get("text/plain"), html.split())


@pytest.mark.usefixtures("_own_sandbox")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_show_what_running_them_shows(path) -> None:
    """Run on the sandbox, a notebook gives the stored texts; only the viewer is stored as a
    screenshot."""
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    again = nbformat.read(path, as_version=4)
    run_notebook(again)
    (view,) = [cell for cell in again.cells if cell.source.startswith("link.show")]
    assert view.outputs[0]["data"]["text/html"].startswith('<iframe src="http://127.0.0.1:')
    clean(again)
    (screenshot,) = [cell for cell in stored.cells if cell.id == view.id]
    assert screenshot.outputs[0]["data"]["image/png"]
    view.outputs = screenshot.outputs
    assert words_of(again) == words_of(stored)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_tell_nothing_of_the_machine(path) -> None:
    """No folder, sandbox address, token or time is stored."""
    notebook = nbformat.read(path, as_version=4)
    assert sum(bool(cell.get("outputs")) for cell in notebook.cells) > 3
    text = re.sub(r"[A-Za-z0-9+/]{200,}={0,2}", "", path.read_text("utf-8"))  # pictures
    assert not re.search(
        r"127\.0\.0\.1|localhost|/tmp|/home|/root|/Users|site-packages|iopub", text
    )
    assert not re.search(r"\b[0-9a-f]{32,}\b|token\W+\w{16,}", text)
