"""synglancer table: the annotations behind any link, as a table."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from synglancer import Link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.outcome import Outcome

CELL = "864691135276234469"


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_the_table_is_what_the_link_shows(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path,
    suffix: str,
) -> None:  # fmt: skip
    """The file has every synapse of a link, with its ID, position and cells."""
    url = make_link(CELL, "--tag", "soma").out.strip()
    out = tmp_path / f"soma{suffix}"
    done = synglancer("table", url, "-o", out)
    assert (done.code, done.out) == (0, "")
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".xlsx": pd.read_excel}[suffix]
    frame = read(out, **({"dtype": str} if suffix == ".xlsx" else {}))
    shown = Link.from_url(url).predictions
    assert sorted(map(int, frame["id"])) == sorted(shown["id"])
    assert set(frame["post_segment"].astype(str)) >= {CELL}
    assert f"{len(shown):,} annotations written" in done.err


def test_csv_on_stdout_and_state_files(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A saved state is read like a link, and the table goes to stdout."""
    file = tmp_path / "state.json"
    make_link(CELL, "--inline", "--outputs", "--tag", "soma", "--save-state", file)
    done = synglancer("table", file)
    assert done.code == 0
    frame = pd.read_csv(io.StringIO(done.out))
    assert set(frame["layer"]) == {"○ out: soma"}
    assert len(frame) == 9


def test_what_cannot_be_placed_is_said(synglancer: Callable[..., Outcome], tmp_path: Path) -> None:
    """Annotations of a state without units are named and left out."""
    file = tmp_path / "old.json"
    note = {"type": "point", "id": "1", "point": [1, 2, 3]}
    file.write_text(
        json.dumps({"layers": [{"type": "annotation", "name": "a", "annotations": [note]}]})
    )
    done = synglancer("table", file)
    assert "cannot be placed: the state does not say how large a voxel is" in done.err
    assert len(done.out.splitlines()) == 1


def test_what_is_no_64_bit_id_is_said(synglancer: Callable[..., Outcome], tmp_path: Path) -> None:
    """A related segment with 30 digits is named; the annotation itself is kept."""
    file = tmp_path / "long.json"
    note = {"type": "point", "id": "1", "point": [1, 2, 3], "segments": [10**30 - 1]}
    layer = {"type": "annotation", "name": "a", "annotations": [note]}
    layer["annotationRelationships"] = ["cell"]
    file.write_text(
        json.dumps({"dimensions": {axis: [1e-9, "m"] for axis in "xyz"}, "layers": [layer]})
    )
    done = synglancer("table", file)
    assert "1 related segment of the layer 'a' has an ID that is not a 64-bit ID" in done.err
    assert (done.code, len(done.out.splitlines())) == (0, 2)


SOURCE = "precomputed://https://lab.example.org/points"
NOTE = {"type": "point", "id": "1", "point": [1, 2, 3]}
UNREAD = {
    "an object": (
        {"type": "annotation", "name": "a", "annotations": {"a": 1}},
        "The annotations of the layer 'a' are not a list and are not read.",
    ),
    "a source": (
        {"type": "annotation", "name": "a", "source": SOURCE},
        f"The layer 'a' shows annotations from '{SOURCE}', which are not read.",
    ),
    "a source as an object": (
        {"type": "annotation", "name": "a", "source": [{"url": SOURCE}]},
        f"The layer 'a' shows annotations from '{SOURCE}', which are not read.",
    ),
    "an address": (SOURCE, f"only names its source, '{SOURCE}'"),
    "another type": (
        {"type": "image", "name": "a", "annotations": [NOTE]},
        "The layer 'a' is of the type 'image', so its 1 annotation cannot be read.",
    ),
    "no type": (
        {"name": "a", "annotations": [NOTE, NOTE]},
        "The layer 'a' is without a type, so its 2 annotations cannot be read.",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_layers_that_are_not_read_are_named(
    synglancer: Callable[..., Outcome], tmp_path: Path, name: str
) -> None:
    """A layer whose annotations are somewhere else, or in another form, is not left out
    silently."""
    layer, said = UNREAD[name]
    file, out = tmp_path / "state.json", tmp_path / "table.csv"
    file.write_text(json.dumps({"layers": [layer]}))
    done = synglancer("table", file, "-o", out)
    assert done.code == 0
    assert said in done.err
    assert "0 annotations written" in done.err


def test_layers_without_annotations_are_not_named(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Images, segmentations and empty layers leave nothing out, and our own links do not either."""
    file = tmp_path / "state.json"
    layers = [
        {"type": "image", "name": "em", "source": SOURCE},
        {"type": "segmentation", "name": "cells", "source": [SOURCE]},
        {"type": "annotation", "name": "empty", "source": "local://annotations"},
        {"type": "annotation", "name": "none", "annotations": []},
    ]
    file.write_text(json.dumps({"layers": layers}))
    out = tmp_path / "table.csv"
    assert synglancer("table", file, "-o", out).err.splitlines() == [
        f"0 annotations written to {out}"
    ]
    url = make_link(CELL, "--tag", "soma").out.strip()
    assert "left out" not in synglancer("table", url, "-o", out).err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["864691135276234469"], "'864691135276234469' is not a Neuroglancer link"),
        (["https://a.org/#!{]"], "no Neuroglancer state"),
        (["state.json", "-o", "out.txt"], "cannot be written as '.txt'"),
        (["state.json", "-o", "missing/out.csv"], "missing"),
        (["missing.json"], "There is no file 'missing.json'"),
    ],
)
def test_bad_questions_are_refused(
    synglancer: Callable[..., Outcome], words, said, tmp_path, monkeypatch
) -> None:
    """Anything but a link, and an output that cannot be written, are refused with an error and a
    hint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state.json").write_text('{"layers": []}')
    synglancer("table", *words).refuses(2, said)
