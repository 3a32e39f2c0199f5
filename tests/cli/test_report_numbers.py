"""The numbers of a report, recomputed with pandas from the sandbox's own tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import requests

from cave_sandbox.sample import identity as who
from cli.outcome import CELL
from synglancer import Link

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = ["864691135937424949", "864691135617152361", "864691136334080603"]
ENDS = {"inputs": ("post_pt_root_id", "pre_pt_root_id")}
ENDS["outputs"] = ENDS["inputs"][::-1]


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture(scope="module")
def rows(sample) -> pd.DataFrame:
    """Every predicted synapse of the cells, one row for each direction."""
    folder = sample / who.MINNIE / "tables"
    synapses = pd.read_parquet(folder / f"{who.SYNAPSE_TABLE}.parquet")
    predictions = pd.read_parquet(folder / f"{who.PREDICTION_TABLE}.parquet")
    joined = predictions.merge(synapses, left_on="target_id", right_on="id", suffixes=("_p", ""))
    sides = []
    for side, (own, other) in ENDS.items():
        part = joined[joined[own].astype(str).isin([CELL, *OTHERS])]
        sides.append(part.assign(side=side, cell=part[own].astype(str), partner=part[other]))
    return pd.concat(sides)


@pytest.fixture
def numbers(sandbox, synglancer, tmp_path) -> pd.DataFrame:
    """The numbers in the report's own file."""
    table = tmp_path / "cells.csv"
    groups = ["a", "b", "b", "b"]
    pd.DataFrame({"cell": [CELL, *OTHERS], "kind": groups}).to_csv(table, index=False)
    out = tmp_path / "numbers.parquet"
    made = synglancer(
        *("report", table, "-o", tmp_path / "report.html", "--numbers", out),
        *("--group-by", "kind", "--baseline", "b", "--cell-types"),
    )
    assert made.code == 0, made.err
    return pd.read_parquet(out)


def test_numbers_are_those_of_the_tables(numbers, rows, sample) -> None:
    """Proportions, counts, confidence, distances, partners and their types all agree with a
    recomputation."""
    for one in numbers[numbers["what"] == "proportion"].itertuples():
        cells = {"": [CELL, *OTHERS], "a": [CELL], "b": OTHERS}[one.group]
        own = rows[(rows["side"] == one.direction) & rows["cell"].isin(cells)]
        assert (one.count, one.total) == ((own["tag"] == one.tag).sum(), len(own))
        compared = rows[(rows["side"] == one.direction) & rows["cell"].isin(OTHERS)]
        assert one.baseline == pytest.approx((compared["tag"] == one.tag).mean())
    by_cell = rows.groupby(["cell", "side", "tag"])
    told = numbers[numbers["what"] == "count"].set_index(["cell", "direction", "tag"])["count"]
    assert told.to_dict() == by_cell.size().to_dict()

    nuclei = pd.read_parquet(sample / who.MINNIE / "tables" / f"{who.NUCLEUS_TABLE}.parquet")
    check_confidence(numbers, by_cell)
    check_distances(numbers, rows, nuclei)
    check_partners(numbers, rows)


def check_confidence(numbers: pd.DataFrame, by_cell) -> None:
    told = numbers[numbers["what"] == "confidence"]
    for key, part in told.groupby(["cell", "direction", "tag"]):
        values = by_cell.get_group(key)["value"].astype("float32")
        assert part["count"].sum() == len(values)
        for one in part.itertuples():
            inside = (values >= np.float32(one.low)) & (values < np.float32(one.high))
            inside |= (one.high == 1) & (values == 1)
            assert one.count == inside.sum()


def check_distances(numbers: pd.DataFrame, rows: pd.DataFrame, nuclei: pd.DataFrame) -> None:
    resolution = np.array([4, 4, 40])
    points = nuclei.set_index(nuclei["pt_root_id"].astype(str))
    axes = [f"pt_position_{axis}" for axis in "xyz"]
    soma = points.loc[[CELL, *OTHERS], axes].to_numpy() * resolution
    somata = dict(zip([CELL, *OTHERS], soma, strict=True))
    places = rows[[f"ctr_pt_position_{axis}" for axis in "xyz"]].to_numpy() * resolution
    centres = np.array([somata[cell] for cell in rows["cell"]])
    away = rows.assign(away=np.sqrt(((places - centres) ** 2).sum(axis=1)) / 1000)
    told = numbers[numbers["what"] == "distance"]
    assert len(told) == len(away.groupby(["side", "tag"])) + len(
        away.groupby(["cell", "side", "tag"])
    )
    for one in told.itertuples():
        own = away[(away["side"] == one.direction) & (away["tag"] == one.tag)]
        own = own if one.cell == "all" else own[own["cell"] == one.cell]
        expected = own["away"].quantile([0.25, 0.5, 0.75]).tolist()
        assert [one.low, one.value, one.high] == pytest.approx(expected, rel=1e-4)


def check_partners(numbers: pd.DataFrame, rows: pd.DataFrame) -> None:
    others = rows[(rows["partner"] != 0) & (rows["partner"].astype(str) != rows["cell"])]
    told = numbers[numbers["what"] == "partner"]
    for (cell, side), part in told.groupby(["cell", "direction"]):
        own = others[(others["cell"] == cell) & (others["side"] == side)]
        counts = own["partner"].value_counts()
        strongest = part.groupby("partner")["count"].sum()
        assert sorted(strongest, reverse=True) == counts.head(10).tolist()
        for one in part.itertuples():
            mine = own[own["partner"].astype(str) == one.partner]
            assert one.count == (mine["tag"] == one.tag).sum()
    types = numbers[numbers["what"] == "partner type"]
    expected = rows.groupby(["side", "tag"]).size().to_dict()
    assert types.groupby(["direction", "tag"])["count"].sum().to_dict() == expected


def test_path_lengths_are_longer_than_the_straight_line(sandbox, synglancer, tmp_path) -> None:
    """Every synapse has a path length along the skeleton, and each tag's median is longer than the
    straight distance. The sample's skeletons are its cells' own branches: dendrites bend, and axons
    turn.
    """
    page, out = tmp_path / "report.tex", tmp_path / "numbers.parquet"
    words = ("--path-length", "--numbers", out, "--outputs", "--workers", "2")
    assert synglancer("report", CELL, OTHERS[0], "-o", page, *words).code == 0
    assert "Path length to the soma" in page.read_text()
    numbers = pd.read_parquet(out)
    keys = ["cell", "direction", "tag"]
    straight = numbers[numbers["what"] == "distance"].set_index(keys)
    along = numbers[numbers["what"] == "path length"].set_index(keys)
    assert along["count"].to_dict() == straight["count"].to_dict()
    assert (along["value"] > straight["value"]).all()


def list_all_cells(page: Path) -> tuple[dict, pd.DataFrame]:
    """Read the state of a report's link to all cells, and the table in its list of segments."""
    line = next(one for one in page.read_text().splitlines() if "all cells in one view" in one)
    state = Link.from_url(line.split("](")[1].split(")")[0]).state
    mesh = next(layer for layer in state["layers"] if layer["name"] == "segmentation")
    address = mesh["source"][0]["url"].removeprefix("precomputed://")
    inline = json.loads(requests.get(f"{address}/info", timeout=10).content)["inline"]
    columns = {one["id"]: one["values"] for one in inline["properties"]}
    tagged = [one for one in inline["properties"] if one["type"] == "tags"]
    assert len(tagged) <= 1  # viewers read only the first one
    for one in tagged:
        columns[one["id"]] = [[one["tags"][n] for n in row] for row in one["values"]]
    assert sorted(mesh["segments"]) == sorted(inline["ids"])
    return state, pd.DataFrame(columns, index=inline["ids"])


@pytest.mark.parametrize("words", [[], ["--cell-types"], ["--group-by", "kind"]])
def test_a_link_lists_all_cells(sandbox, synglancer, rows, sample, tmp_path, words) -> None:
    """The link has each cell's type, group, counts and shares, as in the tables."""
    page, cells = tmp_path / "report.md", tmp_path / "cells.csv"
    types = pd.read_parquet(sample / who.MINNIE / "views" / f"{who.CELL_TYPE_VIEW}.parquet")
    typed = types.set_index(types["pt_root_id"].astype(str))["cell_type"]
    expected = {cell: [typed[cell]] for cell in [CELL, *OTHERS]}
    groups = dict(zip([CELL, *OTHERS], ["a", "b", typed[CELL], ""], strict=True))
    pd.DataFrame({"cell": groups.keys(), "kind": groups.values()}).to_csv(cells, index=False)
    made = synglancer("report", cells, "-o", page, *words)
    assert made.code == 0, made.err
    _, listed = list_all_cells(page)
    assert sorted(listed.index) == sorted([CELL, *OTHERS])
    if "--group-by" in words:
        # The third cell's group has the same name as a type.
        for cell, tag in zip(groups, ["a", "b", f"kind:{typed[CELL]}"], strict=False):
            expected[cell].append(tag)
    assert listed["cell_type"].map(sorted).to_dict() == {
        cell: sorted(tags) for cell, tags in expected.items()
    }
    for side, part in rows.groupby("side"):
        table = pd.crosstab(part["cell"], part["tag"])
        assert listed[side].to_dict() == table.sum(axis=1).to_dict()
        for tag in table:
            share = (100 * table[tag] / table.sum(axis=1)).round(1)
            assert listed[f"{side}_{tag}"].to_dict() == pytest.approx(share.to_dict(), abs=0.051)


def test_the_list_of_all_cells_is_without_types_that_are_not_served(
    own_sandbox, synglancer, tmp_path
) -> None:
    """If the view of types is not available, the link lists everything else."""
    own_sandbox.set_faults("GET */views/*=404")
    page = tmp_path / "report.md"
    made = synglancer("report", CELL, *OTHERS, "-o", page)
    assert made.code == 0, made.err
    _, listed = list_all_cells(page)
    assert "cell_type" not in listed
    assert (listed["inputs"] > 0).all()


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["--baseline", "nothing"], ["no such file: 'nothing'", "tags and counts"]),
        (["--numbers", "numbers.txt"], ["cannot be written as '.txt'", ".csv, .parquet"]),
    ],
)
def test_what_cannot_be_is_refused(sandbox, synglancer, tmp_path, words, sentences) -> None:
    """A missing baseline, and a file of the wrong kind, are refused before any request."""
    made = synglancer("report", CELL, "-o", tmp_path / "report.md", *words)
    assert made.code == 2
    assert all(one in made.err for one in sentences)
    assert not sandbox.requests
    assert not [*tmp_path.glob("report*")]
