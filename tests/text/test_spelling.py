"""A misspelt name is answered with the one that was meant, however it is written."""

from __future__ import annotations

import pytest

from synglancer.text.spelling import find_meant


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("--min-confidance", ["--min-size", "--min-confidence"], "--min-confidence"),
        ("MIN_CONFIDANCE", ["MIN_SIZE", "MIN_CONFIDENCE"], "MIN_CONFIDENCE"),
        ("min-confidence", ["min_confidence"], "min_confidence"),
        ("spime", ["shaft", "soma", "spine"], "spine"),
        ("Spine", ["spine"], "spine"),
        ("THRESHOLD", ["MIN_CONFIDENCE", "TABLE"], "MIN_CONFIDENCE"),
        ("viewer", ["version", "view"], "view"),
        ("xyzzy", ["min_confidence"], None),
        ("x", [], None),
        ("", ["min_size"], None),
    ],
)
def test_a_misspelt_name(name, known, meant):
    """Capitals and hyphens do not matter; names of other tools are known; else there is none."""
    assert find_meant(name, known) == meant
