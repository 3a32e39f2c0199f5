"""A release has the same version everywhere."""

from __future__ import annotations

import re
from pathlib import Path

from synglancer import __version__

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_everywhere() -> None:
    """The package, its metadata, the citation file and the changelog name one version and date."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) \((\d{4}-\d{2}-\d{2})\)", changelog, re.MULTILINE)
    assert newest is not None
    assert f'version = "{__version__}"' in project
    assert f"version: {__version__}" in citation
    assert newest[1] == __version__
    assert f"date-released: {newest[2]}" in citation
