"""The public sandbox: its names, and the example of its documentation page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cave_sandbox

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"


def test_public_names_are_loaded_when_they_are_asked_for():
    """Importing the package loads no server, and each public name exists."""
    script = (
        "import sys, cave_sandbox\n"
        "assert not {'tornado', 'duckdb', 'pyarrow'} & set(sys.modules)\n"
        "assert all(getattr(cave_sandbox, name) for name in cave_sandbox.__all__)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = cave_sandbox.other


@pytest.mark.filterwarnings("ignore")
def test_the_example_of_the_page_runs(sample, tmp_path_factory, monkeypatch):
    """The test on the documentation page passes as printed, with the existing sample."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.setattr("cave_sandbox.sample.build.ensure_sample", lambda _folder: sample)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    fixture = names["sandbox"]
    made = getattr(fixture, "__wrapped__", None) or fixture._get_wrapped_function()
    running = made(tmp_path_factory)
    try:
        names["test_my_client"](next(running))
    finally:
        running.close()
