"""make-link against the sandbox: its output, its cost, and its files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pandas as pd
import pytest

from cli.outcome import CELL, TOKEN
from synglancer import make_link as api_make_link
from synglancer.cli.commands.link import _write
from synglancer.columns import DTYPES
from synglancer.states.layer_names import format_layer_name

if TYPE_CHECKING:
    from cave_sandbox.server import Sandbox

RECORD_KEYS = {
    "cell", "given", "url", "state_url", "state_id", "state_sha256", "datastack", "version",
    "timestamp", "table", "counts", "shown", "total", "filters", "warnings", "elapsed_s",
}  # fmt: skip


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


def read_table(sample: Path) -> pd.DataFrame:
    """Join the sample's tables without our own code, as the reference."""
    tables = sample / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet")
    predictions = pd.read_parquet(tables / "synapse_target_predictions_ssa_v2.parquet")
    return synapses.merge(predictions, left_on="id", right_on="target_id", suffixes=("", "_ref"))


def fetch_state(link: str) -> dict:
    import requests

    return requests.get(link.split("#!")[1], timeout=30).json()


def test_prints_one_link_and_nothing_else_on_stdout(sandbox: Sandbox, make_link) -> None:
    """stdout is the link, which the sandbox's viewer opens; stderr has the counts."""
    made = make_link(CELL)
    assert made.code == 0
    assert made.lines == [made.out.strip()]
    assert made.out.startswith(f"{sandbox.origin}/v/synglancer/#!{sandbox.origin}/nglstate/api/v1/")
    assert "3,076" in made.err
    assert "316" in made.err


def test_every_synapse_is_in_the_state_with_its_own_values(sandbox, make_link, sample) -> None:
    """Each annotation equals its row in the tables: ID, layer, position in nm, partners, size."""
    state = fetch_state(make_link(CELL).out.strip())
    table = read_table(sample)
    expected, shown = {}, {}
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        for row in table[table[column] == int(CELL)].itertuples():
            point = (
                row.ctr_pt_position_x * 4,
                row.ctr_pt_position_y * 4,
                row.ctr_pt_position_z * 40,
            )
            key = (format_layer_name(direction, str(row.tag)), str(row.id))
            expected[key] = (
                point, str(row.pre_pt_root_id), str(row.post_pt_root_id), float(row.size),
                pytest.approx(row.value, abs=1e-7),
            )  # fmt: skip
    for layer in state["layers"][2:]:
        for note in layer["annotations"]:
            (pre,), (post,) = note["segments"]
            confidence, size = note["props"]
            key = (layer["name"], note["id"])
            shown[key] = (tuple(note["point"]), pre, post, float(size), confidence)
    assert shown == expected
    assert len(shown) == 3076 + 316


def test_state_is_canonical_and_safe(sandbox, make_link) -> None:
    """The stored bytes are canonical JSON, and contain no integer that a viewer would round."""
    state = fetch_state(make_link(CELL).out.strip())
    record = json.loads(make_link(CELL, "--output", "json").out)
    import hashlib

    canonical = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
    assert hashlib.sha256(canonical).hexdigest() == record["state_sha256"]

    def integers(value: object):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from integers(item)
        elif isinstance(value, int):
            yield value

    assert max(integers(state)) <= 2**53 - 1
    assert state["synglancer"]["cell"] == CELL


def test_json_line_has_the_agreed_keys(sandbox, make_link) -> None:
    """--output json prints one object per line, with the documented keys and 64-bit IDs as
    strings."""
    line = make_link(CELL, "--output", "json", "--quiet")
    record = json.loads(line.out)
    assert set(record) == RECORD_KEYS
    assert line.err == ""
    assert (record["cell"], record["given"], record["version"]) == (CELL, CELL, 1718)
    assert record["timestamp"] == "2026-03-07T08:10:01.190228Z"
    assert record["state_url"].endswith("/" + record["state_id"])
    assert list(record["counts"]["inputs"]) == sorted(record["counts"]["inputs"])
    assert sum(record["counts"]["inputs"].values()) == 3076
    assert (record["shown"], record["total"], record["filters"]) == (3392, 3392, {})


def test_requests_are_few(own_sandbox: Sandbox, make_link, sample) -> None:
    """8 requests for the first link on a machine, 5 for the next cell, 1 for a repeated link."""
    table = read_table(sample)
    other = table["post_pt_root_id"].value_counts().index.drop(int(CELL))[0]
    counts, links = [], []
    for cell in (CELL, other, CELL):
        before = len(own_sandbox.requests)
        links.append(make_link(cell).out)
        counts.append(len(own_sandbox.requests) - before)
    assert counts == [8, 5, 1]
    assert links[0] == links[2]


def test_a_repeated_question_imports_nothing_heavy(own_sandbox, make_link) -> None:
    """A repeated question loads none of caveclient, pandas, pyarrow, numpy and nglui."""
    first = make_link(CELL).out
    code = (
        "import sys\n"
        "from synglancer.cli import build_make_link, run\n"
        f"run(build_make_link, ['{CELL}'])\n"
        "heavy = {'caveclient', 'pandas', 'pyarrow', 'numpy', 'nglui', 'neuroglancer'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{first}[]\n"


def test_a_lost_state_is_uploaded_again(own_sandbox, make_link, options) -> None:
    """If the server has lost the state, the same question gives a new link that works."""
    import sqlite3

    first = make_link(CELL).out
    database = sqlite3.connect(options.states)
    with database:
        for (table,) in database.execute(
            "select name from sqlite_master where type='table'"
        ).fetchall():
            if not table.startswith("sqlite_"):
                database.execute(f'delete from "{table}"')
    database.close()
    second = make_link(CELL).out
    assert second != first
    assert fetch_state(second.strip())["synglancer"]["cell"] == CELL


def test_filters_count_what_they_hide(sandbox, make_link, sample) -> None:
    """Filters keep exactly the rows that pass, and the others are counted."""
    record = json.loads(
        make_link(
            CELL, "--inputs", "--tag", "spine", "--tag", "soma", "--min-confidence", 0.9,
            "--min-size", 500, "--output", "json",
        ).out
    )  # fmt: skip
    table = read_table(sample)
    mine = table[table["post_pt_root_id"] == int(CELL)]
    passing = mine[
        mine["tag"].isin(["spine", "soma"])
        & (mine["value"].astype("float32") >= pd.Series([0.9], dtype="float32")[0])
        & (mine["size"] >= 500)
    ]
    assert record["counts"] == {"inputs": passing["tag"].value_counts().sort_index().to_dict()}
    assert (record["shown"], record["total"]) == (len(passing), len(mine))
    assert record["filters"] == {"min_confidence": 0.9, "min_size": 500.0, "tag": ["soma", "spine"]}


def test_unlabelled_synapses_have_layers_of_their_own(sandbox, make_link, sample) -> None:
    """--with-unlabelled adds exactly the synapses without a prediction."""
    link = make_link(CELL, "--with-unlabelled").out.strip()
    layers = {layer["name"]: layer for layer in fetch_state(link)["layers"]}
    tables = sample / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet")
    labelled = set(read_table(sample)["id"])
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        mine = set(synapses.loc[synapses[column] == int(CELL), "id"]) - labelled
        shown = {
            note["id"] for note in layers[format_layer_name(direction, "unlabelled")]["annotations"]
        }
        assert shown == {str(synapse) for synapse in mine}
        assert mine


def test_another_datastack_works_by_options_alone(sandbox, make_link, sample) -> None:
    """Another resolution, table, version and tags need only options."""
    folder = sample / "sandbox_second"
    stack = json.loads((folder / "datastack.json").read_text())
    table = next(n for n, t in stack["tables"].items() if t["schema"] == "reference_tag_float")
    synapses = pd.read_parquet(
        folder / "tables" / f"{stack['tables'][table]['reference_table']}.parquet"
    )
    predictions = pd.read_parquet(folder / "tables" / f"{table}.parquet")
    joined = synapses.merge(predictions, left_on="id", right_on="target_id", suffixes=("", "_ref"))
    cell = joined["post_pt_root_id"].value_counts().index[0]
    made = make_link(cell, "--datastack", "sandbox_second", "--table", table, "--output", "json")
    record = json.loads(made.out)
    mine = joined[joined["post_pt_root_id"] == cell]
    assert record["counts"]["inputs"] == mine["tag"].value_counts().sort_index().to_dict()
    assert record["version"] == stack["versions"][-1]["version"]
    state = fetch_state(record["url"])
    scale = [stack["info"][f"viewer_resolution_{axis}"] * 1e-9 for axis in "xyz"]
    assert [state["dimensions"][axis][0] for axis in "xyz"] == pytest.approx(scale)


def test_inline_link_carries_its_state_and_uploads_nothing(own_sandbox: Sandbox, make_link) -> None:
    """--inline needs no state server: the state in the link is the one that would be stored."""
    record = json.loads(make_link(CELL, "--inline", "--tag", "soma", "--output", "json").out)
    assert (record["state_url"], record["state_id"]) == (None, None)
    assert not [request for request in own_sandbox.requests if "/nglstate/" in request.path]
    stored = make_link(CELL, "--tag", "soma").out.strip()
    from synglancer.states.urls import parse_link

    assert orjson.loads(parse_link(record["url"]).state) == fetch_state(stored)


@pytest.mark.parametrize("site", [None, "spelunker"])
def test_inline_link_warns_of_viewers_that_lose_layers(sandbox, make_link, site) -> None:
    """A warning says how viewers may damage an inline link, except for the sandbox's own viewer."""
    words = [CELL, "--output", "json", *([] if site is None else ["--site", site])]
    short, inline = (
        [text for text in json.loads(make_link(*words, *how).out)["warnings"] if "lose" in text]
        for how in ([], ["--inline"])
    )
    assert (len(short), len(inline)) == (0, 0 if site is None else 1)


def test_saved_state_is_the_stored_one(own_sandbox, make_link, tmp_path) -> None:
    """--save-state writes the state that the link opens."""
    made = make_link(CELL, "--save-state", tmp_path / "{cell}.json")
    assert orjson.loads((tmp_path / f"{CELL}.json").read_bytes()) == fetch_state(made.out.strip())


def test_several_cells_give_a_line_each_and_skip_unknown_ones(sandbox, make_link, sample) -> None:
    """Cells keep their order; an unknown one is named on stderr, and the exit code is 5."""
    other = read_table(sample)["post_pt_root_id"].value_counts().index.drop(int(CELL))[0]
    made = make_link(CELL, "864691135999999001", other, "--output", "json")
    assert made.code == 5
    assert [json.loads(line)["cell"] for line in made.lines] == [CELL, str(other)]
    assert "864691135999999001 is not the root ID of a cell" in made.err


def test_receipts_are_kept_without_the_token(own_sandbox, make_link) -> None:
    """Every link has a line in the history; the token is in none of our files."""
    import os

    make_link(CELL)
    make_link(CELL)
    folder = Path(os.environ["SYNGLANCER_DATA_DIR"])
    receipts = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [receipt["cell"] for receipt in receipts] == [CELL, CELL]
    for base in (folder, Path(os.environ["SYNGLANCER_CACHE_DIR"])):
        for path in base.rglob("*"):
            assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_nothing_is_written_to_caveclients_server_map(own_sandbox, make_link) -> None:
    """caveclient's map of servers in the user's home is never touched."""
    make_link(CELL)
    assert not list(Path.home().rglob("cave_datastack_to_server_map.json"))


def test_python_gives_the_same_link_with_tables(sandbox: Sandbox) -> None:
    """make_link returns url, state, counts and predictions; a repeated call returns the same
    link."""
    link = api_make_link(int(CELL), server=sandbox.origin)
    assert link.state["title"]
    assert link.counts["count"].sum() == 3392
    assert {
        name: str(kind).replace("object", "str") for name, kind in link.predictions.dtypes.items()
    } == DTYPES
    assert len(link.predictions) == 3392
    again = api_make_link(CELL, server=sandbox.origin)
    assert again.url == link.url == str(link)
    pd.testing.assert_frame_equal(again.predictions, link.predictions)
    assert "3,392 of 3,392" in link._repr_html_()


def test_sandbox_option_starts_serves_and_stops(make_link, synglancer) -> None:
    """--sandbox starts the embedded CAVE; status, links, its own source and stop work together."""
    made = make_link(CELL, "--sandbox")
    assert made.code == 0, made.err
    try:
        origin = synglancer("sandbox", "status").out.strip()
        assert synglancer("sandbox", "start").out.strip() == origin
        assert made.out.startswith(f"{origin}/v/")
        assert fetch_state(made.out.strip())["synglancer"]["cell"] == CELL
        on_source = make_link(CELL, "--sandbox", "--source", "sample", "--output", "json")
        assert on_source.code == 0, on_source.err
        told = json.loads(on_source.out)
        assert told["source"]["address"].startswith(f"{origin}/published/")
        assert told["shown"] == 3392
        again = make_link(CELL, "--sandbox", "--source", "sample", "--output", "json")
        assert json.loads(again.out)["source"] == told["source"]
    finally:
        assert synglancer("sandbox", "stop").code == 0
    assert synglancer("sandbox", "status").code == 4
    synglancer("sandbox", "stop").refuses(2, "The sandbox is not running.")


def test_a_tag_that_no_synapse_has_is_named(sandbox, make_link) -> None:
    """If one of several tags is mistyped, it is named, with the existing tags."""
    tags = [word for tag in ("soma", "spnie", "spnie") for word in ("--tag", tag)]
    record = json.loads(make_link(CELL, *tags, "--output", "json").out)
    told = (
        "No synapse here has the tag 'spnie'. Did you mean 'spine'? The tags are 'shaft', 'soma', "
        "'spine'."
    )
    assert record["warnings"].count(told) == 1


EMPTY = [
    (("--tag", "Spine"), "No synapse here has the tag 'Spine'. Did you mean 'spine'? The tags are"),
    (("--tag", "bogus"), "No synapse here has the tag 'bogus'. The tags are 'shaft', 'soma', 's"),
    (("--min-size", "1e30"), "No synapse passes the filters; 3,392 are filtered out."),
]


@pytest.mark.parametrize(("words", "told"), EMPTY)
def test_an_empty_link_is_never_quiet(sandbox, make_link, words, told: str) -> None:
    """Even with --quiet, a warning says that a tag does not exist or that nothing is shown, also
    for a cached link; ordinary notes, such as those on autapses, are not printed."""
    for _ in range(2):
        made = make_link(CELL, *words, "--quiet")
        assert made.code == 0
        assert told in made.err
        assert made.err.count("No synapse passes the filters") == 1
        assert "autapse" not in made.err
    loud = make_link(CELL, *words).err
    assert "autapse" not in loud, "the autapse is not shown"
    assert loud.count("filtered out") == 1


def test_an_html_card_needs_no_charset(sandbox, make_link) -> None:
    """An HTML card is ASCII, so its signs and bars are right on a page without a charset."""
    import html

    card = make_link(CELL, "--output", "html").out
    assert card.isascii()
    assert {"●", "○", "█"} <= set(html.unescape(card))


def test_the_summary_has_the_order_of_the_layers(sandbox, make_link) -> None:
    """Summary and cards list tags in the order of the layers: spine, shaft, soma."""
    made = make_link(CELL, "--output", "markdown")
    assert made.err.splitlines()[1].split() == ["spine", "shaft", "soma", "all"]
    tags = [line.split(" | ")[1] for line in made.lines if line.startswith("| ● inputs")]
    assert tags == ["spine", "shaft", "soma"]


@pytest.mark.parametrize("opens", [True, False])
def test_the_link_is_opened_where_there_is_a_browser(sandbox, make_link, monkeypatch, opens):
    """--open passes the printed link to the browser; if there is none, the link is printed, and a
    message says so."""
    given = []
    monkeypatch.setattr("webbrowser.open", lambda url: given.append(url) or opens)
    made = make_link(CELL, "--tag", "soma", "--open", "--quiet")
    assert (made.code, [made.out.strip()]) == (0, given)
    told = ["No browser could be opened on this machine.",
            "Copy the link into a browser, or leave out --open."]  # fmt: skip
    assert made.err.strip().splitlines() == ([] if opens else told)


def test_a_file_that_the_system_refuses_does_not_lose_the_link(capsys):
    """An error of the system while another file is written is told in two sentences, with exit
    code 4."""

    def refuse() -> None:
        raise OSError(28, "No space left on device")

    assert _write(refuse) == 4
    said = "The link was made, but another file cannot be written: No space left on device."
    assert capsys.readouterr().err.splitlines() == [
        said, "Free some space or choose another folder, then run the command again.",
    ]  # fmt: skip
