"""The synthetic sample: its totals, its shape, and its folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cave_sandbox.sample import build as sample_module
from cave_sandbox.sample import identity as who
from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.sample.minnie import GRID, SOMA, build_minnie
from cave_sandbox.sample.second import TAGS
from cave_sandbox.tables.data_folder import read_datasets

if TYPE_CHECKING:
    from pathlib import Path

    from cave_sandbox.sample.geometry import Cell
    from cave_sandbox.sample.minnie import Sample

SEED = who.SEED_ROOT_ID
ROUNDING = 25.0
"""A position is rounded to a voxel of 4 x 4 x 40 nm: up to 20.2 nm away, and a little."""


@pytest.fixture(scope="session")
def folder(sample: Path) -> Path:
    return sample


@pytest.fixture(scope="session")
def built() -> Sample:
    return build_minnie()


@pytest.fixture(scope="session")
def seed(built: Sample) -> Cell:
    return built.cells[0]


@pytest.fixture(scope="session")
def joined(folder: Path) -> pd.DataFrame:
    tables = folder / who.MINNIE / "tables"
    synapses = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet")
    predictions = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet")
    return synapses.merge(predictions, left_on="id", right_on="target_id", suffixes=("", "_ref"))


def positions(rows: pd.DataFrame, point: str) -> np.ndarray[Any, Any]:
    columns = [f"{point}_pt_position_{axis}" for axis in "xyz"]
    return rows[columns].to_numpy(dtype=float) * np.array(GRID.resolution)


def tag_counts(rows: pd.DataFrame) -> dict[str, int]:
    return {str(tag): int(count) for tag, count in rows["tag"].value_counts().items()}


def test_the_seed_cell_has_the_totals_of_the_real_one(joined: pd.DataFrame) -> None:
    """The join finds 3,076 inputs and 316 outputs of the seed cell, by tag as documented."""
    inputs, outputs = joined[joined.post_pt_root_id == SEED], joined[joined.pre_pt_root_id == SEED]
    assert (len(inputs), len(outputs)) == (3076, 316)
    assert tag_counts(inputs) == who.INPUT_PREDICTIONS
    assert tag_counts(outputs) == who.OUTPUT_PREDICTIONS


def test_some_synapses_have_no_prediction(folder: Path) -> None:
    """The synapse table has 214 inputs and 23 outputs without a prediction."""
    path = folder / who.MINNIE / "tables" / f"{who.SYNAPSE_TABLE}.parquet"
    synapses = pd.read_parquet(path)
    assert (synapses.post_pt_root_id == SEED).sum() == 3076 + 214
    assert (synapses.pre_pt_root_id == SEED).sum() == 316 + 23


def test_the_autapse_counts_in_both_directions(joined: pd.DataFrame) -> None:
    """Exactly one synapse has the seed cell on both sides, and it is predicted."""
    both = (joined.pre_pt_root_id == SEED) & (joined.post_pt_root_id == SEED)
    assert both.sum() == 1


def test_ids_are_unique_and_too_long_for_a_double(joined: pd.DataFrame) -> None:
    """IDs are unique per table, differ between the two, and root IDs exceed 2^53."""
    assert joined["id"].is_unique
    assert joined["id_ref"].is_unique
    assert (joined["id"] != joined["id_ref"]).all()
    for column in ("pre_pt_root_id", "post_pt_root_id", "post_pt_supervoxel_id"):
        assert joined[column].dtype == np.int64
        assert (joined[column] > 2**53).all()


def test_confidence_and_size_are_plausible(joined: pd.DataFrame) -> None:
    """Confidences are float32 from 1/3 to 1 and mostly high; sizes are distributed like real
    ones."""
    value, size = joined["value"], joined["size"]
    assert value.dtype == np.float32
    assert value.between(1 / 3, 1).all()
    assert value.median() > 0.9
    assert size.between(160, 98_000).all()
    assert 3_000 < size.median() < 6_500
    assert 0.8 < np.log(size).std() < 1.3


def test_soma_inputs_lie_on_the_soma(joined: pd.DataFrame, seed: Cell) -> None:
    """Clefts tagged soma are on the soma's surface, and their postsynaptic points are inside it."""
    rows = joined[(joined.post_pt_root_id == SEED) & (joined.tag == "soma")]
    assert np.abs(seed.soma.depth(positions(rows, "ctr"))).max() < ROUNDING
    assert seed.soma.depth(positions(rows, "post")).max() < 0
    assert seed.soma.depth(positions(rows, "pre")).min() > 0


def test_spine_inputs_lie_on_spine_heads(joined: pd.DataFrame, seed: Cell) -> None:
    """Clefts tagged spine are on the surface of a spine head, and their postsynaptic points inside
    it."""
    rows = joined[(joined.post_pt_root_id == SEED) & (joined.tag == "spine")]
    for point, low, high in (("ctr", -ROUNDING, ROUNDING), ("post", -500.0, 0.0)):
        above = height_above(positions(rows, point), seed.spines.heads(), seed.spines.head_radius)
        # A neighbouring head may reach over a few of them.
        assert np.mean((above > low) & (above < high)) > 0.97
        assert above.max() < ROUNDING


def test_each_spine_has_a_synapse_and_some_have_two(built: Sample, seed: Cell) -> None:
    """Every spine of the seed cell receives a synapse, and a few receive a second one."""
    contacts = built.contacts
    own = (contacts.post == SEED) & (contacts.tags == "spine")
    away = measure(contacts.post_pt[own], seed.spines.heads())
    hits = np.bincount(away.argmin(axis=1), minlength=len(seed.spines.length))
    assert np.mean(hits > 0) > 0.99
    assert 20 < np.sum(hits > 1) < 120


def test_spines_follow_the_geometry(folder: Path, joined: pd.DataFrame, seed: Cell) -> None:
    """Synapses on the same spine head of the seed cell share a number in the table of spines; the
    table of spines with several inputs lists only the shared ones."""
    tables = folder / who.MINNIE / "tables"
    spines = pd.read_parquet(tables / f"{who.SPINE_TABLE}.parquet").set_index("target_id")
    shared = pd.read_parquet(tables / f"{who.MULTI_INPUT_TABLE}.parquet").set_index("target_id")
    assert spines.index.is_unique
    rows = joined[(joined.post_pt_root_id == SEED) & joined["id"].isin(spines.index)]
    assert set(rows["tag"]) == {"spine"}
    assert len(rows) == who.INPUT_PREDICTIONS["spine"]
    away = measure(positions(rows, "post"), seed.spines.heads())
    head = (away - seed.spines.head_radius).argmin(axis=1)
    number = spines.loc[rows["id"], "group_id"].to_numpy()
    # Positions are rounded to voxels, so a few touching heads are confused.
    agreeing = pd.Series(number).groupby(head).agg(["min", "max"])
    assert (agreeing["min"] == agreeing["max"]).mean() > 0.99
    several = spines[spines.groupby("group_id")["id"].transform("size") > 1]
    assert sorted(shared.index) == sorted(several.index)
    assert (shared.groupby("group_id").size() > 1).all()
    groups = shared["group_id"].groupby(several.loc[shared.index, "group_id"]).agg(["min", "max"])
    assert (groups["min"] == groups["max"]).all()


def test_the_seed_cell_has_synapses_on_shared_spines_in_both_directions(
    folder: Path, joined: pd.DataFrame
) -> None:
    """79 of its predicted inputs and 26 of its outputs lie on spines with several inputs."""
    tables = folder / who.MINNIE / "tables"
    shared = pd.read_parquet(tables / f"{who.MULTI_INPUT_TABLE}.parquet")["target_id"]
    rows = joined[joined["id"].isin(shared)]
    assert (rows.post_pt_root_id == SEED).sum() == 79
    assert (rows.pre_pt_root_id == SEED).sum() == 26


def test_shaft_inputs_lie_on_dendrites(joined: pd.DataFrame, seed: Cell) -> None:
    """Clefts tagged shaft are on the surface of a dendrite, and none is on the soma."""
    rows = joined[(joined.post_pt_root_id == SEED) & (joined.tag == "shaft")]
    starts = np.concatenate([b.points[:-1] for b in seed.branches if b.kind != "axon"])
    ends = np.concatenate([b.points[1:] for b in seed.branches if b.kind != "axon"])
    first = np.concatenate([b.radii[:-1] for b in seed.branches if b.kind != "axon"])
    last = np.concatenate([b.radii[1:] for b in seed.branches if b.kind != "axon"])
    for point, low, high in (("ctr", -60.0, 60.0), ("post", -3000.0, 0.0)):
        places = positions(rows, point)
        axis = ends - starts
        along = np.einsum("nmk,mk->nm", places[:, None] - starts, axis) / (axis**2).sum(axis=1)
        along = np.clip(along, 0.0, 1.0)
        nearest = starts + along[:, :, None] * axis
        away = np.linalg.norm(places[:, None] - nearest, axis=2) - (first + along * (last - first))
        above = away.min(axis=1)
        # Where dendrites fork, the surface of one lies inside the other.
        assert np.mean((above > low) & (above < high)) > 0.9
        assert above.max() < 60
    assert seed.soma.depth(positions(rows, "ctr")).min() > 1_000


def test_outputs_lie_on_boutons(joined: pd.DataFrame, built: Sample) -> None:
    """Each cell's outputs are on boutons of its axon, and their presynaptic points are inside."""
    for cell in built.cells:
        rows = joined[joined.pre_pt_root_id == cell.root_id]
        assert len(rows) > 40
        above = height_above(positions(rows, "ctr"), cell.boutons.centres, cell.boutons.radii)
        assert above.max() < ROUNDING
        inside = height_above(positions(rows, "pre"), cell.boutons.centres, cell.boutons.radii)
        assert np.mean(inside < 0) > 0.95


def height_above(
    places: np.ndarray[Any, Any], centres: np.ndarray[Any, Any], radii: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Measure how far positions (n, 3) are from the nearest ball's surface, negative inside."""
    return np.asarray((measure(places, centres) - radii[None]).min(axis=1))


def measure(places: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Measure the distance of each position (n, 3) to each of others (m, 3), in nm."""
    squares = np.zeros((len(places), len(others)))
    for one, other in zip(places.T, others.T, strict=True):
        squares += (one[:, None] - other) ** 2  # by axis, which is faster than all at once
    return np.sqrt(squares)


def test_the_seed_cell_is_a_pyramidal_cell_of_layer_2(seed: Cell) -> None:
    """The seed cell is 400-700 µm tall, its apical dendrite reaches close to the pia, and its axon
    descends."""
    points = {
        kind: np.concatenate([b.points for b in seed.branches if b.kind == kind])
        for kind in ("apical", "basal", "axon")
    }
    everything = np.concatenate(list(points.values()))
    assert 400_000 < np.ptp(everything[:, 1]) < 700_000
    assert SOMA[1] - points["apical"][:, 1].min() > 150_000
    assert points["axon"][:, 1].max() - SOMA[1] > 200_000
    assert np.linalg.norm(points["basal"] - SOMA, axis=1).max() < 220_000


def test_partners_and_the_seed_cell_are_connected(joined: pd.DataFrame) -> None:
    """Each partner makes synapses onto the seed cell and receives some, like other cells."""
    for partner in who.PARTNERS:
        own_pre = joined.pre_pt_root_id == partner.root_id
        own_post = joined.post_pt_root_id == partner.root_id
        assert (own_pre & (joined.post_pt_root_id == SEED)).sum() >= 2
        assert (own_post & (joined.pre_pt_root_id == SEED)).sum() >= 2
        assert own_post.sum() > 100
        assert own_pre.sum() > 40


def test_outdated_root_ids_have_successors(folder: Path) -> None:
    """Root IDs replaced by edits have one or two successors, which begin when the replaced ones
    end."""
    roots = pd.read_parquet(folder / who.MINNIE / "roots.parquet").set_index("root_id")
    successors = {
        int(root): [int(text) for text in row.successors.split()] for root, row in roots.iterrows()
    }
    partner = who.PARTNERS[0].root_id
    assert successors == {
        who.OUTDATED_ONE_SUCCESSOR: [SEED],
        who.OUTDATED_SPLIT: [SEED, who.SPLIT_FRAGMENT],
        who.OUTDATED_MERGED_CELLS: [partner, who.PARTNERS[1].root_id],
        SEED: [who.SEED_BETWEEN, who.CUT_DENDRITE],
        who.SEED_BETWEEN: [who.EDITED_SEED],
        who.ADDED_AXON: [who.EDITED_SEED],
        partner: [who.EDITED_PARTNER],
        who.SPLIT_FRAGMENT: [who.EDITED_PARTNER],
    }


@pytest.mark.parametrize(("edition", "version"), [("", 1718), ("@1822", 1822)])
def test_tables_hold_root_ids_that_are_valid_at_their_version(
    folder: Path, edition: str, version: int
) -> None:
    """No row of a version's tables and views has a root ID that was not valid at that version."""
    place = folder / who.MINNIE
    shown = read_datasets(folder)[who.MINNIE].version(version)
    assert shown is not None
    time = pd.Timestamp(shown.time_stamp)
    roots = pd.read_parquet(place / "roots.parquet")
    ended = roots[pd.to_datetime(roots["expired"]) < time]["root_id"]
    begun = pd.to_datetime(roots["expired"]) < time
    later = set(" ".join(roots[~begun]["successors"]).split())
    for name in ("synapses_pni_2", "nucleus_detection_v0", "../views/aibs_cell_info"):
        table = pd.read_parquet(place / "tables" / f"{name}{edition}.parquet")
        for column in (name for name in table if name.endswith("_root_id")):
            used = set(table[column])
            assert used.isdisjoint(ended), column
            assert used.isdisjoint(map(int, later)), column


def test_edits_move_the_synapses_that_lie_on_what_moved(folder: Path, built: Sample) -> None:
    """Lost inputs are on the cut-off dendrite, and gained outputs on the added axon."""
    tables = folder / who.MINNIE / "tables"
    before = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet").set_index("id")
    after = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}@1822.parquet").set_index("id")
    dendrite, axon = built.pieces
    lost = after[(before.post_pt_root_id == SEED) & (after.post_pt_root_id != who.EDITED_SEED)]
    gained = after[(before.pre_pt_root_id != SEED) & (after.pre_pt_root_id == who.EDITED_SEED)]
    assert set(lost.post_pt_root_id) == {who.CUT_DENDRITE}
    assert len(lost) > 100
    assert len(gained) > 30
    for rows, piece, reach in ((lost, dendrite, 3_000), (gained, axon, 3_000)):
        places = rows[[f"ctr_pt_position_{axis}" for axis in "xyz"]].to_numpy() * GRID.resolution
        points = np.concatenate([branch.points for branch in piece.branches])
        assert measure(places, points).min(axis=1).max() < reach
    assert len(after[after.pre_pt_root_id == who.EDITED_SEED]) == (
        len(before[before.pre_pt_root_id == SEED]) + len(gained)
    )


def test_each_cell_has_one_nucleus_in_its_soma(folder: Path, built: Sample) -> None:
    """Nuclei are at the somata, one per cell, and one nucleus belongs to no segment."""
    path = folder / who.MINNIE / "tables" / f"{who.NUCLEUS_TABLE}.parquet"
    nuclei = pd.read_parquet(path).set_index("pt_root_id")
    assert nuclei.index.is_unique
    assert nuclei.loc[0, "id"] == who.NUCLEUS_WITHOUT_ROOT
    assert nuclei.loc[SEED, "id"] == who.SEED_NUCLEUS_ID
    for cell in built.cells:
        columns = [f"pt_position_{axis}" for axis in "xyz"]
        place = nuclei.loc[cell.root_id, columns].to_numpy(dtype=float) * GRID.resolution
        assert np.abs(place - cell.soma.centre).max() < ROUNDING
    assert set(nuclei.index) == {0, *(cell.root_id for cell in built.cells)}


def test_the_sandbox_reads_the_sample(folder: Path) -> None:
    """The folder has the documented form: two datastacks with their versions and tables."""
    datasets = read_datasets(folder)
    assert sorted(datasets) == sorted([who.MINNIE, who.SECOND])
    minnie, second = datasets[who.MINNIE], datasets[who.SECOND]
    assert [version.version for version in minnie.versions] == [117, 661, 943, 1300, 1718, 1822]
    assert {version.version for version in minnie.versions if version.status == "EXPIRED"} == {661}
    assert minnie.tables[who.PREDICTION_TABLE].reference_table == who.SYNAPSE_TABLE
    assert [version.version for version in second.versions] == [6, 7]
    assert second.tables[who.SECOND_SYNAPSE_TABLE].voxel_resolution == (8, 8, 33)


def test_the_second_datastack_differs_in_all_that_can_differ(folder: Path) -> None:
    """The second datastack has other table names, another voxel size, other tags and IDs, and no
    table of somata."""
    described = json.loads((folder / who.SECOND / "datastack.json").read_text("utf-8"))
    assert described["info"]["soma_table"] is None
    assert [described["info"][f"viewer_resolution_{axis}"] for axis in "xyz"] == [8, 8, 33]
    tables = folder / who.SECOND / "tables"
    synapses = pd.read_parquet(tables / f"{who.SECOND_SYNAPSE_TABLE}.parquet")
    predictions = pd.read_parquet(tables / f"{who.SECOND_PREDICTION_TABLE}.parquet")
    assert predictions["target_id"].isin(synapses["id"]).all()
    assert set(predictions["tag"]) == set(TAGS.values())
    assert (synapses.post_pt_root_id == who.SECOND_SEED_ROOT_ID).sum() > 200


def test_two_generations_have_equal_tables(built: Sample) -> None:
    """The sample always has the same rows in the same order."""
    again = build_minnie()
    for name, table in built.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_a_sample_is_generated_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call returns the same folder and writes nothing."""
    calls: list[Path] = []
    monkeypatch.setattr(sample_module, "write_sample", calls.append)
    first = ensure_sample(tmp_path)
    assert ensure_sample(tmp_path) == first
    assert len(calls) == 1


def test_a_new_version_of_the_sample_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample of another version is not used, but stays for processes that still use it."""
    monkeypatch.setattr(sample_module, "write_sample", lambda folder: (folder / "x").touch())
    first = ensure_sample(tmp_path)
    monkeypatch.setattr(sample_module, "SAMPLE_VERSION", sample_module.SAMPLE_VERSION + 1)
    second = ensure_sample(tmp_path)
    assert second != first
    assert (first / "x").exists()
    assert (second / "x").exists()


def test_a_failed_generation_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If generating fails halfway, no folder remains, and the next call starts again."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    monkeypatch.setattr(sample_module, "write_sample", fail)
    with pytest.raises(OSError, match="no space left"):
        ensure_sample(tmp_path / "samples")
    assert list((tmp_path / "samples").iterdir()) == []


def test_the_first_of_two_processes_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process finishes first, its sample is used and ours is dropped."""
    samples = tmp_path / "samples"
    place = samples / f"v{sample_module.SAMPLE_VERSION}"

    def other_is_faster(folder: Path) -> None:
        (folder / "ours").touch()
        place.mkdir()
        (place / "theirs").touch()

    monkeypatch.setattr(sample_module, "write_sample", other_is_faster)
    assert ensure_sample(samples) == place
    assert [path.name for path in samples.rglob("*") if path.is_file()] == ["theirs"]
