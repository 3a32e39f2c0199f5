"""For any table, a report keeps each ID and each value, in every kind of file."""

from __future__ import annotations

import csv
import io
import re

import openpyxl
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synglancer.cells.lists import read_cell_list
from synglancer.links.link_record import Skipped
from synglancer.render.tables import format_table, keep_exact
from synglancer.report.building import build_report
from synglancer.report.pages import build_table
from synglancer.report.summary import CellSummary
from synglancer.settings import Settings

ID = "864691135276234469"
KINDS = ("csv", "tsv", "semicolon", "parquet", "feather", "xlsx")

ids = st.one_of(
    st.integers(2**56, 2**64 - 1).map(str),
    st.sampled_from(["", "NA", "8.64e17", "nan", "5", "nucleus:7", "-3", "007", "1 2 3"]),
)
# Excel has no other control characters, and makes one line break of each kind.
words = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=12
)
values = st.one_of(words, ids, st.sampled_from(["=1+1", "'=1", "-5", "+x", "@a", "\tb", "'", "-"]))
tables = st.lists(st.tuples(ids, values, values), min_size=1, max_size=6).filter(
    lambda rows: any(value.strip() for value in rows[-1])
)


def write(rows, kind, path):
    """Write a table of texts as this kind of file."""
    frame = pd.DataFrame(rows, columns=["note", "pt_root_id", "other"], dtype=object)
    if kind in {"parquet", "feather"}:
        getattr(frame, f"to_{kind}")(path)
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        for row, cells in enumerate([list(frame.columns), *rows], start=1):
            for column, value in enumerate(cells, start=1):
                cell = book.active.cell(row, column, value)
                cell.data_type = "s"
        book.save(path)
    else:
        separator = {"csv": ",", "tsv": "\t", "semicolon": ";"}[kind]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
            writer.writerows([list(frame.columns), *rows])


def report_on(path) -> pd.DataFrame:
    """Make the table of a report in which every second cell has a link."""
    cells = read_cell_list([str(path)])
    record = {"url": "https://a.org/#!b", "version": 1718, "shown": 1, "total": 1, "filters": {},
              "warnings": [], "counts": {}}  # fmt: skip
    results = [
        CellSummary({**record, "cell": ID}, "", {}, {"inputs": [], "outputs": []})
        if i % 2
        else Skipped(cell, "It is not known.", "Look it up.", 3)
        for i, cell in enumerate(cells.cells)
    ]
    made = build_report(
        cells, results, Settings(), group_by=None, generator="", made_on="", whole=True
    )
    return build_table(made)


def unescape(value: str) -> str:
    """Remove the apostrophe that the documentation describes."""
    return value[1:] if re.match(r"''*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]", value) else value


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(KINDS))
def test_a_report_keeps_every_value_of_its_table(tmp_path, rows, kind):
    """The columns of a table come back unchanged in a report's CSV, Parquet and Excel files."""
    rows = [(note, cell, other) for cell, note, other in rows]
    rows.append(("one valid cell", ID, ""))
    path = tmp_path / f"cells.{'csv' if kind == 'semicolon' else kind}"
    write(rows, kind, path)
    rows = [(note, "" if cell == "'" else cell, other) for note, cell, other in rows]  # a gap
    frame = report_on(path)
    read = pd.read_parquet(io.BytesIO(format_table(frame, ".parquet")))
    assert list(read.columns[:3]) == ["note", "pt_root_id", "other"]
    for i, name in enumerate(read.columns[:3]):
        assert list(read[name]) == [row[i] for row in rows]
    book = openpyxl.load_workbook(io.BytesIO(format_table(frame, ".xlsx")))
    cells = list(book.active.iter_rows(min_row=2, max_col=3, values_only=True))
    marked = [keep_exact([row[i] for row in rows]) for i in range(3)]
    assert [[row[i] or "" for row in cells] for i in range(3)] == [list(each) for each in marked]
    text = format_table(frame, ".csv").decode()
    lines = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for i in range(3):
        assert [unescape(line[i]) for line in lines] == list(marked[i])
    again = pd.read_csv(io.StringIO(text))  # with the default options
    for name, column in zip(("pt_root_id", "cell"), (1, 3), strict=True):
        for value, line in zip(again[name], lines, strict=True):
            if re.fullmatch("[0-9]{16,}", line[column]):
                assert int(value) == int(line[column])
