"""Each row of a table gets its link or the reason why it has none, in its own place."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from links.shelf import A, B
from links.test_link import example_link
from synglancer.errors import CellError, UsageError
from synglancer.links.dataframes import add_link_columns
from synglancer.settings import Settings

URL = example_link().url


class Maker:
    """Makes a link for each cell but one."""

    def make(self, cell: str) -> Any:
        if cell == str(B):
            raise CellError("--strict refuses it.", "Look.")
        return example_link(given=cell, url=f"{URL}{cell}", warnings=("First.", "--tag x."))

    def lacks_rows(self, _: str) -> bool:
        return False

    def fetch_ahead(self, _: list[str]) -> None:
        raise AssertionError

    def find_unknown(self, _: str) -> None: ...

    def expect(self, _: list[str]) -> None: ...

    def forget(self, _: str) -> None: ...


@pytest.fixture
def opened(monkeypatch) -> list[Any]:
    """How the maker of links was opened."""
    opened: list[Any] = []

    def open_maker(*given: Any) -> Maker:
        opened.append(given)
        return Maker()

    monkeypatch.setattr("synglancer.links.batch.open_maker", open_maker)
    return opened


def add(df: Any, column: Any = "cell", name: Any = "link", **more: Any) -> pd.DataFrame:
    def phrase(text: str) -> str:
        return text.replace("--", "")

    return add_link_columns(df, column, name, Settings(concurrency=1), phrase, **more)


def test_rows_keep_their_order_their_index_and_their_columns(opened) -> None:
    """Repeated cells have the same link, rows without a cell a reason, and the table is not
    changed."""
    df = pd.DataFrame(
        {"cell": [str(A), None, str(B), f" {A}", "0"], "x": [1, 2, 3, 4, 5]},
        index=[7, 7, "b", None, 0.5],
    )
    before = df.copy()
    added = add(df, token="a-known-token")
    pd.testing.assert_frame_equal(added[["cell", "x"]], before)
    pd.testing.assert_frame_equal(df, before)
    assert [*added.columns] == ["cell", "x", "link", "link_problem", "link_note"]
    assert added["link"].tolist() == [f"{URL}{A}", "", "", f"{URL}{A}", ""]
    none = "This row names no cell."
    assert added["link_problem"].tolist() == ["", none, "strict refuses it.", "", none]
    assert added["link_note"].tolist() == ["First. tag x.", "", "", "First. tag x.", ""]
    assert {str(kind) for kind in added.dtypes[2:]} == {"object"}
    assert opened == [(Settings(concurrency=1), None, "a-known-token")]


@pytest.mark.parametrize("rows", [[], ["", None, "nan"]])
def test_a_table_without_cells_has_the_columns(opened, rows) -> None:
    """As text, whether it has rows or not."""
    added = add(pd.DataFrame({"cell": pd.Series(rows, dtype=object)}))
    assert added["link"].tolist() == [""] * len(rows)
    assert added["link_problem"].tolist() == ["This row names no cell."] * len(rows)
    assert [str(kind) for kind in added.dtypes[1:]] == ["object"] * 3


def test_the_columns_of_an_earlier_call_are_replaced(opened) -> None:
    """All three of them together; a user's own column is never overwritten."""
    df = pd.DataFrame({"cell": [str(A)]})
    once = add(df)
    pd.testing.assert_frame_equal(add(once), once)
    renamed = add(once.drop(columns=["link_note", "link_problem"]), name="url")
    assert [*renamed.columns] == ["cell", "link", "url", "link_problem", "link_note"]
    for name, columns in [("link", ["link"]), ("url", ["link_note"]), ("url", ["link_problem"])]:
        with pytest.raises(UsageError, match=f"already has a column '{columns[0]}'") as caught:
            add(df.assign(**dict.fromkeys(columns, "mine")), name=name)
        assert "link_column" in caught.value.hint
    with pytest.raises(UsageError, match="already has a column 'link_problem'"):
        add(df.assign(link_problem="mine", link_note="mine"))


@pytest.mark.parametrize(
    ("df", "column", "name", "words"),
    [
        ([A], "cell", "link", "A pandas DataFrame was expected, not list"),
        (pd.Series([A]), "cell", "link", "A pandas DataFrame was expected, not Series"),
        (pd.DataFrame({"cell": [A]}), "cell", 5, "link_column=5 is not a name"),
        (pd.DataFrame({"cell": [A]}), "pt_root_id", "link", "no column 'pt_root_id'"),
        (pd.DataFrame({"cell": [float(A)]}), "cell", "link", "holds floats"),
    ],
)
def test_what_is_no_table_of_cells_is_refused(opened, df, column, name, words) -> None:
    """Before any link is made."""
    with pytest.raises(UsageError, match=words):
        add(df, column, name)
    assert opened == []


def test_processes_and_the_progress_reach_the_batch(opened) -> None:
    """Each cell counts once, and rows without a cell do not."""
    df, total, asked = pd.DataFrame({"cell": [A, A, 0, B]}), [], []

    @contextmanager
    def progress(number: int) -> Any:
        total.append(number)
        yield lambda: total.append(0)

    def make_links(batch: Any, cells: Any, tick: Any) -> Any:
        asked.append(cells)
        for cell in cells:
            tick()
            yield cell, (cell, "", "")

    spread: Any = SimpleNamespace(make_links=make_links)
    added = add(df, spread=spread, progress=progress)
    assert added["link"].tolist() == [str(A), str(A), "", str(B)]
    assert (asked, total) == ([[str(A), str(B)]], [2, 0, 0])
