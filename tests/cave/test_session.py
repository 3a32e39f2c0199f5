"""A session says what the datastack does not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from links.shelf import Shelf
from synglancer.cave.metadata import PREDICTIONS
from synglancer.cave.records import Materialization
from synglancer.errors import NotServedError
from view.test_state import DATASTACK, VERSION

THEN = datetime(2025, 1, 1, tzinfo=timezone.utc)


def test_a_datastack_without_somata_is_named():
    """Nuclei need a table of somata."""
    session = Shelf(datastack=replace(DATASTACK, soma_table=None))
    with pytest.raises(NotServedError, match="minnie65_public has no table of somata"):
        session.fetch_nuclei("id", [5])


def test_a_table_that_no_version_has_is_named(monkeypatch):
    """For an expired version, the table is looked up in the others; if none has it, the error
    lists them."""
    asked = []

    def refuse(*where: object) -> None:
        asked.append(where[2])
        raise NotServedError("No.", "No.")

    where = "synglancer.cave.session"
    monkeypatch.setattr(f"{where}.fetch_prediction_table", refuse)
    monkeypatch.setattr(f"{where}.fetch_served", lambda *_: [VERSION])
    monkeypatch.setattr(Shelf, "fetcher", None)
    session = Shelf(version=Materialization(117, THEN, None, expired=True))
    with pytest.raises(NotServedError) as caught:
        session.load_table("mine", PREDICTIONS)
    assert asked == [117, 1718]
    assert str(caught.value) == (
        "Version 117 of minnie65_public has expired, and no other version has the table 'mine'."
    )
    assert "1718" in caught.value.hint
