"""Warnings say what a reader should know, where it holds."""

from __future__ import annotations

import pytest

from synglancer.links.warnings import explain_lost_pin
from synglancer.settings import SITES

GRAPHENE = "graphene://https://minnie.microns-daf.com/segmentation/table/minnie65_public"


@pytest.mark.parametrize(
    ("site", "source", "warned"),
    [
        (SITES["google"], GRAPHENE, True),
        ("https://neuroglancer-demo.appspot.com", GRAPHENE, True),
        (SITES["google"], "precomputed://https://example.org/flat", False),
        (SITES["spelunker"], GRAPHENE, False),
        ("https://example.org/viewer/", GRAPHENE, False),
    ],
)
def test_a_site_that_ignores_the_timestamp_is_named(site: str, source: str, warned: bool) -> None:
    """Google's viewer shows the segmentation of today, which matters where that changes."""
    found = explain_lost_pin(site, source)
    assert bool(found) is warned
    assert all("neuroglancer-demo.appspot.com ignores the timestamp" in text for text in found)
