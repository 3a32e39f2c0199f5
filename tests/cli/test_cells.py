"""Cells given in every form that make-link accepts, and their numbers of synapses."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = (str(partner.root_id) for partner in who.PARTNERS[:2])
SOMA_VOXEL = "186000,134000,20900"
NEWER = "864691136999999001"


def ask(make_link, *words: object) -> dict:
    made = make_link(*words, "--output", "json")
    assert made.code == 0, made.err
    return json.loads(made.out)


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.mark.parametrize(
    ("given", "until", "why"),
    [
        (who.OUTDATED_ONE_SUCCESSOR, "2025-09-18", "only"),
        (who.OUTDATED_SPLIT, "2024-06-05", "nucleus"),
    ],
)
def test_an_outdated_root_id_is_followed(own_sandbox, make_link, given, until, why) -> None:
    """A certain successor is shown and reported: given ID, end of validity, replacement; once in
    the link. It is certain if it is the only one, or if it holds the nucleus of the given root ID.
    """
    made = make_link(given, "--output", "json")
    record = json.loads(made.out)
    assert (record["cell"], record["given"], record["shown"]) == (CELL, str(given), 3392)
    sentence = record["warnings"][0]
    for part in (str(given), f"until {until}", f"successor {CELL}", "used instead"):
        assert part in sentence
        assert part in made.err
    followed = record["followed"]
    assert (followed["given"], followed["used"], followed["why"]) == (str(given), CELL, why)
    before = len(own_sandbox.requests)
    again = make_link(given, "--quiet")
    assert len(own_sandbox.requests) - before == 1
    assert again.out.strip() == record["url"]
    assert "used instead" in again.err, "not even --quiet leaves it unsaid"
    assert "autapse" not in again.err, "an ordinary note"


def test_strict_refuses_to_follow(sandbox, make_link) -> None:
    """With --strict, no other root ID is shown than the given one, even if such a link was made
    before."""
    for _ in range(2):
        make_link(who.OUTDATED_ONE_SUCCESSOR, "--strict").refuses(3, CELL, "--strict")
        make_link(who.OUTDATED_ONE_SUCCESSOR)
    assert ask(make_link, CELL, "--strict")["cell"] == CELL


def test_several_candidates_are_listed(own_sandbox, make_link) -> None:
    """If two cells have parts of a root ID and a nucleus each, both are named and none is shown."""
    make_link(who.OUTDATED_MERGED_CELLS).refuses(3, FIRST, SECOND, "nucleus 264901", "nucleus:ID")
    assert not [request for request in own_sandbox.requests if request.path.endswith("/post")]


def rewrite_roots(sample: Path, folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """Copy the sample's datastack with another history of root IDs."""
    place = folder / "data"
    place.mkdir()
    for item in (sample / who.MINNIE).iterdir():
        if item.name != "roots.parquet":
            (place / item.name).symlink_to(item)
    columns = ["root_id", "created", "expired", "successors"]
    pd.DataFrame(rows, columns=columns).to_csv(place / "roots.csv", index=False)
    return place


def test_a_newer_root_id_is_followed_back(options, sample, tmp_path, make_link, monkeypatch):
    """A root ID that was created after the version is traced back to its predecessor."""
    rows = [
        (CELL, "2020-06-01T00:00:00Z", "2026-05-01T00:00:00Z", NEWER),
        (NEWER, "2026-05-01T00:00:00Z", "", ""),
    ]
    folder = rewrite_roots(sample, tmp_path, rows)
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    with Sandbox(replace(options, data=folder)) as sandbox:
        record = ask(make_link, NEWER, "--server", sandbox.origin)
    assert record["cell"] == CELL
    assert "was created on 2026-05-01; its predecessor" in record["warnings"][0]
    assert "valid_until" not in record["followed"], "it is valid still"


def test_another_cells_nucleus_is_no_proof(options, sample, tmp_path, make_link, monkeypatch):
    """A fragment is not followed to a cell with a nucleus that only one of its parts was merged
    into."""
    fragment, piece = "864691136999999002", str(who.SPLIT_FRAGMENT)
    rows = [
        # The cell's own line comes first: the nucleus was in it before the fragment joined it.
        (NEWER, "2020-06-01T00:00:00Z", "2024-01-01T00:00:00Z", CELL),
        (fragment, "2020-06-01T00:00:00Z", "2025-01-01T00:00:00Z", f"{CELL} {piece}"),
        (CELL, "2024-01-01T00:00:00Z", "", ""),
        (piece, "2025-01-01T00:00:00Z", "", ""),
    ]
    folder = rewrite_roots(sample, tmp_path, rows)
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    with Sandbox(replace(options, data=folder)) as sandbox:
        make_link(fragment, "--server", sandbox.origin).refuses(3, CELL, piece, "several cells")


def test_a_nucleus_names_its_cell(sandbox, make_link) -> None:
    """nucleus:ID gives the link of its cell, without a second upload."""
    record = ask(make_link, f"nucleus:{who.SEED_NUCLEUS_ID}")
    assert (record["cell"], record["given"]) == (CELL, f"nucleus:{who.SEED_NUCLEUS_ID}")
    assert ask(make_link, CELL)["url"] == record["url"]


@pytest.mark.parametrize(
    ("nucleus", "said"),
    [(5, "no row for nucleus 5"), (who.NUCLEUS_WITHOUT_ROOT, "not in any cell")],
)
def test_a_nucleus_without_a_cell_is_refused(sandbox, make_link, nucleus, said) -> None:
    """A nucleus that does not exist, or is in no cell, has exit code 3 and its own message."""
    make_link(f"nucleus:{nucleus}").refuses(3, said)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of packages that cloud-volume imports
@pytest.mark.filterwarnings("ignore::FutureWarning")  # likewise, with Python 3.10
@pytest.mark.parametrize("given", [SOMA_VOXEL, "744000,536000,836000@nm"])
def test_a_position_names_the_cell_there(sandbox, make_link, given) -> None:
    """A position in voxels or nm is looked up in the segmentation."""
    assert ask(make_link, given)["cell"] == CELL


def test_a_position_needs_an_extra_and_says_so(own_sandbox, make_link, monkeypatch) -> None:
    """Without cloud-volume, the hint says how to install it."""
    monkeypatch.setitem(sys.modules, "cloudvolume", None)
    make_link(SOMA_VOXEL).refuses(2, "not installed", "synglancer[positions]")


def test_a_link_names_the_cells_that_are_selected(sandbox, make_link) -> None:
    """A stored link gives its cell; an inline link gives a link for each selected segment."""
    stored = make_link(FIRST).out.strip()
    assert ask(make_link, stored)["cell"] == FIRST
    layers = [
        {"type": "segmentation", "visible": False, "segments": [SECOND]},
        {"type": "segmentation", "source": "x", "segments": [CELL, f"!{SECOND}", FIRST]},
    ]
    inline = "https://spelunker.cave-explorer.org/#!" + quote(json.dumps({"layers": layers}))
    made = make_link(inline, "--output", "json")
    assert [json.loads(line)["cell"] for line in made.lines] == [CELL, FIRST]


@pytest.mark.parametrize("state", [{"layers": []}, {"layers": [{"type": "segmentation"}]}])
def test_a_link_without_a_selection_is_refused(sandbox, make_link, state) -> None:
    """A link without a selected segment names no cell; exit code 3."""
    inline = "https://spelunker.cave-explorer.org/#!" + quote(json.dumps(state))
    make_link(inline).refuses(3, "No cell is selected")


def test_a_link_with_a_segment_that_is_no_id_is_refused(sandbox, make_link) -> None:
    """A link that selects a number of 30 digits beside a cell is not read without it."""
    state = {"layers": [{"type": "segmentation", "source": "x", "segments": [CELL, "9" * 30]}]}
    inline = "https://spelunker.cave-explorer.org/#!" + quote(json.dumps(state))
    make_link(inline).refuses(3, "The link selects 1 segment whose ID is not a 64-bit ID.")


def test_the_token_goes_to_no_other_host(
    sandbox, options, loaded_sample, make_link, tmp_path
) -> None:
    """A foreign link is fetched from its own host without the token."""
    closed = replace(options, states=tmp_path / "other.sqlite", open_states=False)
    with Sandbox(closed, loaded_sample) as stranger:
        url = f"https://a.b/#!{stranger.origin}/nglstate/api/v1/1234567890123456"
        made = make_link(url)
        asked = [item for item in stranger.requests if item.path.startswith("/nglstate")]
    made.refuses(4, "asks for a login, but the token is only for", sandbox.origin)
    assert {item.status for item in asked} <= {302, 401}, "the same token would be let in there"
    lost = make_link(url.replace(stranger.origin, sandbox.origin))
    lost.refuses(4, "The link's state cannot be read", "its state still exists")


def test_files_and_stdin_hold_one_cell_a_line(sandbox, make_link, tmp_path, monkeypatch) -> None:
    """A file and standard input give one line per cell, in order; a wrong line is reported
    first."""
    file = tmp_path / "cells.txt"
    file.write_text(f"{CELL}\n# a comment\nnucleus:{who.PARTNERS[0].nucleus_id}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECOND}\n"))
    made = make_link(file, "-", "--output", "json")
    assert [json.loads(line)["cell"] for line in made.lines] == [CELL, FIRST, SECOND]
    file.write_text(f"{CELL}\nabc\n")
    make_link(file).refuses(2, "line 2: 'abc' is not a root ID")


def test_with_total_counts_all_synapses(own_sandbox: Sandbox, make_link, sample) -> None:
    """--with-total also counts all synapses in the table, with two more requests; it is off by
    default."""
    synapses = pd.read_parquet(sample / who.MINNIE / "tables" / f"{who.SYNAPSE_TABLE}.parquet")
    expected = {
        "inputs": int((synapses["post_pt_root_id"] == int(CELL)).sum()),
        "outputs": int((synapses["pre_pt_root_id"] == int(CELL)).sum()),
    }
    assert "all_synapses" not in ask(make_link, CELL)
    before = len(own_sandbox.requests)
    made = make_link(CELL, "--with-total", "--no-cache", "--output", "json")
    assert len(own_sandbox.requests) - before == 10
    record = json.loads(made.out)
    assert record["all_synapses"] == expected
    assert "3,392 synapses with a prediction, shown; none filtered out." in made.err
    assert f"{expected['inputs']:,} inputs, {expected['outputs']:,} outputs" in made.err
    record = ask(make_link, CELL, "--with-total", "--inputs", "--min-confidence", 0.9)
    assert record["all_synapses"] == {"inputs": expected["inputs"]}


def test_the_summary_says_that_data_are_synthetic(sandbox, make_link) -> None:
    """The first line of the summary says that the sandbox's data are synthetic."""
    assert make_link(CELL).err.splitlines()[0].endswith("(2026-03-07), synthetic data")


def test_autapses_are_named(sandbox, make_link) -> None:
    """A synapse of the cell onto itself is shown in each direction, and a warning says so."""
    record = ask(make_link, CELL)
    assert [text for text in record["warnings"] if "autapse" in text]
    assert not [text for text in ask(make_link, CELL, "--inputs")["warnings"] if "autapse" in text]
