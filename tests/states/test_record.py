"""The record comes back unchanged, from its own key or from a shader, or is reported as invalid."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.settings import Settings
from synglancer.states.provenance import parse_provenance, parse_settings
from synglancer.states.record import (
    FORMAT,
    RECORD,
    SYNTHETIC,
    Provenance,
    parse_record,
)
from synglancer.states.record_copy import (
    LARGEST_COPY,
    add_copy,
    format_comment,
    format_copy,
    read_record,
)
from synglancer.states.record_parts import (
    CellTypes,
    MultiInput,
    NamedSynapse,
    PointSource,
    PublishedSource,
    Replacement,
)

CELL = 864691135276234469
WHOLE = Provenance(
    cell=CELL,
    datastack="minnie65_public",
    server="https://cave.example.org",
    version=1718,
    timestamp=datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc),
    table="predictions",
    counts={"inputs": {"spine": 3}, "outputs": {}},
    shown=3,
    total=4,
    filters={"tag": ["spine"], "min_confidence": 0.9},
    generator="synglancer 0.1.0",
    somata={CELL: (1.0, 2.5, 3.0)},
)
SHADER = "#uicontrol float x slider(min=0, max=1)\nvoid main() {\n  setColor(defaultColor());\n}\n"

ids = st.integers(1, 2**64 - 1)
numbers = st.integers(0, 2**53 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = texts.filter(bool)
counts = st.dictionaries(texts, numbers, max_size=3)
two_levels = st.dictionaries(texts, counts, max_size=3)
places = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3)
colours = st.dictionaries(texts, st.from_regex("#[0-9a-f]{6}", fullmatch=True), max_size=3)
shares = st.floats(0, 1)
digests = st.from_regex("[0-9a-f]{64}", fullmatch=True)
sources = st.builds(PointSource, words, digests, numbers, st.lists(texts, max_size=3).map(tuple))
addresses = st.sampled_from(["https://example.org/published", "http://127.0.0.1:8000"])
ends = st.integers(0, 2**64 - 1)
others = st.lists(ids, max_size=2).map(tuple)
synapses = st.builds(
    NamedSynapse, ids, words, st.none() | shares, numbers, ends, ends, texts, texts, others
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.lists(texts, max_size=3),
        "min_confidence": shares,
        "max_confidence": shares,
        "min_size": st.floats(0, 1e6),
        "soft_filter": st.booleans(),
    },
)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001


@st.composite
def records(draw: st.DrawFn) -> Provenance:
    """Any record that synglancer could write."""
    cells = tuple(draw(st.lists(ids, min_size=1, max_size=4, unique=True)))
    return Provenance(
        cell=cells[0],
        cells=cells,
        datastack=draw(texts),
        server=draw(texts),
        version=draw(numbers),
        timestamp=draw(moments),
        table=draw(texts),
        counts=draw(two_levels),
        shown=draw(numbers),
        total=draw(numbers),
        autapses=draw(numbers),
        filters=draw(filters),
        followed=tuple(
            draw(st.lists(st.builds(Replacement, ids, ids, texts, texts, texts), max_size=2))
        ),
        live=draw(st.booleans()),
        given_rows=draw(st.booleans()),
        all_synapses=draw(st.none() | counts),
        generator=draw(texts),
        notice=draw(texts),
        with_unlabelled=draw(st.booleans()),
        view=draw(st.dictionaries(texts, texts | st.booleans() | numbers, max_size=3)),
        hidden=draw(st.none() | two_levels),
        partners=draw(st.none() | st.lists(st.tuples(ids, numbers), max_size=3).map(tuple)),
        multi_input=draw(st.none() | st.builds(MultiInput, words, two_levels)),
        cell_types=draw(
            st.none()
            | st.builds(CellTypes, words, words, two_levels, counts, numbers, numbers, colours)
        ),
        synapses=tuple(draw(st.lists(synapses, max_size=2))),
        source=draw(st.none() | st.builds(PublishedSource, addresses, digests)),
        annotations=tuple(draw(st.lists(sources, max_size=2))),
        somata={cell: draw(places) for cell in cells[: draw(st.sampled_from([1, len(cells)]))]},
    )


OTHER = 864691135000000002
SPINES = {"inputs": {"spine": 2}}
EVERYTHING = replace(
    WHOLE,
    autapses=1,
    followed=(
        Replacement(864691135000000001, CELL, "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", "x"),
    ),
    live=True,
    given_rows=True,
    all_synapses={"inputs": 9},
    notice="by a model",
    with_unlabelled=True,
    view={"figure": True},
    hidden={"inputs": {"spine": 1}},
    partners=((OTHER, 5),),
    multi_input=MultiInput("spines", SPINES),
    cell_types=CellTypes("types", "cell_type", SPINES, {"BC": 1}, 1, 2, {"BC": "#0000ff"}),
    synapses=(NamedSynapse(2**64 - 1, "spine", 0.5, 7, 0, CELL, "BC", "23P", (12,)),),
    source=PublishedSource("https://example.org/published", "0" * 64),
    annotations=(PointSource("points.csv", "1" * 64, 3, ("my points",)),),
)
WRITTEN: dict[str, Any] = {
    "format": 1,
    "cell": "864691135276234469",
    "datastack": "minnie65_public",
    "server": "https://cave.example.org",
    "version": 1718,
    "timestamp": "2026-03-07T08:10:01.190228+00:00",
    "table": "predictions",
    "counts": {"inputs": {"spine": 3}, "outputs": {}},
    "shown": 3,
    "total": 4,
    "autapses": 1,
    "filters": {"tag": ["spine"], "min_confidence": 0.9},
    "generator": "synglancer 0.1.0",
    "live": True,
    "with_unlabelled": True,
    "notice": "by a model",
    "view": {"figure": True},
    "hidden": {"inputs": {"spine": 1}},
    "partners": [["864691135000000002", 5]],
    "synapses": [
        {
            "id": "18446744073709551615",
            "tag": "spine",
            "confidence": 0.5,
            "size": 7,
            "pre": "0",
            "post": "864691135276234469",
            "pre_type": "BC",
            "post_type": "23P",
            "same_spine": ["12"],
        }
    ],
    "given_rows": True,
    "annotations": [{"name": "points.csv", "sha256": "1" * 64, "rows": 3, "layers": ["my points"]}],
    "followed": {
        "given": "864691135000000001",
        "used": "864691135276234469",
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_until": "2021-01-01T00:00:00Z",
        "why": "x",
    },
    "all_synapses": {"inputs": 9},
    "multi_input": {"table": "spines", "former_tags": {"inputs": {"spine": 2}}},
    "cell_types": {
        "view": "types",
        "column": "cell_type",
        "synapses": {"inputs": {"spine": 2}},
        "partners": {"BC": 1},
        "known": 1,
        "ambiguous": 2,
        "colours": {"BC": "#0000ff"},
    },
    "source": {"address": "https://example.org/published", "sha256": "0" * 64},
    "soma": [1.0, 2.5, 3.0],
}


def test_every_field_has_its_name_in_the_json():
    """Other programs read these names, and a record of any later version keeps them."""
    assert EVERYTHING.to_json() == WRITTEN
    assert parse_record(WRITTEN) == (EVERYTHING, ())


def test_several_cells_have_lists_where_one_has_a_value():
    """Followed root IDs are a list, somata are by root ID, and the first cell has its own key."""
    several = replace(EVERYTHING, cells=(CELL, OTHER), somata={CELL: (1, 2, 3), OTHER: (4, 5, 6)})
    written = several.to_json()
    assert (written["cell"], written["cells"]) == (str(CELL), [str(CELL), str(OTHER)])
    assert written["followed"] == [WRITTEN["followed"]]
    assert written["somata"] == {str(CELL): [1, 2, 3], str(OTHER): [4, 5, 6]}
    assert "soma" not in written
    assert parse_record(written) == (several, ())
    one_soma = replace(several, somata={OTHER: (4, 5, 6)})
    assert parse_record(one_soma.to_json()) == (one_soma, ())


def test_the_options_of_a_whole_record_come_back():
    """Where the data come from, filters, directions, context and the view are asked for again."""
    told = replace(
        EVERYTHING,
        given_rows=False,
        synapses=(),
        datastack="another",
        counts={"inputs": {"spine": 3}},
        filters={"tag": ["spine"], "min_confidence": 0.9, "min_size": 5.0, "soft_filter": True},
        view={"palette": "safe", "soft_filter": True},
    )
    settings = told.settings()
    assert settings == Settings(
        datastack="another",
        version=1718,
        table="predictions",
        server="https://cave.example.org",
        source="https://example.org/published",
        inputs=True,
        with_unlabelled=True,
        with_total=True,
        multi_input=True,
        multi_input_table="spines",
        cell_types=True,
        cell_type_view="types",
        cell_type_column="cell_type",
        tag=("spine",),
        min_confidence=0.9,
        min_size=5.0,
        soft_filter=True,
        palette="safe",
    )


def test_what_a_link_does_not_have_is_not_in_its_record():
    """A plain record has the fields of every link, and an unknown record is empty."""
    assert {*Provenance().to_json()} == {*WRITTEN} - {
        *("live", "with_unlabelled", "notice", "view", "hidden", "partners", "synapses"),
        *("given_rows", "annotations", "followed", "all_synapses", "multi_input", "cell_types"),
        *("source", "soma"),
    }
    assert parse_record({}) == (Provenance(), ())
    none = replace(WHOLE, all_synapses={}, hidden={}, partners=())
    assert parse_record(none.to_json()) == (none, ())
    assert "colours" not in CellTypes("types", "cell_type").to_json()
    unsure = NamedSynapse(5, "spine", None, 7)
    assert not {"same_spine", "confidence"} & {*unsure.to_json()}
    assert NamedSynapse.from_json(unsure.to_json()) == unsure
    sure = replace(unsure, confidence=1.0)
    assert NamedSynapse.from_json(sure.to_json()) == sure


def test_the_notice_of_a_table_says_that_its_predictions_are_synthetic():
    """Only if it begins so; a table without a notice is taken as real."""
    notices = (f"{SYNTHETIC}. Not a cell.", f"Not a {SYNTHETIC}.", "")
    assert [Provenance(notice=one).synthetic for one in notices] == [True, False, False]


def test_only_colours_are_read_as_colours():
    """They are written into pages and shaders, so everything else is left out."""
    colours = {"BC": "#0000ff", "MC": "red", "a": "#0000FF", "b": 5, "c": "#0000ff;", "d": None}
    told = {"view": "types", "column": "cell_type", "colours": colours}
    assert CellTypes.from_json(told).colours == {"BC": "#0000ff"}


@settings(max_examples=40)
@given(records())
def test_a_record_comes_back_whole_through_json(record):
    """Every field survives, with full 64-bit IDs, and the JSON holds the format's number."""
    text = json.dumps(record.to_json())
    assert Provenance.from_json(json.loads(text)) == record
    assert json.loads(text)["format"] == FORMAT
    assert {field.name for field in fields(record)} >= {*parse_record({})[0].to_json()} - {"format"}


@settings(max_examples=40)
@given(records())
def test_a_copy_in_a_shader_is_one_safe_line_that_comes_back(record):
    """Whatever a record holds, its comment is one line of ASCII that ends with a brace."""
    line = format_copy(record.to_json())
    assert line.count("\n") == 1
    assert line.endswith("}\n")
    assert line.isascii()
    assert line[:-1].isprintable()
    assert not set(line) & set("*#<>&")
    state = {"layers": [{"type": "annotation", "shader": line + SHADER}]}
    raw, contradiction = read_record(state)
    assert contradiction == ""
    if len(json.dumps(record.to_json())) < LARGEST_COPY // 2:
        assert Provenance.from_json(raw) == record


@pytest.mark.parametrize(
    "nasty",
    [
        "a\nvoid main() {}",
        "*/ evil",
        "/* evil",
        "\\",
        "ends\\",
        '"',
        "#uicontrol",
        "\r",
        "\u2028",
        "é✓",
    ],
)
def test_no_word_leaves_its_comment(nasty):
    """A tag, table or notice cannot end its comment, continue it or become a directive."""
    record = replace(WHOLE, table=nasty, notice=nasty, counts={"inputs": {nasty: 1}})
    layers = [{"type": "image", "shader": "x"}, {"type": "annotation", "shader": SHADER}]
    add_copy(layers, record.to_json())
    assert layers[0]["shader"] == "x"
    first, rest = layers[1]["shader"].split("\n", 1)
    assert rest == SHADER
    assert re.fullmatch(r"// synglancer: \{[ -~]*\}", first)
    assert Provenance.from_json(read_record({"layers": layers})[0]) == record


def test_a_copy_survives_what_viewers_drop():
    """Without its own key, a state still holds its provenance and options."""
    note = {"id": "1", "type": "point", "point": [1, 2, 3]}
    layer = {"type": "annotation", "name": "inputs: spine", "annotations": [note] * 3}
    layers = [{**layer, "shader": SHADER}]
    add_copy(layers, WHOLE.to_json())
    nm = {axis: [1e-9, "m"] for axis in "xyz"}
    found, warnings = parse_provenance({"layers": layers, "dimensions": nm})
    assert (found, warnings) == (WHOLE, [])
    assert parse_settings({"layers": layers}) == WHOLE.settings()
    assert parse_settings({"layers": layers}).tag == ("spine",)


def test_two_records_that_differ_are_named_and_the_own_key_wins():
    """A copy that differs is not used, and readers are warned."""
    layers = [{"type": "annotation", "shader": SHADER}]
    add_copy(layers, WHOLE.to_json())
    other = replace(WHOLE, version=1621).to_json()
    found, warnings = parse_provenance({"layers": layers, RECORD: other})
    assert found.version == 1621
    assert any("two different provenance records" in warning for warning in warnings)
    _, warnings = parse_provenance({"layers": layers, RECORD: WHOLE.to_json()})
    assert not any("differ" in warning for warning in warnings)


def test_a_copy_stays_small_and_says_what_it_leaves_out():
    """With a hundred cells and a long notice, the line is short and still holds the options."""
    cells = tuple(range(CELL, CELL + 100))
    large = replace(
        WHOLE,
        cells=cells,
        somata=dict.fromkeys(cells, (123456.0, 123456.0, 123456.0)),
        notice="Please cite. " * 500,
        partners=tuple((cell, 3) for cell in cells),
        followed=tuple(Replacement(cell, cell + 1000) for cell in cells),
        cell_types=CellTypes("view", "column", {}, {f"type {i}": i for i in range(300)}, 3, 4),
    )
    line = format_copy(large.to_json())
    assert len(line) <= LARGEST_COPY
    left_out = json.loads(line.partition(": ")[2])["left_out"]
    assert left_out == ["cell_types", "somata", "notice", "partners", "followed"]
    layers = [{"type": "annotation", "shader": line + SHADER}]
    read, _ = read_record({"layers": layers})
    assert (read["cell"], read["left_out"]) == (str(CELL), left_out)
    assert read_record({"layers": layers, RECORD: large.to_json()})[1] == ""
    assert parse_settings({"layers": layers}) == large.settings()


def test_a_comment_is_written_in_one_way():
    """Keys are sorted, without spaces, and everything beyond ASCII is an escape."""
    written = format_comment("word", {"b": 1, "a": ["é", "a<b"]})
    assert written == '// word: {"a":["\\u00e9","a\\u003cb"],"b":1}\n'


@pytest.mark.parametrize("more", [0, 1])
def test_a_copy_that_just_fits_is_kept_whole(more):
    """The largest copy is one of 4,096 characters, with its line break."""
    record = {**WHOLE.to_json(), "cell_types": {"view": "v", "colours": {"a": "#000000"}}}
    short = len(format_comment(RECORD, {**record, "notice": ""}))
    record["notice"] = "x" * (LARGEST_COPY - short + more)
    line = format_copy(record)
    if more:
        kept = {**record, "cell_types": {"view": "v"}, "left_out": ["cell_types"]}
        assert line == format_comment(RECORD, kept)
    else:
        assert (len(line), line) == (LARGEST_COPY, format_comment(RECORD, record))


def test_a_copy_is_sought_at_the_beginning_of_a_shader_only():
    """A comment longer than any copy is not read, however long the shader is."""
    layers = [{"type": "annotation", "shader": format_comment(RECORD, {"notice": "x" * 66_000})}]
    assert read_record({"layers": layers}) == ({}, "")


@given(
    st.text(max_size=60)
    | st.recursive(
        st.none() | st.integers() | texts, lambda inner: st.dictionaries(texts, inner, max_size=3)
    ).map(json.dumps)
)
def test_any_shader_is_read(text):
    """A comment without a record of ours is ignored, without an error."""
    layer = {"type": "annotation", "shader": f"// synglancer: {text}\n{SHADER}"}
    raw, _ = read_record({"layers": [layer, 5, {"shader": 7}]})
    assert isinstance(raw, dict)
    parse_record(raw)


def test_a_damaged_copy_does_not_hide_a_whole_one():
    """The first copy that can be read counts, in whichever layer it is."""
    whole = format_copy(WHOLE.to_json())
    layers = [{"shader": whole.replace(":", "=")}, {"shader": whole.replace("}", "]}")}]
    assert read_record({"layers": layers})[0] == {}
    assert read_record({"layers": [*layers, {"shader": whole}]})[0] == WHOLE.to_json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cell", -1),
        ("cell", 2**64),
        ("version", "1718"),
        ("version", True),
        ("timestamp", "yesterday"),
        ("counts", {"inputs": {"spine": -1}}),
        ("counts", {"inputs": {"spine": 2**53}}),
        ("filters", {"tag": "spine"}),
        ("filters", {"whatever": 1}),
        ("filters", {"min_confidence": True}),
        ("filters", {"min_size": -1}),
        ("annotations", [{"name": "a.csv", "sha256": "0", "rows": 1}]),
        ("synapses", [{**WRITTEN["synapses"][0], "confidence": 1.5}]),
        ("filters", {"min_size": float("inf")}),
        ("followed", [{"given": "x", "used": "1"}]),
        ("live", "yes"),
        ("partners", [["1"]]),
        ("multi_input", {"former_tags": {}}),
        ("cell_types", {"view": "v"}),
        ("somata", {"1": [1, 2]}),
        ("soma", [1, 2, None]),
        ("view", {"layout": []}),
        ("format", FORMAT + 1),
    ],
)
def test_a_field_of_the_wrong_form_is_named_and_not_used(name: str, value: Any):
    """One invalid field costs only that field when a link is read, but its settings are refused."""
    record = {**WHOLE.to_json(), name: value}
    _, wrong = parse_record(record)
    assert wrong[0] == name
    with pytest.raises(ValueError, match=name):
        Provenance.from_json(record)
    _, warnings = parse_provenance({"layers": [], RECORD: record})
    assert any(f"invalid values for {name}" in warning for warning in warnings)
    with pytest.raises(UsageError, match="was changed"):
        parse_settings({"layers": [], RECORD: record})


def test_all_fields_of_the_wrong_form_are_named_together():
    """One sentence names them, in the order of the record."""
    record = {**WHOLE.to_json(), "shown": -3, "filters": [], "table": 5}
    _, warnings = parse_provenance({"layers": [], RECORD: record})
    told = "Its provenance record has invalid values for table, shown, filters, which are ignored."
    assert told in warnings
    with pytest.raises(ValueError, match=r"^table, shown, filters$"):
        Provenance.from_json(record)


def test_records_without_a_format_are_read():
    """States made before records had a format number are read unchanged."""
    old = WHOLE.to_json()
    del old["format"]
    assert Provenance.from_json(old) == WHOLE
    asked = Provenance.from_json(old).settings()
    assert isinstance(asked, Settings)
    assert (asked.server, asked.version, asked.min_confidence) == (WHOLE.server, 1718, 0.9)


def test_a_link_without_synapses_has_its_own_key_only():
    """Without an annotation layer, there is no shader to write into, and nothing is added."""
    layers = [{"type": "segmentation"}, {"type": "annotation"}]
    add_copy(layers, WHOLE.to_json())
    assert layers == [{"type": "segmentation"}, {"type": "annotation"}]


def test_the_options_of_a_link_come_back():
    """A link that is made again from its record is asked for as it was."""
    assert WHOLE.settings() == Settings(
        datastack="minnie65_public",
        version=1718,
        table="predictions",
        server="https://cave.example.org",
        tag=["spine"],
        min_confidence=0.9,
    )


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ({"counts": {"inputs": {}}}, {"inputs": True}),
        ({"counts": {"outputs": {}}}, {"outputs": True}),
        ({"with_unlabelled": True}, {"with_unlabelled": True}),
        ({"all_synapses": {"inputs": 5}}, {"with_total": True}),
        ({"view": {"layout": "3d", "partners": 5}}, {"layout": "3d", "partners": 5}),
        ({"filters": {"min_size": 7, "min_confidence": 0.7, "soft_filter": True},
          "view": {"soft_filter": True}}, {
            "min_size": 7, "min_confidence": 0.7, "soft_filter": True}),
        ({"multi_input": MultiInput("spines", {})}, {
            "multi_input": True, "multi_input_table": "spines"}),
        ({"cell_types": CellTypes("types", "cell_type", {}, {}, 0, 0, {})}, {
            "cell_types": True, "cell_type_view": "types", "cell_type_column": "cell_type"}),
        ({"multi_input": MultiInput("spines", {}),
          "cell_types": CellTypes("types", "cell_type", {}, {}, 0, 0, {})}, {
            "multi_input": True, "multi_input_table": "spines",
            "cell_types": True, "cell_type_view": "types", "cell_type_column": "cell_type"}),
    ],
)  # fmt: skip
def test_each_option_comes_back(recorded, asked):
    """What was shown follows from the options, and nothing else is asked."""
    record = replace(WHOLE, **{"filters": {}, **recorded})
    where = {name: getattr(WHOLE, name) for name in ("datastack", "version", "table", "server")}
    assert record.settings() == Settings(**where, **asked)


def test_a_link_on_a_source_is_made_again_on_it():
    """Where the record has a source, it needs no table."""
    source = PublishedSource("https://example.org/published", "0" * 64)
    asked = replace(WHOLE, source=source, table="").settings()
    assert (asked.source, asked.table, asked.version) == (source.address, None, 1718)


SYNAPSE = NamedSynapse(7, "spine", 0.456, 1234, 5, 6)


@pytest.mark.parametrize(
    ("synapse", "told"),
    [
        (SYNAPSE, "spine, confidence 0.46, 1,234 voxels; from 5 onto 6."),
        (
            replace(SYNAPSE, confidence=None, size=1, pre=0),
            "no prediction, 1 voxel; from no cell onto 6.",
        ),
        (
            replace(SYNAPSE, pre_type="BC", post_type="23P", same_spine=(8, 9)),
            (
                "spine, confidence 0.46, 1,234 voxels; from 5 (BC) onto 6 (23P). Synapses 8, 9 "
                "on the same spine."
            ),
        ),
        (
            replace(SYNAPSE, same_spine=(8,)),
            "spine, confidence 0.46, 1,234 voxels; from 5 onto 6. Synapse 8 on the same spine.",
        ),
    ],
)
def test_a_synapse_is_described_in_a_sentence(synapse, told):
    """It names the tag, the size and both cells, and the synapses on the same spine."""
    assert str(synapse) == f"Synapse 7: {told}"


@pytest.mark.parametrize("name", ["server", "datastack", "version", "table"])
def test_a_record_that_lacks_a_part_cannot_be_used_again(name):
    """Otherwise a link would be made again from other data than its own."""
    record = replace(WHOLE, **{name: 0 if name == "version" else ""})
    with pytest.raises(ValueError, match="it has no server, datastack, version or table"):
        record.settings()


def test_given_rows_are_not_queried():
    """The tables that a link was made from are not in its record."""
    with pytest.raises(UsageError) as refused:
        replace(WHOLE, given_rows=True).settings()
    assert str(refused.value) == (
        "The synapses of this link were given as tables, so they cannot be queried again."
    )
    assert refused.value.hint.startswith("Make the link again from the tables, or from the cell ")


@pytest.mark.parametrize(
    ("address", "sha256"), [("/home/me/source", "0" * 64), (5, "0" * 64), ("https://a.org/s", "")]
)
def test_a_source_that_is_no_address_is_not_believed(address, sha256):
    """A record never sends a command to a file, and its source needs the hash of a manifest."""
    known = PublishedSource.from_json({"address": "https://a.org/s", "sha256": "0" * 64})
    assert known.address == "https://a.org/s"
    with pytest.raises(ValueError, match=r"sha256|address"):
        PublishedSource.from_json({"address": address, "sha256": sha256})
