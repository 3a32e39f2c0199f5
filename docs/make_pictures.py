"""Make the pictures of the README and of docs/pictures.md: the synthetic cell, by option.

Run by ``make pictures``. Each is a link on the sandbox, captured as ``synglancer preview`` does
it; the files are then reduced to 256 colours, since everyone who clones the project carries them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image

from synglancer import make_link
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.screenshots import Painter

CELL = 864691135276234469
BASKET = 864691135468905857  # makes synapses onto it
FOLDER = Path(__file__).parent / "pictures"
WIDE, SMALL = PreviewOptions(size="960x600"), PreviewOptions(size="640x480")


def cluster_spines() -> pd.DataFrame:
    """Group the inputs on spines by how far above or below the soma they are."""
    spines = make_link(CELL, sandbox=True, inputs=True, tag="spine").predictions
    depth = spines["ctr_pt_position_y"]
    names = pd.cut(depth, 3, labels=["apical tuft", "trunk", "basal"]).astype(str)
    places = {f"{axis}_nm": spines[f"ctr_pt_position_{axis}"] for axis in "xyz"}
    points = spines[["id"]].assign(layer=names, **places)
    return points.sort_values(["layer", "id"]).groupby("layer").head(150)


PICTURES = {
    "default": (WIDE, {}),
    "white": (SMALL, {"background": "white", "layout": "3d"}),
    "figure": (SMALL, {"figure": True}),
    "3d": (SMALL, {"layout": "3d"}),
    "palette-safe": (SMALL, {"palette": "safe", "layout": "3d"}),
    "confidence": (SMALL, {"color_by": "confidence", "layout": "3d"}),
    "partners": (SMALL, {"partners": 5, "layout": "3d"}),
    "multi-input": (SMALL, {"multi_input": True, "layout": "3d"}),
    "partner-type": (SMALL, {"color_by": "partner-type", "layout": "3d"}),
    "together": (SMALL, {"cells": [CELL, BASKET], "layout": "3d"}),
    "synapse": (
        PreviewOptions(size="1280x720", interface=True),
        {"cells": "synapse:327626322", "cell_types": True},
    ),
    "review": (
        PreviewOptions(size="1280x720", interface=True),
        {"review": True, "tag": "spine", "max_confidence": 0.7},
    ),
    "own-points": (SMALL, {"layout": "3d", "tag": "soma", "annotations": cluster_spines}),
    "panel": (PreviewOptions(size="1280x800", interface=True), {"panel": True}),
    "plot": (replace(SMALL, renderer="plot"), {}),
    "plot-partner-type": (replace(SMALL, renderer="plot"), {"color_by": "partner-type"}),
}
"""Each picture: the command that makes it, and the options of its link, which shows only the seed
cell unless other cells are named."""


def main() -> int:
    """Make all pictures, and print the name and size of each file."""
    FOLDER.mkdir(exist_ok=True)
    for how in dict.fromkeys(how for how, _ in PICTURES.values()):
        with Painter(how) as painter:
            for name, (its, options) in PICTURES.items():
                if its != how:
                    continue
                options |= {name: value() for name, value in options.items() if callable(value)}
                link = make_link(options.pop("cells", CELL), sandbox=True, no_cache=True, **options)
                path = FOLDER / f"{name}.png"
                painter.paint(link.opened(), path)
                few = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
                few.save(path, optimize=True)
                print(f"{path.name}  {path.stat().st_size:,} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
