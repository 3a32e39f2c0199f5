"""Run a real LaTeX engine, if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def compile_latex(path: Path) -> str:
    """Compile a document and return the engine's log; any error fails the test. The test is skipped
    if there is no engine, unless CI requires one.
    """
    engine = shutil.which("pdflatex")
    if engine is None:
        if os.environ.get("TESTS_REQUIRE_LATEX"):
            pytest.fail("There is no pdflatex, and TESTS_REQUIRE_LATEX is set.")
        pytest.skip("no pdflatex (apt-get install texlive-latex-base texlive-latex-recommended)")
    done = subprocess.run(
        [engine, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", path.name],
        cwd=path.parent, capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    return log
