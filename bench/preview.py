"""Measure the time per picture: one link in its own browser, ten links in one browser, and plots.

Prints ratios first: what a picture costs among ten, and plotted, against one alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from synglancer import make_link
from synglancer.render.picture_options import Preview, PreviewOptions
from synglancer.render.screenshots import render_previews

CELL = 864691135276234469
TAGS = ("spine", "shaft", "soma")


def measure(links: list, folder: Path, options: PreviewOptions) -> list[float]:
    """Seconds for each picture; the first includes the start of the browser."""
    results = render_previews(links, folder, options)
    assert all(isinstance(result, Preview) for result in results), results
    return [result.elapsed_s for result in results]


def main() -> None:
    asked = [{"tag": (tag,), "min_confidence": c} for tag in TAGS for c in (0.0, 0.5, 0.9)]
    links = [make_link(CELL, sandbox=True), *(make_link(CELL, sandbox=True, **a) for a in asked)]
    with tempfile.TemporaryDirectory() as name:
        how = PreviewOptions(size="480x320")
        (alone,) = measure(links[:1], Path(name), how)
        ten = measure(links, Path(name), how)
        plotted = measure(links, Path(name), PreviewOptions(size="480x320", renderer="plot"))
    later, plot = sum(ten[1:]) / 9, sum(plotted) / 10
    print(
        f"Among ten, a further picture takes {later / alone:.0%} of the time of one alone; "
        f"a plot takes {plot / alone:.0%}."
    )
    print(
        f"Alone {alone:.2f} s; ten {sum(ten):.2f} s, a further one {later:.2f} s; plot {plot:.2f} s"
    )


if __name__ == "__main__":
    main()
