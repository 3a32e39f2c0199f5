"""The example notebooks: run on the sandbox, and stored without what only that run had.

``python tests/cli/examples.py`` (``make examples``) runs them and stores their outputs anew. A link
to the sandbox opens on the machine that made it, and nowhere else: it is taken out, and where
the viewer was stands a screenshot of it.
"""

from __future__ import annotations

import base64
import io
import os
import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from synglancer.links.opening import open_link
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.screenshots import Painter

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
_SANDBOX = re.compile(r"http://127\.0\.0\.1:\d+[^\s\"'<)]*")
_FRAME = re.compile(r"<iframe src=\"([^\"]*)\"")


def run_notebook(notebook: NotebookNode) -> None:
    """Run a notebook from top to bottom in its own kernel; an error in it is raised here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # messages of Jupyter's own libraries about each other
        NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()


def clean(notebook: NotebookNode) -> None:
    """Remove what differs between runs: links to the sandbox, memory addresses and versions."""
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = _clean_text(output["text"])
            for kind, value in output.get("data", {}).items():
                if kind.startswith("text/"):
                    output["data"][kind] = _clean_text(value)


def _clean_text(text: str) -> str:
    text = re.sub(r' href="http://127\.0\.0\.1:[^"]*" target="_blank" rel="noopener"', "", text)
    text = _SANDBOX.sub("http://sandbox/…", text)
    text = re.sub(r"^Link\(cell=(\d+).*\)$", r"Link(cell=\1, …)", text, flags=re.DOTALL)
    text = re.sub(r" at 0x[0-9a-f]+>", ">", text)
    text = re.sub(r"^\S*ipykernel_\d+/\d+\.py:\d+: ", "", text, flags=re.MULTILINE)
    return re.sub(r"\bT_[0-9a-f]{5}", "T_links", text)  # pandas' name of a styled table


def screenshot_frames(notebook: NotebookNode) -> None:
    """Replace the viewer by a screenshot."""
    with TemporaryDirectory() as folder, Painter(PreviewOptions(size="800x480")) as painter:
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                found = _FRAME.search(str(output.get("data", {}).get("text/html", "")))
                if found:
                    path = Path(folder) / "view.png"
                    painter.paint(open_link(found[1]), path)
                    output["data"] = _describe(path)


def _describe(path: Path) -> dict[str, Any]:
    image = Image.open(path).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    picture = base64.b64encode(content.getvalue()).decode()
    return {"image/png": picture, "text/plain": "A screenshot of the viewer that appears here."}


def main() -> None:
    """Run each notebook in its folder, and store it."""
    os.chdir(FOLDER)
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        run_notebook(notebook)
        screenshot_frames(notebook)
        clean(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
