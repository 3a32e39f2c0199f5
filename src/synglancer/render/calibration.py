"""Plot the share of right predictions against their confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synglancer.render.canvas import make_canvas
from synglancer.render.endings import check_kind

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from synglancer.render.canvas import Canvas

SUFFIXES = (".png", ".svg")
"""File extensions of plots."""

_SIZE = (520, 520)
_LEFT, _TOP, _SIDE = 74.0, 44.0, 410.0
_INK, _FAINT, _DIAGONAL, _DOT = "#25272d", "#e2e4e8", "#9a9ea6", "#1f6fb2"
_THIN = 1.0
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_WHISKER = 4.0


def check_plot_suffix(name: str | Path) -> None:
    """Check that a file extension is supported for plots.

    Raises
    ------
    UsageError
        When it is not supported.
    """
    check_kind("A plot", name, SUFFIXES)


def plot_calibration(bins: pd.DataFrame, suffix: str = ".png") -> bytes:
    """Plot the share of correct predictions in each bin of confidence, with its interval.

    Parameters
    ----------
    bins
        As `synglancer.report.agreement.calibrate` returns them.
    suffix
        ``.png`` or ``.svg``.

    Returns
    -------
    bytes
        The file's content. On the diagonal, confidence equals the share of correct predictions.
    """
    name = "Share of predictions that reviewers found right, against their confidence"
    canvas = make_canvas(suffix, _SIZE, 2.0 if suffix == ".png" else 1.0, "#ffffff", name)
    _draw_axes(canvas)
    filled = bins[bins["judged"] > 0]
    for row in filled.itertuples(index=False):
        x = row.mean_confidence
        canvas.line(_place(x, row.low), _place(x, row.high), _DOT, 2.0)
        for end in (row.low, row.high):
            across, up = _place(x, end)
            canvas.line((across - _WHISKER, up), (across + _WHISKER, up), _DOT, 2.0)
        across, up = _place(x, row.share_right)
        canvas.discs(np.array([[across, up]]), 11.0, _DOT)
        canvas.words((across + 9, up - 9), str(row.judged), _INK)
    total = int(bins["judged"].sum())
    what = "synapse" if total == 1 else "synapses"
    canvas.words((_LEFT, 22), f"Share found right, of {total:,} {what} (95 % interval)", _INK)
    return canvas.finish()


def _place(confidence: float, share: float) -> tuple[float, float]:
    return _LEFT + _SIDE * float(confidence), _TOP + _SIDE * (1 - float(share))


def _draw_axes(canvas: Canvas) -> None:
    for tick in _TICKS:
        canvas.line(_place(tick, 0), _place(tick, 1), _FAINT, _THIN)
        canvas.line(_place(0, tick), _place(1, tick), _FAINT, _THIN)
        across, down = _place(tick, 0)
        canvas.words((across, down + 16), f"{tick:g}", _INK, anchor="middle")
        left, up = _place(0, tick)
        canvas.words((left - 22, up), f"{tick:g}", _INK, anchor="middle")
    canvas.line(_place(0, 0), _place(1, 1), _DIAGONAL, _THIN)
    canvas.words((_LEFT + _SIDE / 2, _TOP + _SIDE + 40), "Confidence", _INK, anchor="middle")
