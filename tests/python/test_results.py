"""The links of many cells are a list and a table; a link can be put into sets and files."""

from __future__ import annotations

import json
import webbrowser

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from render.card_examples import example_link, tell
from synglancer import Links, Skipped, add_links, make_link, make_links
from synglancer.errors import UsageError

CELL = 864691135276234469
UNKNOWN = 864691135000000001


def test_many_links_are_a_list_and_a_table(sandbox):
    """Items and slices work as in a list; the table has one row per cell, with IDs as text."""
    links = make_links([CELL, UNKNOWN], server=sandbox.origin, tag="spine")
    assert isinstance(links, list)
    link, skipped = links
    frame = links.to_frame()
    assert frame["cell"].tolist() == [str(CELL), ""]
    assert frame["link"].tolist() == [link.url, ""]
    assert frame["shown"].tolist() == [link.shown, pd.NA]
    assert skipped.reason in frame["link_problem"][1]
    assert frame["link_note"][0] == " ".join(link.warnings)
    page = links._repr_html_()
    assert f'href="{link.url}"' in page
    assert str(UNKNOWN) in page
    assert repr(links).count("\n") == 3


def test_a_table_without_rows_has_its_columns():
    """An empty list, and one with only skipped cells, have the same columns and dtypes."""
    skipped = Links([Skipped("<b>", "It is <i>wrong</i>.", "Correct it.", 2)])
    kinds = [str(kind) for kind in skipped.to_frame().dtypes]
    assert kinds == [str(kind) for kind in Links().to_frame().dtypes]
    assert "<b>" not in skipped._repr_html_()
    assert "<i>" not in skipped._repr_html_()
    assert (Links().warnings, repr(Links())) == ([], "[]")
    many = Links(skipped * 100)
    assert "and 40 more" in many._repr_html_()


def test_links_can_be_put_in_sets(sandbox):
    """In a set, the same question twice is one link, and a different one is another."""
    first, again = (make_link(CELL, server=sandbox.origin, tag="soma") for _ in range(2))
    other = make_link(CELL, server=sandbox.origin, tag="shaft")
    assert first == again
    assert len({first, again, other}) == 2
    assert first in Links([other, first])


def test_links_are_added_again_to_the_same_table(sandbox):
    """Applied to its own result, add_links gives the same; a user's own column is kept."""
    given = pd.DataFrame({"pt_root_id": [CELL, UNKNOWN], "link_strength": [1, 2]})
    once = add_links(given, server=sandbox.origin, progress=False, outputs=True)
    assert [*once.columns] == [*given.columns, "link", "link_problem", "link_note"]
    assert_frame_equal(add_links(once, server=sandbox.origin, progress=False, outputs=True), once)
    with pytest.raises(UsageError, match="already has a column 'link'"):
        add_links(given.assign(link="mine"))


def test_notes_of_links_are_a_column(sandbox):
    """A link's warnings are in its row, in Python's terms."""
    frame = add_links(
        pd.DataFrame({"pt_root_id": [CELL]}), server=sandbox.origin, tag="spin", progress=False
    )
    assert "No synapse here has the tag 'spin'" in frame["link_note"][0]
    assert frame["link_problem"][0] == ""


@pytest.mark.parametrize(
    "missing", [[None, pd.NA], [0, "0"], ["", " "], [float("nan"), "nan"], [pd.NaT, "None"]]
)
def test_rows_without_a_root_id_are_passed_over(sandbox, missing):
    """NaN, None, 0 and empty texts are not cells, and the others get their links."""
    given = pd.DataFrame({"pt_root_id": pd.Series([CELL, *missing], dtype=object)})
    frame = add_links(given, server=sandbox.origin, progress=False)
    assert frame["link"].astype(bool).tolist() == [True, False, False]
    assert frame["link_problem"].tolist() == ["", *["This row names no cell."] * 2]


def test_a_column_of_cave_with_zeros_is_taken(sandbox):
    """For cells without a root ID in CAVE, an Int64 column holds 0 or NA; a column with only NaN
    has no IDs."""
    whole = pd.DataFrame({"pt_root_id": pd.array([0, pd.NA, CELL], dtype="Int64")})
    assert add_links(whole, server=sandbox.origin, progress=False)["link"].astype(bool).sum() == 1
    empty = pd.DataFrame({"pt_root_id": [float("nan"), 0.0]})
    assert add_links(empty, server=sandbox.origin)["link"].tolist() == ["", ""]
    with pytest.raises(UsageError, match="floats"):
        add_links(pd.DataFrame({"pt_root_id": [float(CELL), float("nan")]}))


@pytest.mark.parametrize("suffix", [".html", ".md", ".tex", ".rst", ".json", ".png", ".svg"])
def test_a_link_is_saved_by_the_ending_of_the_name(sandbox, tmp_path, suffix):
    """Cards hold the link, the state is the state, pictures are pictures, and files are
    complete."""
    link = make_link(CELL, server=sandbox.origin, tag="soma")
    saved = link.save(tmp_path / f"card{suffix}")
    content = saved.read_bytes()
    starts = {".png": b"\x89PNG", ".svg": b"<svg", ".html": b"<!doctype html>"}
    assert content.startswith(starts.get(suffix, b""))
    if suffix == ".json":
        assert json.loads(content) == link.state
    elif suffix not in {".png", ".svg"}:
        assert str(CELL) in content.decode()
    assert [path.name for path in tmp_path.glob("card*")] == [saved.name]


def test_what_cannot_be_saved_is_refused(tmp_path):
    """Another extension, or a folder instead of the file, is refused, and no file is written."""
    link = tell(example_link(), shown=0)
    with pytest.raises(UsageError, match="has no known extension") as caught:
        link.save(tmp_path / "card.docx")
    assert ".html" in caught.value.hint
    (tmp_path / "folder.md").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        link.save(tmp_path / "folder.md")
    with pytest.raises(UsageError, match="its folder does not exist"):
        link.save(tmp_path / "new" / "card.md")  # none is made, as with numpy and pandas
    assert {path.name for path in tmp_path.iterdir()} == {"folder.md", "home"}


def test_a_link_opens_in_the_browser_of_this_machine(monkeypatch):
    """open() passes the link to the browser, and says so if there is none."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    link = example_link()
    link.open()
    assert opened == [link.url]
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    with pytest.raises(UsageError, match="No browser"):
        link.open()
