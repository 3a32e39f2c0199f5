"""A list of the links of many cells, which notebooks show as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from synglancer.links.link_record import Skipped

if TYPE_CHECKING:
    import pandas as pd

    from synglancer.link import Link
    from synglancer.links.link_record import LinkRecord

_CELL = (
    "padding: 2px 10px 2px 0; text-align: {align}; vertical-align: top; border: none; "
    "background: none; color: inherit; text-transform: none"
)
_MOST_ROWS = 60  # of the table that a notebook shows


class Links(list["Link | Skipped"]):
    """A `synglancer.Link` or a `synglancer.Skipped` for each of many cells, in their order."""

    @property
    def made(self) -> list[Link]:
        """The links, without the cells that were skipped."""
        return [one for one in self if not isinstance(one, Skipped)]

    @property
    def skipped(self) -> list[Skipped]:
        """The cells without a link, and why."""
        return [one for one in self if isinstance(one, Skipped)]

    @property
    def warnings(self) -> list[str]:
        """The numbers of skipped cells and of links with notes; `to_frame` has the details."""
        told = []
        if self.skipped:
            has = "cell has" if len(self) == 1 else "cells have"
            told.append(f"{len(self.skipped):,} of {len(self):,} {has} no link")
        if noted := sum(bool(link.warnings) for link in self.made):
            told.append(f"{noted:,} link{' has a note' if noted == 1 else 's have notes'}")
        return [f"{' and '.join(told)}. See to_frame() for details."] if told else []

    def to_frame(self) -> pd.DataFrame:
        """Return a table of the links, a row for each cell.

        Returns
        -------
        pandas.DataFrame
            Columns ``given``, ``cell`` (root ID as text; the cells of a link are joined by ", "),
            ``link``, ``shown`` (Int64, synapses in it), ``link_problem`` and ``link_note``; empty
            texts mean that there is nothing to say.
        """
        import pandas as pd

        rows = [
            (one.given, "", "", None, f"{one.reason} {one.hint}", "")
            if isinstance(one, Skipped)
            else (one.given, _name(one), one.url, one.shown, "", " ".join(one.warnings))
            for one in self
        ]
        names = ["given", "cell", "link", "shown", "link_problem", "link_note"]
        kinds = dict.fromkeys(names, "object") | {"shown": "Int64"}
        return pd.DataFrame(rows, columns=names).astype(kinds)

    def __repr__(self) -> str:
        """List the links, one in a line."""
        return "\n".join(["[", *(f" {one!r}," for one in self), "]"]) if self else "[]"

    def _repr_html_(self) -> str:
        """Show the links as a table in Jupyter."""
        head = _format_row(("cell", "synapses", "link", ""), "th")
        rows = [_show(one) for one in self[:_MOST_ROWS]]
        more = len(self) - len(rows)
        rest = f"<p><small>and {more:,} more</small></p>" if more > 0 else ""
        return (
            '<table style="border-collapse: collapse; width: auto">'
            f"<thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{rest}"
        )


def _name(link: LinkRecord) -> str:
    return ", ".join(str(cell) for cell in link.cells or (link.cell,))


def _show(one: Link | Skipped) -> str:
    if isinstance(one, Skipped):
        return _format_row((escape(one.given), "", "", escape(f"{one.reason} {one.hint}")))
    opens = f'<a href="{escape(one.url)}" target="_blank" rel="noopener">open</a>'
    notes = escape(" ".join(one.warnings))
    return _format_row((escape(_name(one)), f"{one.shown:,}", opens, notes))


def _format_row(values: tuple[str, str, str, str], kind: str = "td") -> str:
    alignments = ("left", "right", "left", "left")
    cells = (
        f'<{kind} style="{_CELL.format(align=align)}">{value}</{kind}>'
        for value, align in zip(values, alignments, strict=True)
    )
    return f'<tr style="background: none">{"".join(cells)}</tr>'
