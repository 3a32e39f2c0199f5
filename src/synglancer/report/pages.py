"""Write a report as a file: a page made by a template, or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from synglancer.errors import UsageError
from synglancer.render.cards import render_template
from synglancer.render.endings import check_kind
from synglancer.render.tables import SUFFIXES as TABLES
from synglancer.render.tables import format_table
from synglancer.render.templates import check_template

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from synglancer.report.summary import Report

PAGES = {
    ".html": "report.html.j2",
    ".md": "report.md.j2",
    ".tex": "report.tex.j2",
    ".ipynb": "report.ipynb.j2",
}
"""Extensions of files made by templates."""


def check_ending(path: Path, template: Path | None) -> None:
    """Refuse a file extension that is not supported for reports.

    Raises
    ------
    UsageError
        When the extension is not supported, a template is given for a table, or it does not exist.
    """
    check_kind("A report", path, [*PAGES, *TABLES])
    if template and path.suffix.lower() in TABLES:
        raise UsageError(
            "Tables do not use templates.", f"Name the file with one of {', '.join(PAGES)}."
        )
    if template:
        check_template(template)


def render_report(report: Report, suffix: str, template: Path | None = None) -> bytes:
    """Render a report.

    Parameters
    ----------
    report
        The report.
    suffix
        One of `PAGES` and `TABLES`.
    template
        The user's own template, instead of the built-in one.

    Raises
    ------
    UsageError
        When that template fails, or does not produce a notebook for .ipynb.
    """
    if suffix in PAGES:
        page = render_template(PAGES[suffix], template, report=report)
        if suffix == ".ipynb":
            _check_notebook(page, template)
        return page.encode()
    return format_table(build_table(report), suffix)


def _check_notebook(page: str, template: Path | None) -> None:
    try:
        content = orjson.loads(page)
    except orjson.JSONDecodeError as error:
        raise UsageError(
            f"The template {template or 'for notebooks'} does not produce JSON: {error}.",
            "Pass each cell's whole text through the filter `json`, as the built-in template does.",
        ) from error
    if not (isinstance(content, dict) and "cells" in content):
        raise UsageError(
            f"The template {template} does not produce a notebook.",
            "Compare it with the built-in template: `synglancer templates show report.ipynb`.",
        )


def build_table(report: Report) -> pd.DataFrame:
    """Build the table, with one row for each given cell: the file's columns, then ours.

    Returns
    -------
    pandas.DataFrame
        Ours are ``cell`` (str, its root ID; None if there is no link), ``link``,
        ``link_problem``, ``followed`` (str, the given root ID and its replacement), ``version``
        (Int64), ``shown`` and ``total`` (Int64), and for each direction all synapses of the cell,
        such as ``all_inputs`` (Int64), and for each tag its count, such as ``inputs_spine``
        (Int64). A name that the file already has gets the suffix ``_synglancer``.
    """
    import pandas as pd

    made = [row.summary for row in report.rows]
    texts: dict[str, list[str | None]] = {
        "cell": [one.link["cell"] if one else None for one in made],
        "link": [one.link["url"] if one else "" for one in made],
        "link_problem": [row.skipped.reason if row.skipped else "" for row in report.rows],
        "followed": [row.followed for row in report.rows],
    }
    numbers: dict[str, list[int | None]] = {
        name: [one.link[name] if one else None for one in made]
        for name in ("version", "shown", "total")
    }
    for side in report.directions:
        numbers[f"all_{side}"] = [one.all_synapses(side) if one else None for one in made]
        for tag in report.tags:
            numbers[f"{side}_{tag}"] = [one.count(side, tag) if one else None for one in made]
    ours = {name: pd.Series(values, dtype=object) for name, values in texts.items()}
    ours |= {name: pd.Series(values, dtype="Int64") for name, values in numbers.items()}
    values = {
        name: pd.Series([row.extras[i] for row in report.rows], dtype=object)
        for i, name in enumerate(report.columns)
    }
    renamed = {}
    for name, column in ours.items():
        while name in values:
            name = f"{name}_synglancer"  # noqa: PLW2901  # until no column of the file has it
        renamed[name] = column
    return pd.DataFrame({**values, **renamed})
