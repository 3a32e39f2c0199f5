"""Links on a published source: what they show, what they request, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN
from publish.sample import TABLE, describe_sandbox, edit_manifest, publish_sample, serve
from publish.tables import make_rows, run, write_parquet
from synglancer import Link
from synglancer.errors import BadAnswerError
from synglancer.links.warnings import explain_size
from synglancer.publish.serving import _Handler
from synglancer.python.boundary import say_in_python
from synglancer.settings import Settings
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDS = ("annotations", "annotationProperties", "annotationRelationships", "source")
FOLLOWS = ("filterBySegmentation", "ignoreNullSegmentFilter", "source")


@pytest.fixture(scope="module")
def published(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's table, published without CAVE's description."""
    folder = tmp_path_factory.mktemp("published") / "out"
    publish_sample(sample, folder)
    return folder


@pytest.fixture
def folder(published: Path, sandbox: Sandbox, tmp_path: Path) -> Path:
    """A copy of it, with the running sandbox's description in its manifest."""
    copy = tmp_path / "source"
    shutil.copytree(published, copy)
    edit_manifest(copy, **describe_sandbox(sandbox.origin))
    return copy


@pytest.fixture
def source(folder: Path) -> Iterator[str]:
    with serve(folder) as address:
        yield address


def ask(make_link: Any, *words: object) -> dict[str, Any]:
    made = make_link(*words, "--output", "json")
    assert made.code == 0, made.err
    record = json.loads(made.out)
    state = parse_link(record["url"]).state
    record["state"] = json.loads(state) if state else None
    return record


def list_synapses(record: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in record["state"]["layers"] if one["type"] == "annotation"}


def test_a_link_on_a_source_looks_like_one_that_holds_its_synapses(sandbox, source, make_link):
    """Counts, names, colours, sliders and the palette are those of an ordinary link; only the rows
    are elsewhere."""
    own, on_source = ask(make_link, CELL, "--inline"), ask(make_link, CELL, "--source", source)
    for name in ("cell", "datastack", "version", "timestamp", "table", "counts", "shown", "total"):
        assert own[name] == on_source[name], name
    held, follow = list_synapses(own), list_synapses(on_source)
    assert [*held] == [*follow]
    for name, layer in held.items():
        there = follow[name]
        plain = {key: value for key, value in layer.items() if key not in {*HOLDS, "shader"}}
        assert plain == {key: there[key] for key in there if key not in {*FOLLOWS, "shader"}}
        shaders = [one["shader"].splitlines() for one in (layer, there)]
        code = [
            [line for line in lines if not line.startswith("// synglancer")] for lines in shaders
        ]
        assert code[0] == code[1]
        folder = name.rpartition(" ")[2]
        assert there["source"] == [{"url": f"precomputed://{source}/{folder}"}]
        assert there["filterBySegmentation"] == ["post" if "in:" in name else "pre"]
        assert there["ignoreNullSegmentFilter"] is False
    for key in ("layout", "title", "toolPalettes", "dimensions", "projectionBackgroundColor"):
        assert own["state"][key] == on_source["state"][key], key
    assert len(on_source["url"]) < 16_000
    assert on_source["source"] == on_source["state"]["synglancer"]["source"]
    assert on_source["source"]["address"] == source


def test_a_cell_that_the_source_has_costs_cave_nothing(sandbox, source, make_link):
    """No request is sent to CAVE, for one cell, for several, or for a repeated one."""
    first, second = (str(one.root_id) for one in who.PARTNERS[:2])
    sandbox.take_requests()
    assert make_link(CELL, first, second, "--source", source).code == 0
    assert make_link(CELL, first, "--together", "--source", source).code == 0
    assert sandbox.take_requests() == []


@pytest.fixture
def asked(monkeypatch) -> list[dict[str, str]]:
    """The headers of each request that a served source gets."""
    asked: list[dict[str, str]] = []
    answer = _Handler.do_GET

    def note(self: Any) -> None:
        asked.append(dict(self.headers))
        answer(self)

    monkeypatch.setattr(_Handler, "do_GET", note)
    return asked


def test_the_source_gets_few_requests_and_no_token(sandbox, source, make_link, asked):
    """A cell costs at most 23 requests, without a login: 3 for each of six layers, and 5."""
    assert make_link(CELL, "--source", source).code == 0
    assert 6 < len(asked) <= 23
    assert TOKEN not in str(asked)


def test_partners_of_a_large_cell_cost_tens_of_requests(
    sandbox, source, make_link, synglancer, tmp_path, asked
):
    """Partners, table and report of 3,392 synapses read synapses with near IDs together."""
    made = make_link(CELL, "--source", source, "--partners", 3)
    url = made.out.strip()
    commands = [
        lambda: made,
        lambda: synglancer("table", url, "-o", tmp_path / "table.csv"),
        lambda: synglancer("report", CELL, "--source", source, "-o", tmp_path / "report.md"),
    ]
    for command in commands:
        assert command().code == 0
        assert 12 < len(asked) <= 60, len(asked)
        asked.clear()


def test_cells_of_a_batch_share_their_requests(sandbox, source, make_link, tmp_path, asked):
    """Four cells cost less than twice as many requests as one."""
    cells = [CELL, *(str(one.root_id) for one in who.PARTNERS[:3])]
    (tmp_path / "cells.txt").write_text("\n".join(cells))
    assert make_link(CELL, "--source", source).code == 0
    alone = len(asked)
    asked.clear()
    assert make_link(tmp_path / "cells.txt", "--source", source).code == 0
    assert len(asked) < 2 * alone


def test_a_server_that_a_manifest_names_gets_no_token(
    sandbox, folder, make_link, options, loaded_sample
):
    """Whatever a manifest says, only the user's own server is asked about a cell without rows."""
    with Sandbox(options, loaded_sample) as other:
        edit_manifest(folder, **describe_sandbox(other.origin))
        with serve(folder) as address:
            made = make_link(who.OUTDATED_ONE_SUCCESSOR, "--source", address)
        assert made.code == 0, made.err
        assert other.take_requests() == []
    assert sandbox.take_requests() != []


def test_an_older_manifest_is_completed_by_one_question(sandbox, published, make_link):
    """If the manifest names no images, CAVE's info service is queried once, and the answer
    cached."""
    with serve(published) as address:
        made = ask(make_link, CELL, "--source", address)
        assert [item.path for item in sandbox.take_requests()] == [
            "/info/api/v2/datastack/full/minnie65_public"
        ]
        assert made["state"]["layers"][0]["source"][0]["url"].endswith("/minnie65_public/em")


def test_the_state_is_stored_where_a_short_link_is_wanted(sandbox, source, make_link):
    """--upload gives a short link to the same state, and the same link when repeated."""
    inline = ask(make_link, CELL, "--source", source)
    short = ask(make_link, CELL, "--source", source, "--upload")
    assert len(short["url"]) < 200
    assert short["state_sha256"] == inline["state_sha256"]
    assert ask(make_link, CELL, "--source", source, "--upload")["url"] == short["url"]
    make_link(CELL, "--source", source, "--upload", "--inline").refuses(2, "--inline", "--upload")


def test_directions_tags_and_sliders(sandbox, source, make_link):
    """--inputs and --tag leave layers out; --min-confidence sets where the sliders start."""
    own = ask(make_link, CELL, "--inline", "--inputs", "--tag", "spine", "--tag", "soma")
    made = ask(make_link, CELL, "--source", source, "--inputs", "--tag", "spine", "--tag", "soma")
    assert [*list_synapses(made)] == ["● in: spine", "● in: soma"]
    for name in ("counts", "shown", "total", "filters"):
        assert made[name] == own[name]
    soft = ask(make_link, CELL, "--inline", "--min-confidence", 0.9, "--soft-filter")
    made = ask(make_link, CELL, "--source", source, "--min-confidence", 0.9)
    for name in ("counts", "shown", "total", "filters"):
        assert made[name] == soft[name]
    hidden = made["state"]["synglancer"]["hidden"]
    assert hidden == soft["state"]["synglancer"]["hidden"]
    assert all(
        one["shaderControls"] == {"min_confidence": 0.9} for one in list_synapses(made).values()
    )
    assert any("sliders start" in warning for warning in made["warnings"])
    assert any("hidden at first" in warning for warning in made["warnings"])


def test_partners_are_a_layer_of_their_own(sandbox, source, make_link):
    """The strongest partners are the same as in CAVE's tables; synapses do not follow them."""
    own = ask(make_link, CELL, "--inline", "--partners", 3)
    made = ask(make_link, CELL, "--source", source, "--partners", 3)
    recorded = own["state"]["synglancer"]["partners"]
    assert made["state"]["synglancer"]["partners"] == recorded
    layers = {one["name"]: one for one in made["state"]["layers"]}
    assert layers["partners"]["segments"] == [root for root, _ in recorded]
    assert layers["segmentation"]["segments"] == [CELL]
    links = {one["linkedSegmentationLayer"]["post"] for one in list_synapses(made).values()}
    assert links == {"segmentation"}
    owners = {tuple(layers[name]["timestampOwner"]) for name in ("partners", "segmentation")}
    assert owners == {("● in: spine",)}  # so one click on a clock of Spelunker loses neither time


def test_cells_together(sandbox, source, make_link):
    """Synapses between the cells are among inputs and outputs, and a warning counts them."""
    other = str(who.PARTNERS[0].root_id)
    own = ask(make_link, CELL, other, "--together", "--inline")
    made = ask(make_link, CELL, other, "--together", "--source", source)
    between = sum(own["counts"]["between"].values())
    assert between > 0
    for direction in ("inputs", "outputs"):
        assert sum(made["counts"][direction].values()) == (
            sum(own["counts"][direction].values()) + between
        )
    assert any(f"{between:,} synapse" in warning for warning in made["warnings"])
    assert made["state"]["layers"][1]["segments"] == [CELL, other]


def test_outdated_and_unknown_cells(sandbox, source, make_link):
    """A root ID without rows is followed as CAVE says, refused, or has no synapses."""
    made = ask(make_link, who.OUTDATED_ONE_SUCCESSOR, "--source", source)
    own = ask(make_link, who.OUTDATED_ONE_SUCCESSOR)
    assert (made["followed"], made["counts"]) == (own["followed"], own["counts"])
    made = make_link(who.OUTDATED_ONE_SUCCESSOR, "--strict", "--source", source)
    made.refuses(3, "would be used instead")
    make_link(CELL[:-1] + "1", "--source", source).refuses(3, "is not the root ID of a cell")
    assert ask(make_link, f"nucleus:{who.SEED_NUCLEUS_ID}", "--source", source)["cell"] == CELL


def test_a_cell_without_rows_where_cave_is_silent(sandbox, source, make_link):
    """If CAVE cannot be asked about a cell without rows, that is an error about the cell."""
    sandbox.stop()
    made = make_link(CELL[:-1] + "1", "--source", source, "--timeout", 2)
    made.refuses(3, "has no synapses in the source", "could not be asked")
    assert make_link(CELL, "--source", source, "--timeout", 2).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min-size", "100"], "--min-size"),
        (["--max-confidence", "0.7"], "--max-confidence"),
        (["--multi-input"], "--multi-input"),
        (["--cell-types"], "--cell-types"),
        (["--color-by", "partner-type"], "partner-type"),
        (["--with-total"], "--with-total"),
        (["--with-unlabelled"], "without a prediction"),
        (["--tag", "spine", "--tag", "spin"], "no tag 'spin'"),
        (["--version", "1822"], "has the version 1718, but 1822 was requested"),
        (["--version", "latest"], "has the version 1718, but latest was requested"),
        (["--table", "other"], "has the table"),
        (["--datastack", "sandbox_second"], "has the datastack minnie65_public"),
        (["--public-url", "https://lab.org/x"], "--public-url"),
    ],
)
def test_what_a_source_cannot_show_is_refused(sandbox, source, make_link, words, said):
    """Options that layers on a source do not support are refused by name."""
    make_link(CELL, "--source", source, *words).refuses(2, said)


def test_sources_that_are_none(sandbox, folder, source, make_link, tmp_path, monkeypatch):
    """A folder without a source, an unfinished source, and servers that viewers cannot read are
    refused."""
    make_link(CELL, "--source", str(tmp_path)).refuses(4, "not a published source")
    make_link(CELL, "--source", str(tmp_path / "nowhere")).refuses(2, "There is no folder")
    make_link(CELL, "--source", str(folder)).refuses(2, "synglancer serve", "--public-url")
    make_link(CELL, "--source", "http://127.0.0.1:9/x", "--timeout", 2).refuses(
        4, "does not answer"
    )
    make_link(CELL, "--source", "ftp://lab.org/x").refuses(2, "Viewers cannot read")
    (folder / "spine" / "info").unlink()
    make_link(CELL, "--source", source).refuses(4, "spine/info is missing or damaged")
    (folder / "synglancer.json").unlink()
    make_link(CELL, "--source", source).refuses(4, "not a published source")
    make_link("--public-url", source, CELL).refuses(2, "--public-url")


@pytest.mark.parametrize(
    ("file", "edits", "said"),
    [
        ("synglancer.json", {"version": "1718"}, "has no valid value of version."),
        ("synglancer.json", {"timestamp": "yesterday"}, "has no valid value of timestamp."),
        ("synglancer.json", {"cells": [-1]}, "has no valid value of cells.0."),
        ("synglancer.json", {"datastack_record": []}, "has no valid value of datastack_record"),
        ("spine/info", {"relationships": []}, "has no valid value of relationships."),
        ("spine/info", {"dimensions": {"x": [4e-9, "m"]}}, "has no valid value of dimensions."),
    ],
)
def test_files_that_were_edited_are_named(
    sandbox, folder, source, make_link, synglancer, file, edits, said
):
    """New links, links that were made before, their tables and checks name the file and the key."""
    url = make_link(CELL, "--source", source).out.strip()
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **edits}))
    make_link(CELL, "--source", source).refuses(4, f"{source}/{file} {said}")
    assert synglancer("table", url).code == 4
    checked = synglancer("check", url)
    assert checked.code in {4, 5}
    assert said in checked.out + checked.err
    with pytest.raises(BadAnswerError, match=re.escape(said)):
        _ = Link.from_url(url).synapses


def test_a_synapse_is_not_found_in_a_source(sandbox, source, make_link):
    """A synapse given by its ID is refused."""
    make_link("synapse:17", "--source", source).refuses(2, "A single synapse was given")


def test_a_server_without_ranges_is_refused(sandbox, source, make_link, monkeypatch):
    """No link is printed if viewers would silently stay empty."""
    monkeypatch.setattr("synglancer.publish.serving.parse_range", lambda *_: None)
    make_link(CELL, "--source", source).refuses(4, "ignores ranges")


def test_a_folder_with_a_public_address(sandbox, folder, source, make_link):
    """Rows are read from the folder, and layers name the address, which must serve the same
    source."""
    made = ask(make_link, CELL, "--source", str(folder), "--public-url", f"{source}/")
    assert made["state_sha256"] == ask(make_link, CELL, "--source", source)["state_sha256"]
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    edit_manifest(other, version=1822)
    made = make_link(CELL, "--source", str(other), "--public-url", source)
    made.refuses(2, "serves a different source")


def test_who_can_read_the_source_is_said(sandbox, source, make_link):
    """A warning says that a hosted viewer can read this machine's source only on this machine."""
    made = ask(make_link, CELL, "--source", source, "--site", "google")
    assert any("Only browsers on this machine" in warning for warning in made["warnings"])
    assert not any(
        "Only browsers" in one for one in ask(make_link, CELL, "--source", source)["warnings"]
    )


def test_a_source_of_the_barest_rows(sandbox, make_link, tmp_path):
    """Without confidences, sizes and the table's name, sliders and shaders do not use them."""
    rows = make_rows(500)
    cell = int(rows["post_pt_root_id"][0])
    bare = {name: rows[name] for name in rows if name not in {"value", "size"}}
    run(
        tmp_path / "bare", write_parquet(tmp_path / "rows.parquet", bare),
        facts=describe_sandbox(sandbox.origin), timestamp="2026-03-07T08:10:01Z",
    )  # fmt: skip
    with serve(tmp_path / "bare") as address:
        made = ask(make_link, cell, "--source", address)
        shaders = "".join(one["shader"] for one in list_synapses(made).values())
        assert "prop_" not in shaders
        assert "scale_by_size" not in shaders
        assert made["shown"] > 0
        assert made["table"] == ""
        words = ("--source", address, "--min-confidence", 0.5)
        make_link(cell, *words).refuses(2, "no confidences")


def test_a_batch_on_a_source(sandbox, source, make_link, tmp_path):
    """Each cell of a file gets its own link; a cell without rows is skipped and named."""
    cells = [CELL, *(str(one.root_id) for one in who.PARTNERS[:3])]
    (tmp_path / "cells.txt").write_text("\n".join([*cells, CELL[:-1] + "1"]))
    made = make_link(tmp_path / "cells.txt", "--source", source)
    assert made.code == 5
    assert made.lines == [make_link(cell, "--source", source).out.strip() for cell in cells]
    assert TABLE in ask(make_link, CELL, "--source", source)["table"]


def test_the_table_behind_a_link_on_a_source(sandbox, source, make_link, synglancer, tmp_path):
    """The rows are those of the link that holds its synapses: IDs, positions, partners, numbers."""
    tables = []
    for words in (["--inline"], ["--source", source]):
        url = make_link(CELL, *words).out.strip()
        path = tmp_path / f"{len(tables)}.parquet"
        done = synglancer("table", url, "-o", path)
        assert (done.code, done.err) == (0, f"3,392 annotations written to {path}\n")
        tables.append(pd.read_parquet(path).sort_values(["layer", "id"], ignore_index=True))
    own, read = tables
    assert len(own) == 3392
    pd.testing.assert_frame_equal(read[own.columns], own, check_dtype=False)


def test_a_link_on_a_source_is_read_back(sandbox, source, make_link):
    """`Link.from_url` reads its counts, rows, settings and source."""
    made = make_link(CELL, "--source", source)
    link = Link.from_url(made.out.strip())
    own = Link.from_url(make_link(CELL, "--inline").out.strip())
    assert link.warnings == []
    assert (link.counts_by_tag, link.shown, link.total) == (own.counts_by_tag, own.shown, own.total)
    order = ["direction", "tag", "id"]
    pd.testing.assert_frame_equal(
        link.predictions.sort_values(order, ignore_index=True),
        own.predictions.sort_values(order, ignore_index=True),
    )
    assert link.settings.source == source
    assert link.provenance.source.address == source


def test_pictures_and_reports_on_a_source(sandbox, source, make_link, synglancer, tmp_path):
    """A plot and a report have the synapses, although the states do not."""
    drawn = []
    for words in (["--inline"], ["--source", source]):
        path = tmp_path / f"{len(drawn)}.svg"
        made = make_link(CELL, *words, "--preview", str(path), "--renderer", "plot")
        assert made.code == 0, made.err
        drawn.append(re.findall(r">([^<]*(?:in|inputs|out|outputs)[^<]*)</text>", path.read_text()))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) >= 6
    page = tmp_path / "report.md"
    made = synglancer("report", CELL, who.PARTNERS[0].root_id, "--source", source, "-o", page)
    assert made.code == 0, made.err
    assert "2,262" in page.read_text()
    together = page.read_text().partition("all cells in one view](")[2].partition("). ")[0]
    shown = Link.from_url(together, token=TOKEN).state
    assert shown["synglancer_cells"]["version"] == 1718  # the source's, not the latest
    assert shown["synglancer_cells"]["table"] == TABLE


def check_one(synglancer, url: str) -> dict[str, Any]:
    return json.loads(synglancer("check", url, "--output", "json").lines[0])


def test_checking_a_link_on_a_source(sandbox, folder, source, make_link, synglancer, monkeypatch):
    """A link is good while its source is complete, and bad, with the reason, afterwards."""
    url = make_link(CELL, "--source", source).out.strip()
    found = check_one(synglancer, url)
    assert (found["status"], found["problems"]) == ("good", [])
    assert found["layers"]["inputs: spine"] == found["expected"]["inputs: spine"] == 2262
    edit_manifest(folder, made_by="another day")
    found = check_one(synglancer, url)
    assert found["status"] == "good"
    assert any("published again" in note for note in found["notes"])
    with monkeypatch.context() as context:
        context.setattr("synglancer.publish.serving.parse_range", lambda *_: None)
        found = check_one(synglancer, url)
        assert found["status"] == "bad"
        assert "ignores ranges" in found["problems"][0]
    edit_manifest(folder, version=1822)
    found = check_one(synglancer, url)
    assert found["status"] == "bad"
    assert "now has the version 1822; the link was made with 1718" in found["problems"][0]
    (folder / "synglancer.json").unlink()
    found = check_one(synglancer, url)
    assert found["status"] == "bad"
    assert "not a published source" in found["problems"][0]


def test_a_silent_source_is_not_known_to_be_bad(sandbox, folder, make_link, synglancer):
    """If the source's server is silent, the link's status is unknown."""
    with serve(folder) as address:
        url = make_link(CELL, "--source", address).out.strip()
    found = check_one(synglancer, url)
    assert (found["status"], found["problems"]) == ("unknown", [])
    assert "does not answer" in found["unknown"][0]


def test_a_source_with_other_synapses_is_bad(
    sandbox, folder, source, make_link, synglancer, tmp_path
):
    """If the same version has other rows, counting the layers' annotations shows it."""
    url = make_link(CELL, "--source", source).out.strip()
    shutil.rmtree(folder)
    run(folder, write_parquet(tmp_path / "rows.parquet", make_rows(800)), table=TABLE)
    found = check_one(synglancer, url)
    assert found["status"] == "bad"
    assert "synapses instead of 2,262" in " ".join(found["problems"])


@pytest.fixture
def public(folder: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder served by a web server, and its address."""
    (tmp_path / "www").mkdir()
    folder.rename(tmp_path / "www" / "table")
    with serve(tmp_path / "www") as address:
        yield tmp_path / "www", address


def test_one_cell_is_published_and_linked(sandbox, public, make_link, synglancer):
    """--publish-to writes a source with only the cell's synapses, and the link is on it."""
    www, address = public
    own = ask(make_link, CELL, "--inline")
    words = ("--publish-to", www / "cell", "--public-url", f"{address}/cell")
    made = ask(make_link, CELL, "--inputs", *words)
    assert made["counts"] == {"inputs": own["counts"]["inputs"]}
    assert made["source"]["address"] == f"{address}/cell"
    assert made["timestamp"] == own["timestamp"]
    assert synglancer("publish", "verify", www / "cell").code == 0
    again = ask(make_link, CELL, "--source", f"{address}/cell")
    for name in ("counts", "shown", "total", "table", "version"):
        assert again[name] == own[name]
    assert len(list((www / "cell").rglob("*.shard"))) <= 15 * 3
    make_link(CELL, *words).refuses(2, "already holds a published source", "--source")


def test_a_source_of_some_cells_shows_no_others(sandbox, public, make_link):
    """A partner has rows there, but not all of its own, so a link to it is refused."""
    www, address = public
    first, second = (str(one.root_id) for one in who.PARTNERS[:2])
    words = ("--publish-to", www / "cell", "--public-url", f"{address}/cell")
    made = ask(make_link, CELL, first, "--together", *words)
    assert made["cells"] == [CELL, first]
    assert ask(make_link, first, "--source", f"{address}/cell")["shown"] > 0
    made = make_link(second, "--source", f"{address}/cell")
    made.refuses(3, f"holds only the synapses of {CELL}, {first}, not those of {second}")


def test_places_that_viewers_cannot_read(sandbox, public, make_link, tmp_path):
    """If viewers cannot read the published source, it is named, with what to do next."""
    www, address = public
    made = make_link(CELL, "--publish-to", tmp_path / "alone")
    made.refuses(2, "viewers cannot read a folder", f"synglancer serve {tmp_path / 'alone'}")
    assert (tmp_path / "alone" / "synglancer.json").exists()
    made = make_link(CELL, "--publish-to", www / "b", "--public-url", "http://127.0.0.1:9/b")
    made.refuses(4, "were published to", "does not answer", "--source")
    made = make_link(CELL, "--publish-to", www / "c", "--public-url", f"{address}/table")
    made.refuses(2, "serves a different source")
    sandbox.take_requests()
    words = ("--publish-to", www / "d")
    make_link(CELL, *words, "--with-unlabelled").refuses(2, "--with-unlabelled")
    make_link(CELL, *words, "--min-size", 5).refuses(2, "--min-size")
    make_link(CELL, *words, "--source", address).refuses(2, "--source", "--publish-to")
    make_link(CELL, who.PARTNERS[0].root_id, *words).refuses(2, "--together")
    make_link(CELL, "--publish-to", www).refuses(2, "is not empty")
    (tmp_path / "file").touch()
    taken = make_link(CELL, "--publish-to", tmp_path / "file")
    taken.refuses(2, "is not a folder", "Choose another destination.")
    make_link(CELL, "--publish-to", f"{address}/x").refuses(2, "Nothing can be published to")
    assert sandbox.take_requests() == []


def test_a_link_that_viewers_draw_slowly_says_the_whole_command(sandbox, make_link, monkeypatch):
    """From 10,000 annotations on, a command that publishes the cell is printed."""
    monkeypatch.setattr("synglancer.links.warnings.MANY_ANNOTATIONS", 100)
    first = str(who.PARTNERS[0].root_id)
    words = (
        "--inputs",
        "--tag",
        "spine",
        "--tag",
        "a tag's",
        "--min-confidence",
        0.5,
        "--no-cache",
    )
    made = make_link(CELL, first, "--together", *words, "--min-size", 5)
    (told,) = [line for line in made.err.splitlines() if "viewers become slow" in line]
    assert "in 2 s (without --min-size): make-link" in told
    assert TOKEN not in told
    command = shlex.split(told[told.index("make-link") :])
    assert command[:4] == ["make-link", CELL, first, "--together"]
    assert command[-2:] == ["--publish-to", f"{CELL}-v1718"]
    given = " ".join(command[4:-2])
    assert f"--server {sandbox.origin}" in given
    assert "--inputs --tag spine --tag a tag's --min-confidence 0.5" in given
    assert "--min-size" not in given


def test_the_command_that_is_said_works(sandbox, make_link, monkeypatch, tmp_path):
    """The suggested command publishes the cell; in Python, one more keyword is suggested."""
    monkeypatch.setattr("synglancer.links.warnings.MANY_ANNOTATIONS", 100)
    monkeypatch.chdir(tmp_path)
    made = make_link(CELL, "--no-cache", "--partners", 2)
    command = shlex.split(made.err[made.err.index("make-link") :].splitlines()[0])
    published = make_link(*command[1:])
    published.refuses(2, "The synapses were published to", "synglancer serve")
    assert (tmp_path / f"{CELL}-v1718" / "synglancer.json").exists()
    (told,) = explain_size(50_000, [int(CELL)], Settings(tag="spine"))
    assert say_in_python(told).endswith(
        f'so that viewers draw them in 2 s: give publish_to="{CELL}-v1718" as well.'
    )


def test_own_points_stand_beside_layers_on_a_source(sandbox, source, make_link, tmp_path):
    """Layers of a user's points hold their points, and stay apart from the layers on the source."""
    path = tmp_path / "mine.csv"
    path.write_text("layer,x_nm,y_nm,z_nm\n● in: spine,1,2,3\npartners,4,5,6\n")
    words = (CELL, "--source", source, "--partners", 2, "--annotations", path)
    record = ask(make_link, *words)
    names = [layer["name"] for layer in record["state"]["layers"]]
    assert names[-2:] == ["● in: spine (2)", "partners (2)"]
    assert len({*names}) == len(names)
    assert [len(layer["annotations"]) for layer in record["state"]["layers"][-2:]] == [1, 1]
    plain = ask(make_link, *words[:-2])
    assert record["counts"] == plain["counts"]
    assert record["annotations"][0]["rows"] == 2
    assert Link.from_url(record["url"]).shown == Link.from_url(plain["url"]).shown
