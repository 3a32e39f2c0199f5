"""Warnings say what readers should know, where it applies."""

from __future__ import annotations

import pytest

from synglancer.links.warnings import explain_lost_pin
from synglancer.view_settings import recognise_site, split_site

GRAPHENE = "graphene://https://minnie.microns-daf.com/segmentation/table/minnie65_public"


@pytest.mark.parametrize(
    ("given", "source", "host"),
    [
        ("google", GRAPHENE, "neuroglancer-demo.appspot.com"),
        ("https://neuroglancer-demo.appspot.com", GRAPHENE, "neuroglancer-demo.appspot.com"),
        ("google=https://example.org/viewer/", GRAPHENE, "example.org"),
        ("google", "precomputed://https://example.org/flat", None),
        ("spelunker", GRAPHENE, None),
        ("https://example.org/viewer/", GRAPHENE, None),
    ],
)
def test_a_site_that_ignores_the_timestamp_is_named(
    given: str, source: str, host: str | None
) -> None:
    """Google's viewer and its copies show today's segmentation, which matters only if it
    changes."""
    site = split_site(given)[1]
    found = explain_lost_pin(site, recognise_site(given, site), source)
    assert len(found) == (host is not None)
    assert all(f"{host} ignores the timestamp" in text for text in found)
