"""A link gives back what was asked and what it shows, over the wire."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from cli.outcome import CELL, TOKEN
from synglancer import Link, Settings
from synglancer import make_link as api_make_link
from synglancer.errors import UsageError


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"tag": ("spine", "soma"), "min_confidence": 0.75, "min_size": 900.0, "outputs": True},
        {"inputs": True, "with_unlabelled": True, "layout": "3d", "palette": "safe"},
        {"min_confidence": 0.9, "soft_filter": True, "partners": 3, "background": "white"},
        {"figure": True, "color_by": "confidence", "filter_by_selection": True, "panel": True},
        {"tag": ("soma",), "inline": True},
    ],
)
def test_a_link_read_back_is_what_was_asked(sandbox, words) -> None:
    """Cell, settings, counts, moment, hash and every synapse are those of the link made."""
    asked = Settings(server=sandbox.origin, **words)
    made = api_make_link(int(CELL), asked)
    back = Link.from_url(made.url)
    # How the answer travels is no part of what was asked.
    assert back.settings == replace(asked, inline=False, tag=tuple(sorted(asked.tag)), version=1718)
    assert back.predictions.equals(made.predictions)
    same = ("cell", "url", "state_url", "state_id", "state_sha256", "datastack", "version")
    same += ("timestamp", "table", "counts_by_tag", "shown", "total", "filters")
    for name in same:
        assert getattr(back, name) == getattr(made, name), name
    assert back.warnings == []


def test_a_link_read_back_can_be_made_again(sandbox) -> None:
    """What is read back, asked again, gives the same state."""
    made = api_make_link(int(CELL), server=sandbox.origin, tag="soma", background="white")
    back = Link.from_url(made.url, token=TOKEN)
    again = api_make_link(back.cell, replace(back.settings, no_cache=True))
    assert again.state_sha256 == made.state_sha256


def test_full_range_ids_come_back(sandbox, sample) -> None:
    """Each synapse's IDs come back as they stand in the tables, to the last digit."""
    made = api_make_link(int(CELL), server=sandbox.origin)
    back = Link.from_url(made.url).predictions.set_index("id")
    table = pd.read_parquet(sample / "minnie65_public" / "tables" / "synapses_pni_2.parquet")
    table = table.set_index("id").loc[back.index.unique()]
    rows = back[~back.index.duplicated()]
    for column in ("pre_pt_root_id", "post_pt_root_id"):
        assert (table[column].astype("uint64") == rows[column]).all()
    for axis, size in zip("xyz", (4, 4, 40), strict=True):
        column = f"ctr_pt_position_{axis}"
        assert (table[column] * size == rows[column]).all()


def test_what_is_no_link_is_refused() -> None:
    """A text without a state's address is a usage error."""
    with pytest.raises(UsageError, match="not a Neuroglancer link"):
        Link.from_url("https://example.org/")
