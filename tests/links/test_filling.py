"""A state on a published source is filled with the synapses that its layers draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from links.published import publish
from links.shelf import A, B, P, Q
from publish.sample import serve
from synglancer.errors import ServiceError
from synglancer.links.filling import fill_state, open_recorded
from synglancer.states.record import Provenance
from synglancer.states.record_parts import PublishedSource
from synglancer.view.layer_sources import build_local_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("source"), table="predictions_v7")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serve(folder) as url:
        yield url


def record_of(address: str, **changes: Any) -> Provenance:
    facts = {"datastack": "minnie65_public", "version": 1718, "table": "predictions_v7", **changes}
    return Provenance(cell=A, source=PublishedSource(address, "00"), **facts)


def draw(url: str, side: str, **changes: Any) -> dict[str, Any]:
    """Return a layer on a source that follows the selection on one side of its synapses."""
    return {
        "type": "annotation",
        "name": side,
        "source": [{"url": url}],
        "linkedSegmentationLayer": {"pre": "other", "post": "other", side: "cells"},
        "filterBySegmentation": [side],
        "shader": "kept",
        **changes,
    }


def state_of(address: str, *layers: dict[str, Any], cells: tuple[Any, ...] = (A,)) -> Any:
    select = [str(cell) for cell in cells]
    return {
        "position": [1, 2, 3],
        "synglancer": record_of(address).to_json(),
        "layers": [
            {"type": "image", "name": "imagery", "source": "precomputed://https://a.org/em"},
            {"type": "segmentation", "name": "other", "source": "x", "segments": [str(B)]},
            {"type": "segmentation", "name": "cells", "source": "x", "segments": select},
            *layers,
        ],
    }


def list_notes(layer: Any) -> list[tuple[str, list[list[str]]]]:
    return [(note["id"], note["segments"]) for note in layer.get("annotations", ())]


def test_a_layer_is_filled_with_the_rows_of_its_tag_and_side(address) -> None:
    """IDs are exact, partners are on the other side, and all else in the state stays as it was."""
    inputs = draw(f"precomputed://{address}/spine", "post")
    outputs = draw(f"precomputed://{address}/spine", "pre", filterBySegmentation=["pre"])
    state = state_of(address, inputs, outputs)
    filled = fill_state(state)
    assert {**filled, "layers": None} == {**state, "layers": None}
    assert filled["layers"][:3] == state["layers"][:3]
    received, made = filled["layers"][3:]
    props = [
        {"id": "confidence", "type": "float32"},
        {"id": "size", "type": "uint32"},
    ]
    assert received == {
        **inputs,
        "source": build_local_source(),
        "annotationProperties": props,
        "annotationRelationships": ["pre", "post"],
        "annotations": [
            {
                "type": "point",
                "id": str(2**53 + 1),
                "point": [20, 21, 22],
                "props": [0.75, 200],
                "segments": [[str(Q)], [str(A)]],
            },
            {
                "type": "point",
                "id": str(2**64 - 9),
                "point": [10, 11, 12],
                "props": [0.5, 100],
                "segments": [[str(P)], [str(A)]],
            },
        ],
    }
    assert list_notes(made) == [("7", [[str(A)], [str(Q)]])]


@pytest.mark.parametrize(
    ("side", "cells", "partners", "notes"),
    [
        ("post", (A,), True, [("8", [["0"], [str(A)]])]),
        ("post", (B, A), True, [("9", [[str(B)], [str(B)]]), ("8", [["0"], [str(A)]])]),
        ("pre", (A, B), True, [("9", [[str(B)], [str(B)]])]),
        ("pre", (B,), False, [("9", [[str(B)], ["0"]])]),
        ("post", (B,), False, [("9", [["0"], [str(B)]])]),
        ("post", (), True, []),
        ("post", (Q, f"!{A}"), True, []),
    ],
)
def test_the_selected_cells_decide_the_rows(address, side, cells, partners, notes) -> None:
    """Of several cells, in the order of their selection; hidden cells have none, and a partner
    that does not exist or was not looked up is 0."""
    state = state_of(address, draw(f"precomputed://{address}/shaft", side), cells=cells)
    layer = fill_state(state, partners=partners)["layers"][-1]
    assert list_notes(layer) == notes
    assert layer["annotations"] == [] or layer["annotations"][0]["type"] == "point"


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({"linkedSegmentationLayer": "cells"}, 1),
        ({"linkedSegmentationLayer": {"pre": "cells"}}, 0),
        ({"linkedSegmentationLayer": "nowhere"}, 0),
        ({"linkedSegmentationLayer": None}, 0),
    ],
)
def test_a_layer_follows_the_segmentation_that_it_is_linked_to(address, changes, notes) -> None:
    """For all relationships at once, or for each; a layer that is linked to none is empty."""
    state = state_of(address, draw(f"precomputed://{address}/shaft", "post", **changes))
    assert len(fill_state(state)["layers"][-1]["annotations"]) == notes


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "image"},
        {"source": "precomputed://https://other.org/shaft"},
        {"source": None},
        {"filterBySegmentation": ["pre", "post"]},
        {"filterBySegmentation": "post"},
        {"filterBySegmentation": ["segments"]},
        {"filterBySegmentation": []},
        {"filterBySegmentation": None},
    ],
)
def test_other_layers_stay_unchanged(address, changes) -> None:
    """A layer on something else, or one that does not follow one side, is not ours to fill."""
    layer = draw(f"precomputed://{address}/shaft", "post", **changes)
    assert fill_state(state_of(address, layer))["layers"][-1] == layer


def test_the_first_of_a_layers_sources_that_is_published_counts(address) -> None:
    """Viewers can add sources to a layer."""
    mixed = ["precomputed://https://other.org/x", {"url": f"precomputed://{address}/shaft"}]
    layer = draw("", "post", source=mixed)
    assert len(fill_state(state_of(address, layer))["layers"][-1]["annotations"]) == 1


def test_a_state_without_a_source_stays_unchanged() -> None:
    """No request is needed for a state that holds its synapses, nor for any other."""
    plain = {"layers": [], "synglancer": Provenance(cell=A, version=1718).to_json()}
    for state in (plain, {"layers": []}):
        assert fill_state(state) is state
    with pytest.raises(ValueError, match="names no source"):
        open_recorded(Provenance(cell=A))


@pytest.mark.parametrize(
    ("changes", "now", "then"),
    [
        ({"datastack": "other"}, "datastack minnie65_public", "other"),
        ({"version": 1822}, "version 1718", "1822"),
        ({"table": "other"}, "table predictions_v7", "other"),
        ({"table": ""}, "table predictions_v7", ""),
    ],
)
def test_a_source_that_has_changed_is_refused(address, changes, now, then) -> None:
    """Its synapses are not those that the link shows."""
    assert open_recorded(record_of(address)).manifest.version == 1718
    with pytest.raises(ServiceError, match=f"now has the {now}; the link was made with {then}"):
        open_recorded(record_of(address, **changes))


def test_a_source_of_a_table_without_a_name_is_read(tmp_path) -> None:
    """Its links have no name of a table either; a link of a named table is another one."""
    with serve(publish(tmp_path)) as address:
        assert open_recorded(record_of(address, table="")).manifest.table is None
        with pytest.raises(ServiceError, match="now has the table ; the link"):
            open_recorded(record_of(address))
