"""Readers learn where to log in before they open a link."""

from __future__ import annotations

from typing import Any

import pytest

from synglancer.states.login import build_login_notice, find_login_host

OPEN = "https://viewer.example.org/#!https://example.org/5"
STORED = "https://viewer.example.org/#!middleauth+https://states.example.org/nglstate/api/v1/5"
IMAGES = {"type": "image", "source": "precomputed://https://example.org/images"}
GRAPH = "graphene://middleauth+https://minnie.microns-daf.com/segmentation/table/minnie3_v1"


@pytest.mark.parametrize(
    ("url", "source", "host"),
    [
        (OPEN, "precomputed://https://example.org/segmentation", None),
        (STORED, "precomputed://https://example.org/segmentation", "states.example.org"),
        (STORED, GRAPH, "states.example.org"),
        (OPEN, GRAPH, "minnie.microns-daf.com"),
        (OPEN, {"url": GRAPH}, "minnie.microns-daf.com"),
        (OPEN, ["precomputed://https://example.org/s", {"url": GRAPH}], "minnie.microns-daf.com"),
        (OPEN, None, None),
        (OPEN, [{"transform": {}}, 5], None),
    ],
)
def test_who_asks_for_a_login(url: str, source: object, host: str | None) -> None:
    """The link's own address comes first, then the sources of its layers in their order."""
    state = {"layers": [IMAGES, {"type": "segmentation", "source": source}, IMAGES]}
    assert find_login_host(url, state) == host


@pytest.mark.parametrize("state", [{}, {"layers": None}, {"layers": [None, 5, {}]}])
def test_a_state_of_any_form_is_read(state: dict[str, Any]) -> None:
    """A state without layers asks for no login of its own."""
    assert find_login_host(OPEN, state) is None
    assert build_login_notice(OPEN, state) is None


def test_the_notice_names_the_place_and_the_terms() -> None:
    """Only the data of MICrONS have terms of service that readers must accept."""
    notice = build_login_notice(STORED, {})
    assert notice is not None
    assert (notice.text, notice.terms_url) == (
        "To open the link, log in at states.example.org.",
        None,
    )
    notice = build_login_notice(OPEN, {"layers": [{"type": "segmentation", "source": GRAPH}]})
    assert notice is not None
    assert notice.text == (
        "To open the link, log in with a Google account and accept the MICrONS terms of service "
        "once."
    )
    assert notice.terms_url is not None
    assert notice.terms_url.startswith("https://global.daf-apis.com/")
