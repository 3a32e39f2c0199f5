"""Render the changes of many cells as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.render.cards import render_template
from synglancer.render.endings import check_kind
from synglancer.report.comparisons import sum_counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synglancer.links.kinds.comparison import Comparison
    from synglancer.links.link_record import Skipped

_PAGES = {".html": "comparison.html.j2", ".md": "comparison.md.j2"}


def check_page(path: Path) -> None:
    """Refuse a file extension that is not supported for pages.

    Raises
    ------
    UsageError
        When the extension is not supported.
    """
    check_kind("A page of changes", path, _PAGES)


def render_comparisons(
    comparisons: Sequence[Comparison], skipped: Sequence[Skipped], suffix: str
) -> str:
    """Render the changes of cells.

    Parameters
    ----------
    comparisons
        The changes of each cell; at least one.
    skipped
        Cells that could not be compared, and why.
    suffix
        ``.html`` or ``.md``.
    """
    counts = sum_counts(comparisons)
    sums = [one.counts.sum(numeric_only=True) for one in comparisons]
    return render_template(
        _PAGES[suffix],
        names=[str(name).replace("_", " ") for name in counts.columns],
        counts=counts.to_numpy().tolist(),
        cells=[
            {
                "before": one.before.provenance.cell,
                "after": one.after.provenance.cell,
                "url": one.url,
                "gained": int(total["gained"]),
                "lost": int(total["lost"]),
                "retagged": int(total["retagged_to"]),
                "kept": int(total["kept"]),
            }
            for one, total in zip(comparisons, sums, strict=True)
        ],
        old=comparisons[0].before.provenance,
        new=comparisons[0].after.provenance,
        skipped=skipped,
    )
