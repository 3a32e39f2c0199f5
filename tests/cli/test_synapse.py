"""make-link synapse:ID: one synapse between its two cells, over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer import make_link as api_make_link
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.outcome import Outcome


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture(scope="module")
def rows(sample: Path) -> pd.DataFrame:
    """All synapses of the sample at version 1718, with their predictions if any."""
    tables = sample / who.MINNIE / "tables"
    synapses = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet")
    tags = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet")[
        ["target_id", "tag", "value"]
    ]
    return synapses.merge(tags, left_on="id", right_on="target_id", how="left").set_index("id")


@pytest.fixture(scope="module")
def spine(rows: pd.DataFrame) -> int:
    """An input of the seed cell on a spine."""
    own = rows[(rows["post_pt_root_id"] == int(CELL)) & (rows["tag"] == "spine")]
    return int(own.index[7])


def open_inline(done: Outcome) -> dict[str, Any]:
    assert done.code == 0, done.err
    state: dict[str, Any] = orjson.loads(parse_link(done.out.strip()).state or b"")
    return state


def test_both_cells_are_selected_and_the_synapse_is_picked(
    sandbox, make_link: Callable[..., Outcome], rows: pd.DataFrame, spine: int
) -> None:
    """The state selects both cells in their colours, centres on the synapse and selects it."""
    row = rows.loc[spine]
    state = open_inline(make_link(f"synapse:{spine}", "--inline"))
    layers = {layer["name"]: layer for layer in state["layers"]}
    assert list(layers) == ["imagery", "segmentation", "○ synapse: spine"]
    post, pre = str(row["post_pt_root_id"]), str(row["pre_pt_root_id"])
    mesh = layers["segmentation"]
    assert mesh["segments"] == [post, pre]
    assert mesh["segmentColors"] == {post: "#e8e8dc", pre: "#ff8c00"}
    assert (mesh["timestamp"], mesh["selectedAlpha"], mesh["objectAlpha"]) == (
        1772871001190,
        0.3,
        0.6,
    )
    assert state["position"] == [row[f"ctr_pt_position_{axis}"] for axis in "xyz"]
    assert (state["crossSectionScale"], state["projectionScale"]) == (1.5, 4000)
    (note,) = layers["○ synapse: spine"]["annotations"]
    assert note["id"] == str(spine)
    assert note["props"] == [pytest.approx(row["value"]), row["size"]]
    assert note["segments"] == [[pre], [post]]
    assert note["description"] == f"spine {row['value']:.2f}"
    picked = {"annotationId": str(spine), "annotationSource": 0, "annotationSubsource": "default"}
    assert state["selection"] == {"layers": {"○ synapse: spine": picked}}
    assert state["title"] == f"synapse {spine} · minnie65_public v1718 · spine {row['value']:.2f}"


def test_the_record_and_the_summary_say_what_is_known(
    sandbox, make_link: Callable[..., Outcome], rows: pd.DataFrame, spine: int, sample: Path
) -> None:
    """JSON, summary and card name tag, confidence, size, both cells and their types."""
    row = rows.loc[spine]
    views = pd.read_parquet(next((sample / who.MINNIE).rglob(f"{who.CELL_TYPE_VIEW}.parquet")))
    types = views.drop_duplicates("pt_root_id").set_index("pt_root_id")["cell_type"]
    done = make_link(f"synapse:{spine}", "--cell-types", "--output", "json")
    record = json.loads(done.out)
    (told,) = record["synapses"]
    assert told == {
        "id": str(spine),
        "tag": "spine",
        "confidence": pytest.approx(row["value"]),
        "size": row["size"],
        "pre": str(row["pre_pt_root_id"]),
        "post": CELL,
        **{
            f"{side}_type": types[row[f"{side}_pt_root_id"]]
            for side in ("pre", "post")
            if row[f"{side}_pt_root_id"] in types.index
        },
    }
    assert "post_type" in told
    assert record["counts"] == {"synapse": {"spine": 1}}
    assert (record["cell"], record["given"]) == (CELL, f"synapse:{spine}")
    sentence = f"Synapse {spine}: spine, confidence {row['value']:.2f}, {row['size']:,} voxels"
    assert sentence in done.err
    for output in ("markdown", "html", "rst", "latex"):
        card = make_link(f"synapse:{spine}", "--cell-types", "--output", output, "--quiet").out
        card = card.replace("\\", "")
        assert f"Synapse {spine}" in card, output
        assert f"confidence {row['value']:.2f}" in card, output
        assert told["post_type"] in card, output
        assert "Cells by cell type" in card, output
    known = sum(f"{side}_type" in told for side in ("pre", "post"))
    assert f"{known} of 2 cells {'has' if known == 1 else 'have'} a type" in done.err
    assert "partner" not in done.err


def test_an_id_without_a_prediction_is_unlabelled(
    sandbox, make_link: Callable[..., Outcome], rows: pd.DataFrame
) -> None:
    """A synapse without a prediction is shown as unlabelled, without a confidence."""
    synapse = int(rows.index[rows["tag"].isna()][0])
    done = make_link(f"synapse:{synapse}", "--inline")
    state = open_inline(done)
    layer = state["layers"][-1]
    assert layer["name"] == "○ synapse: unlabelled"
    assert [prop["id"] for prop in layer["annotationProperties"]] == ["size"]
    assert "no prediction" in done.err
    back = Link.from_url(done.out.strip())
    assert back.provenance.synapses[0].confidence is None
    assert back.warnings == []


def test_unknown_and_malformed_ids_are_refused(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], spine: int
) -> None:
    """An unknown ID has exit code 3; a malformed one, or options for cells, have 2."""
    make_link("synapse:5").refuses(3, "no synapse 5", "synapses_pni_2")
    for text in ("synapse:", "synapse:0", "synapse:1,234,567", "synapse:2.9e8", "synapse:1.0"):
        make_link(text).refuses(2, "does not name a synapse")
    one = f"synapse:{spine}"
    for words in (["--inputs"], ["--outputs"], ["--partners", 3], ["--tag", "spine"],
                  ["--min-confidence", 0.5], ["--max-confidence", 0.5], ["--review"],
                  ["--min-size", 3], ["--color-by", "confidence"],
                  ["--color-by", "partner-type"]):  # fmt: skip
        make_link(one, *words).refuses(2, words[0])
    make_link(one, CELL, "--together").refuses(2, "cells and single synapses")
    synglancer("compare", one).refuses(2, "is a synapse, but a cell is needed")


def test_several_are_a_link_each_or_one_together(
    sandbox, make_link: Callable[..., Outcome], rows: pd.DataFrame
) -> None:
    """Several IDs give a link each; with --together they give one, with the common cell first."""
    own = rows[(rows["post_pt_root_id"] == int(CELL)) & rows["tag"].notna()]
    first, second = (int(own.index[own["tag"] == tag][0]) for tag in ("shaft", "spine"))
    assert len(make_link(f"synapse:{first}", f"synapse:{second}").lines) == 2
    done = make_link(f"synapse:{first}", f"synapse:{second}", "--together", "--inline")
    state = open_inline(done)
    names = [layer["name"] for layer in state["layers"]]
    assert names[2:] == ["○ synapse: spine", "○ synapse: shaft"]
    assert state["selectedLayer"]["layer"] == "○ synapse: shaft"
    assert state["layers"][1]["segments"][0] == CELL
    back = Link.from_url(done.out.strip())
    assert [one.id for one in back.provenance.synapses] == [first, second]
    assert sorted(back.predictions["id"]) == sorted([first, second])
    assert set(back.predictions["direction"]) == {"synapse"}


def test_others_on_the_same_spine_are_shown(
    sandbox, make_link: Callable[..., Outcome], sample: Path, rows: pd.DataFrame
) -> None:
    """With --multi-input, the other synapses on the spine have their own layer."""
    path = sample / who.MINNIE / "tables" / f"{who.SPINE_TABLE}.parquet"
    spines = pd.read_parquet(path)
    column = "target_id" if "target_id" in spines else "id"
    spines["post"] = rows["post_pt_root_id"].reindex(spines[column]).to_numpy()
    spines = spines[(spines["group_id"] >= 0) & (spines["post"] == int(CELL))]
    group = next(ids for _, ids in spines.groupby("group_id")[column] if len({*ids}) > 1)
    synapse, *others = sorted({int(one) for one in group})
    done = make_link(f"synapse:{synapse}", "--multi-input", "--output", "json")
    record = json.loads(done.out)
    assert record["synapses"][0]["same_spine"] == [str(one) for one in others]
    assert record["synapses"][0]["tag"] == rows.loc[synapse, "tag"]
    back = Link.from_url(record["url"], token=TOKEN)
    shown = back.predictions.groupby("direction")["id"].apply(lambda ids: sorted(map(int, ids)))
    assert shown["synapse"] == [synapse]
    assert shown["same spine"] == others
    assert f"{1 + len(others)} synapses are on a spine with several inputs" in done.err
    assert "among synapse" not in done.err
    assert back.warnings == []
    alone = rows[rows["tag"].eq("shaft") & ~rows.index.isin(spines[column])].index[0]
    record = json.loads(make_link(f"synapse:{alone}", "--multi-input", "--output", "json").out)
    assert "same_spine" not in record["synapses"][0]


def test_it_is_read_back_checked_kept_and_made_again(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], spine: int
) -> None:
    """Link.from_url, table, check and history read the link; repeated, it is the same."""
    done = make_link(f"synapse:{spine}")
    url = done.out.strip()
    back = Link.from_url(url, token=TOKEN)
    assert (back.shown, back.total, back.warnings) == (1, 1, [])
    assert (back.settings.inputs, back.settings.outputs) == (False, False)
    assert back.predictions["id"].tolist() == [spine]
    assert back.opened().name == f"synapse-{spine}"
    assert make_link(f"synapse:{spine}").out.strip() == url
    assert make_link(f"synapse:{spine}", "--no-cache").out.strip() != url
    checked = synglancer("check", url, "--output", "json")
    assert checked.code == 0, checked.out + checked.err
    assert json.loads(checked.out.splitlines()[0])["layers"]["synapse: spine"] == 1
    listed = synglancer("history", f"synapse:{spine}")
    assert f"synapse:{spine}" in listed.out
    assert str(spine) in synglancer("table", url).out
    synglancer("compare", url).refuses(2, "shows a single synapse")


def test_a_damaged_link_is_made_anew_as_a_synapse(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], spine: int,
    tmp_path: Path,
) -> None:  # fmt: skip
    """check --fix makes the link of the synapse again, not a link of one of its cells."""
    state = open_inline(make_link(f"synapse:{spine}", "--inline"))
    for layer in state["layers"]:
        if layer.get("type") == "annotation":
            layer["annotations"] = []
    from synglancer.states.urls import format_inline_link

    bad = format_inline_link(f"{sandbox.origin}/v/1/", orjson.dumps(state))
    file = tmp_path / "note.md"
    file.write_text(f"[a synapse]({bad})\n")
    synglancer("check", file, "--fix", "--server", sandbox.origin)
    (url,) = [part.rstrip(")\n") for part in file.read_text().split("(")[1:]]
    assert url != bad
    back = Link.from_url(url, token=TOKEN)
    assert [one.id for one in back.provenance.synapses] == [spine]


@pytest.mark.parametrize(("version", "live"), [(1718, False), (661, True), (1822, False)])
def test_it_works_at_any_version(
    sandbox, make_link: Callable[..., Outcome], version: int, spine: int, *, live: bool
) -> None:
    """At an expired version, live queries give the synapse and its cells of that time, and a
    warning says so."""
    done = make_link(f"synapse:{spine}", "--version", version, "--output", "json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert (record["version"], record.get("live", False)) == (version, live)
    assert ("has expired" in done.err) == live
    state = Link.from_url(record["url"], token=TOKEN).state
    mesh = state["layers"][1]
    (told,) = record["synapses"]
    assert mesh["segments"] == [told["post"], told["pre"]]


def test_files_and_reports_take_synapses(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome],
    rows: pd.DataFrame, tmp_path: Path,
) -> None:  # fmt: skip
    """A file may hold synapses and cells, and each has its own row in a report."""
    own = rows[(rows["post_pt_root_id"] == int(CELL)) & (rows["tag"] == "soma")].index
    named = [f"synapse:{int(own[0])}", f"synapse:{int(own[1])}", CELL]
    file = tmp_path / "cells.txt"
    file.write_text("\n".join(named) + "\n")
    assert len(make_link(file).lines) == 3
    for ending in ("csv", "html", "md", "tex", "ipynb"):
        out = tmp_path / f"report.{ending}"
        done = synglancer("report", file, "-o", out)
        assert done.code == 0, done.err
        text = out.read_text()
        assert all(name in text for name in named[:2]), ending
    table = pd.read_csv(tmp_path / "report.csv", dtype=str)
    assert table["synapse_soma"].tolist() == ["1", "1", "0"]
    assert table["inputs_soma"].tolist()[:2] == ["0", "0"]
    assert "1 cell and 2 single synapses" in (tmp_path / "report.md").read_text()


def test_files_beside_the_link_are_named_after_the_synapse(
    sandbox, make_link: Callable[..., Outcome], rows: pd.DataFrame, tmp_path: Path
) -> None:
    """Two synapses of the same cells write two different files."""
    own = rows[(rows["post_pt_root_id"] == int(CELL)) & (rows["tag"] == "soma")].index
    first, second = int(own[0]), int(own[1])
    name = str(tmp_path / "{cell}.json")
    make_link(f"synapse:{first}", f"synapse:{second}", "--save-state", name)
    wanted = [f"synapse-{first}.json", f"synapse-{second}.json"]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == sorted(wanted)


def test_python_takes_a_synapse_too(sandbox, spine: int) -> None:
    """make_link("synapse:ID") gives a link whose counts and table are those of the synapse."""
    link = api_make_link(f"synapse:{spine}", server=sandbox.origin, background="white")
    assert link.counts.to_dict("records") == [{"direction": "synapse", "tag": "spine", "count": 1}]
    assert f"synapse {spine}" in repr(link)
    again = api_make_link([f"synapse:{spine}"], server=sandbox.origin, background="white")
    assert again.state_sha256 == link.state_sha256
