"""Generate the sandbox's sample data folder once, and keep it on this machine.

The folder holds::

    folder/v<SAMPLE_VERSION>/
      minnie65_public/   a synthetic cell in the place of the seed cell, and six partners
      sandbox_second/    a small datastack with other names, tags and voxels

`docs/data-folder.md` describes the form.
"""

from __future__ import annotations

import json
import secrets
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cave_sandbox.sample.minnie import Sample

#: Increase it with every change of the generated data, so that no older sample is used again.
SAMPLE_VERSION = 10


def ensure_sample(folder: Path) -> Path:
    """Return the folder with the sample data; generate it if it does not exist.

    Below ``folder``, each version of the sample has its own folder, so that a server that still
    uses an older version is not disturbed. The returned folder has one sub-folder per datastack.
    It is always complete: the data are written to a temporary folder that is then renamed. If
    several processes generate the sample at once, the folder of one of them is kept.

    Raises
    ------
    OSError
        When the folder cannot be written.
    """
    place = folder / f"v{SAMPLE_VERSION}"
    if place.is_dir():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{place.name}-{secrets.token_hex(8)}"  # no other process uses it
    draft.mkdir()
    try:
        write_sample(draft)
        try:
            draft.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def write_sample(folder: Path) -> None:
    """Generate the sample into an existing folder: the same bytes each time."""
    # The generators import numpy and pandas, which are not needed to find an existing sample.
    from cave_sandbox.sample.minnie import build_minnie
    from cave_sandbox.sample.second import build_second
    from cave_sandbox.sample.volume import write_volumes

    for sample in (build_minnie(), build_second()):
        _write_datastack(folder / sample.name, sample)
        write_volumes(folder / sample.name / "precomputed", sample)


def _write_datastack(folder: Path, sample: Sample) -> None:
    for kind, frames in (("tables", sample.tables), ("views", sample.views)):
        for name, frame in frames.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            frame.to_parquet(folder / kind / f"{name}.parquet", index=False)
    if sample.roots is not None:
        sample.roots.to_parquet(folder / "roots.parquet", index=False)
    text = json.dumps(sample.description, indent=2, ensure_ascii=False)
    (folder / "datastack.json").write_text(text + "\n", encoding="utf-8")
