"""Build the documentation site as ``make docs`` does: a warning is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "docs"


def ensure_site(folder: Path) -> Path:
    """Return the folder of the site's pages, and build it if it does not exist."""
    pages = folder / "html"
    if not pages.is_dir():
        draft = folder / "draft"
        _build(draft, folder / "doctrees")
        draft.rename(pages)
    return pages


def _build(pages: Path, doctrees: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(doctrees), str(SOURCE), str(pages)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
