"""A link is built from loaded data: its state holds them, and its record and warnings tell them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
import pytest

from links.shelf import A, B, P, Q, R, Shelf, layer_names, load, synapses
from synglancer.cells.point_files import read_point_files
from synglancer.errors import ServiceError
from synglancer.links.building import Asking, build_cell_state, build_link, store_link
from synglancer.links.record import build_record
from synglancer.settings import Settings
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput, PublishedSource
from synglancer.states.urls import hash_state
from synglancer.synapses import cell_types
from synglancer.synapses.context import Context
from synglancer.synapses.loading import CellData
from synglancer.view.state import State

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    (2**63 + 1, "inputs", "spine", 0.9, 500, P, A),
    (2**63 + 2, "inputs", "shaft", 0.6, 300, Q, A),
    (2**63 + 3, "outputs", "spine", 0.7, 100, B, R),
    (2**63 + 4, "between", "spine", 0.8, 50, A, B),
]
TYPES = cell_types.CellTypes(
    "my_view", "mtype", pd.Series({P: "L2 IT", R: "BC"}, dtype=object), frozenset()
)
STATE = State(b'{"layers":[]}', hash_state(b'{"layers":[]}') or "")


def ask(session: Shelf | None = None, points: Any = (), **options: Any) -> Asking:
    files = read_point_files(points)
    return Asking(Settings(**options), session or Shelf(), "what was typed", points=files)


def test_a_link_its_state_and_its_record_say_the_same() -> None:
    """The uploaded state holds the synapses of each direction and tag, and the record of the
    link."""
    session = Shelf()
    data = CellData([], {A, B}, {A: [(5.0, 6.0, 7.0)], B: []})
    loaded = load(synapses(*ROWS), [A, B], data, warnings=["From loading."])
    link = build_link(ask(session), loaded)
    assert link.given == "what was typed"
    assert link.state_url == f"{session.server}/nglstate/api/v1/5"
    assert link.state_id == "5"
    assert link.url.endswith(f"/#!middleauth+{link.state_url}")
    assert session.kept == {link.state_url: link.state_json}
    assert link.state_sha256 == hash_state(link.state_json)
    assert link.provenance == build_record(Settings(), session, loaded)
    assert link.state["synglancer"] == link.provenance.to_json()
    assert link.warnings == ["From loading."]
    assert layer_names(link) == [
        "imagery", "segmentation", "● in: spine", "● in: shaft", "○ out: spine", "◎ between: spine",
    ]  # fmt: skip
    ids = [[one["id"] for one in layer.get("annotations", [])] for layer in link.state["layers"]]
    assert ids[2:] == [[str(2**63 + number)] for number in (1, 2, 3, 4)]
    segments = link.state["layers"][1]["segments"]
    assert [one.lstrip("!") for one in segments] == [str(A), str(B)]


def test_the_view_is_centred_on_what_is_shown() -> None:
    """Several cells are centred on a synapse between them, and one cell on its soma, else on its
    synapses."""
    somata = {A: [(4000.0, 8000.0, 40000.0)]}
    frame = synapses(*ROWS)

    def centre(frame: pd.DataFrame, somata: Any) -> list[float]:
        link = build_link(ask(inline=True), load(frame, [A, B], CellData([], set(), somata)))
        return link.state["position"]

    between = frame.loc[3, [f"ctr_pt_position_{axis}" for axis in "xyz"]]
    assert centre(frame, somata) == [between.iloc[0] / 4, between.iloc[1] / 4, between.iloc[2] / 40]
    assert centre(frame[:3], somata) == [1000, 2000, 1000]
    assert centre(frame[:3], {}) not in ([1000, 2000, 1000], centre(frame, somata))


def test_cells_and_partners_have_colours_of_their_own() -> None:
    """The strongest partners are found among the synapses shown, and options of the view hold."""
    asking = ask(inline=True, partners=1, layout="3d", color_by="confidence")
    link = build_link(asking, load(synapses(*ROWS), [A, B], shown=synapses(*ROWS[1:])))
    mesh = link.state["layers"][1]
    assert [*mesh["segmentColors"]] == [str(A), str(B), str(Q)]
    assert len({*mesh["segmentColors"].values()}) == 3
    assert {one.lstrip("!") for one in mesh["segments"]} == {str(A), str(B), str(Q)}
    assert link.provenance.partners == ((Q, 1),)
    assert link.state["layout"] == "3d"


def test_only_what_passes_the_filters_is_in_the_state() -> None:
    """The record counts the others as well."""
    frame = synapses(*ROWS)
    link = build_link(ask(inline=True), load(frame, [A], shown=frame[1:2]))
    assert layer_names(link) == ["imagery", "segmentation", "● in: shaft"]
    assert (link.shown, link.total) == (1, 4)


def test_a_link_without_synapses_says_so() -> None:
    """It still shows the cells; what is filtered out is counted, in the singular too."""
    nothing, one = synapses(), synapses(ROWS[0])
    for loaded, told in [
        (load(nothing), "The cell has no synapse with a prediction in this table."),
        (load(nothing, [A, B]), "The cells have no synapse with a prediction in this table."),
        (load(one, shown=nothing), "No synapse passes the filters; 1 is filtered out."),
    ]:
        link = build_link(ask(), loaded)
        assert link.warnings == [told]
        assert layer_names(link) == ["imagery", "segmentation"]
        assert len(link.state["layers"][1]["segments"]) == len(loaded.cells)


def test_own_points_follow_the_synapses(tmp_path: Path) -> None:
    """Their layers, files and warnings are in the link, and a layer of synapses keeps its name."""
    path = tmp_path / "points.csv"
    path.write_text("x_nm,y_nm,z_nm,layer,size\n1,2,3,● in: spine,5\n4,5,6,● in: spine,\n")
    loaded = load(synapses(ROWS[0]), warnings=["From loading."])
    link = build_link(ask(points=[path], inline=True, site="google"), loaded)
    assert layer_names(link)[2:] == ["● in: spine", "● in: spine (2)"]
    (source,) = link.provenance.annotations
    assert (source.name, source.rows, source.layers) == ("points.csv", 2, ("● in: spine (2)",))
    assert link.state["synglancer"]["annotations"] == [source.to_json()]
    first, renamed, gaps, damage, pin = link.warnings
    assert first == "From loading."
    assert "is shown as '● in: spine (2)'" in renamed
    assert "The column 'size' of points.csv has gaps" in gaps
    assert damage.startswith("On a slow machine, ")
    assert "ignores the timestamp" in pin


@pytest.mark.parametrize("review", [False, True])
def test_the_types_of_partners_are_uploaded_for_the_list_of_segments(review) -> None:
    """The state names the address of all cells' types and numbers of synapses; an inline link
    cannot."""
    session = Shelf()
    frame = synapses(*ROWS[:2]).assign(partner_type=["L2 IT", "unknown"])
    data = CellData([], {A}, {}, context=Context(cell_types=TYPES))
    asking = ask(session, cell_types=True, inputs=True, review=review, site="spelunker")
    link = build_link(asking, load(frame, [A], data))
    address = f"{session.server}/nglstate/api/v1/property/5"
    assert f"precomputed://middleauth+{address}" in link.state_json.decode()
    inline = orjson.loads(session.kept[f"{address}/info"])["inline"]
    assert inline["ids"] == [str(A), str(P), str(Q)]
    assert [one["id"] for one in inline["properties"]] == ["cell_type", "inputs"]
    assert inline["properties"][0]["values"] == [[], [0], []]
    assert inline["properties"][1]["values"] == [0, 1, 1]
    assert "1 of 2 partners has a type in my_view (mtype)." in link.warnings
    assert session.asked[:2] == ["put /property", "get /nglstate/api/v1/property/5/info"]
    alone = Shelf()
    told = build_link(replace(asking, session=alone, settings=Settings(inline=True)), load(frame))
    assert (alone.asked, "property" in told.state_json.decode()) == ([], False)
    plain = Shelf()
    build_link(ask(plain), load(frame))
    assert plain.asked == ["put /state", "get /nglstate/api/v1/5"]


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ("spelunker", "Shift+A is spine, Shift+S is shaft, Shift+D is soma, Shift+F is odd;"),
        ("google", "2 right, 3 unsure, 4 is spine, 5 is shaft, 6 is soma, 7 is odd,"),
        ("https://ng.lab.org/", "type one of =right, =unsure, =spine, =shaft, =soma, =odd after"),
    ],
)
def test_a_review_has_one_layer_and_tells_the_keys(site, told) -> None:
    """The least confident synapse comes first, and all tags of the cells can be chosen."""
    frame = synapses(
        *ROWS[:3], (5, "inputs", "odd", 0.1, 9, P, A), (6, "inputs", "unlabelled", 0.1, 9, P, A)
    )
    data = CellData([], {A}, {A: [(4000.0, 8000.0, 40000.0)]})
    loaded = load(frame, data=data, shown=frame[:3], warnings=["From loading."])
    link = build_link(ask(review=True, site=site), loaded)
    assert len(link.state["layers"]) == 3
    notes = [one["id"] for one in link.state["layers"][2]["annotations"]]
    assert notes == [str(2**63 + number) for number in (2, 3, 1)]
    assert link.state["synglancer"]["shown"] == link.shown == 3
    assert link.total == 5
    first, keys, *further = link.warnings
    assert (first, told in keys) == ("From loading.", True)
    assert ["viewer at ng.lab.org are not known" in one for one in further] == (
        [True] if "lab" in site else [False] * (site == "google")
    )
    assert ("skeletoncache" in link.state_json.decode()) is False
    marks = str(link.state["layers"][2])
    assert ("tag_is_odd" in marks or "is_odd" in marks) == (site == "spelunker")


def test_a_review_without_synapses_has_no_keys() -> None:
    """There is nothing to mark, and the cell is shown at its soma."""
    data = CellData([], {A}, {A: [(4000.0, 8000.0, 40000.0)]})
    link = build_link(ask(review=True, site="spelunker"), load(synapses(), data=data))
    assert link.state["position"] == [1000, 2000, 1000]
    assert link.warnings == ["The cell has no synapse with a prediction in this table."]


def test_the_server_confirms_its_data_before_a_link_is_given() -> None:
    """Cached rows may belong to earlier data of a server on this machine, and an inline link asks
    it nothing else."""
    session = Shelf("http://127.0.0.1:9000")
    build_link(ask(session, inline=True, cell_types=True), load(synapses(*ROWS)))
    assert session.asked == ["confirm minnie65_public"]

    class Changed(Shelf):
        def confirm_data(self) -> None:
            raise ServiceError("The data have changed.", "Try again.")

    with pytest.raises(ServiceError, match="have changed"):
        build_link(ask(Changed(), inline=True), load(synapses(*ROWS)))


def test_other_work_is_done_meanwhile() -> None:
    """It is finished before the link is given, even for a link that is not uploaded."""
    done = []
    loaded = load(synapses(*ROWS))
    for options in [{}, {"inline": True}]:
        build_link(ask(**options), loaded, lambda: done.append(1))
    store_link(ask(), STATE, Provenance(shown=1), [], lambda: done.append(1))
    assert done == [1, 1, 1]


def test_the_time_counts_from_the_question() -> None:
    """Loading the data is part of making a link."""
    asking = replace(ask(), started=time.monotonic() - 1000)
    assert 1000 <= build_link(asking, load(synapses(*ROWS))).elapsed_s < 2000
    assert 0 <= build_link(ask(), load(synapses(*ROWS))).elapsed_s < 1000


def test_warnings_come_in_the_order_of_the_steps() -> None:
    """Those of loading are first; then the viewer, the size, what is hidden, and the context."""
    record = Provenance(
        cell=A,
        shown=20_000,
        total=20_001,
        hidden={"inputs": {"spine": 7}, "outputs": {"shaft": 5}},
        multi_input=MultiInput("spines", {"inputs": {"spine": 3}}),
        cell_types=CellTypes("view", "column", partners={"BC": 2}, known=2),
    )

    def tell(record: Provenance, **options: Any) -> list[str]:
        link = store_link(ask(site="google", **options), STATE, record, ["Loaded."])
        assert link.provenance is record
        assert (link.state_json, link.state_sha256) == (STATE.json, STATE.sha256)
        return [" ".join(told.split()[:4]) for told in link.warnings]

    viewer = "The viewer at neuroglancer-demo.appspot.com"
    rest = ["12 of the 20,000", "According to spines, 3", "2 of 2 partners"]
    assert tell(record) == ["Loaded.", viewer, "The link has 20,000", *rest]
    published = replace(record, source=PublishedSource("https://a.org/s", "00"))
    assert tell(published) == ["Loaded.", viewer, *rest]
    assert tell(Provenance(shown=9_999)) == ["Loaded.", viewer]
    assert tell(Provenance(total=3)) == ["Loaded.", viewer, "No synapse passes the"]
    assert tell(Provenance(shown=1), inline=True) == ["Loaded.", "On a slow machine,", viewer]


def test_a_large_link_names_the_command_that_publishes_its_cells() -> None:
    """With the cells and the options of the link."""
    record = Provenance(cell=A, cells=(A, B), shown=10_000)
    link = store_link(ask(min_size=5.0, tag=("spine",)), STATE, record, [])
    (told,) = link.warnings
    assert "(without --min-size)" in told
    assert f"make-link {A} {B} --together --tag spine --publish-to {A}-v1718" in told


def test_a_state_has_no_properties_and_points_unless_they_are_given() -> None:
    """The state of a cell needs neither."""
    session, loaded = Shelf(), load(synapses(*ROWS))
    record = build_record(Settings(), session, loaded)
    state = orjson.loads(build_cell_state(Settings(), session, loaded, record).json)
    assert len(state["layers"]) == 6
    assert "property" not in str(state["layers"][1]["source"])
