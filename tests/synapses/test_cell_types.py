"""Partners' types are read from a view, and put on synapses and into the list of segments."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pandas as pd
import pytest

from synglancer.columns import DTYPES
from synglancer.errors import BadAnswerError
from synglancer.synapses.cell_types import build_cell_types, describe_partners, label_partners
from synglancer.view.annotations import build_annotations
from synglancer.view.segment_properties import build_segment_properties

CELL = 864_691_135_276_234_469

VIEW = pd.DataFrame(
    [
        *((1, CELL, "23P"), (2, 5, "BC"), (3, 5, "BC"), (4, 6, "BC"), (5, 6, "MC")),
        *((6, 7, None), (7, 8, " "), (8, 0, "NGC"), (9, 9, "L2/3 IT")),
        (10, pd.NA, "MC"),
    ],
    columns=["id", "pt_root_id", "cell_type"],
).astype({"pt_root_id": "Int64", "cell_type": "string"})


def synapses(*pairs: tuple[str, int]) -> pd.DataFrame:
    kinds = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}
    rows = [
        (number, direction, "spine", 0.5, 100, *ends, 1, 2, 3)
        for number, (direction, partner) in enumerate(pairs, start=1)
        for ends in [(partner, CELL) if direction == "inputs" else (CELL, partner)]
    ]
    return pd.DataFrame(rows, columns=list(DTYPES)).astype(kinds)


def test_a_view_gives_one_type_a_cell() -> None:
    """Rows that agree give one type; rows that disagree, are empty or name no cell give none. Cells
    with several types are remembered."""
    types = build_cell_types(VIEW, "types", "cell_type")
    assert types.types.to_dict() == {CELL: "23P", 5: "BC", 9: "L2/3 IT"}
    assert types.types.index.dtype == "uint64"
    assert (types.view, types.column) == ("types", "cell_type")
    assert types.ambiguous == {6}
    none = build_cell_types(VIEW[:0].astype({"cell_type": object}), "types", "cell_type")
    assert none.types.empty


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (VIEW.drop(columns="cell_type"), "the column 'cell_type' is missing or occurs twice"),
        (VIEW.assign(cell_type=3), "the column 'cell_type' holds values that are not text"),
        (VIEW.astype({"pt_root_id": "float64"}), "the root IDs are not integers"),
    ],
)
def test_views_of_another_kind_are_refused(raw: pd.DataFrame, why: str) -> None:
    """A view without the column, with values other than text, or with rounded IDs is an error."""
    with pytest.raises(BadAnswerError) as refused:
        build_cell_types(raw, "types", "cell_type")
    assert f"{refused.value} {refused.value.hint}" == (
        f"The view 'types' of cell types cannot be read: {why}. Check the names given with "
        "--cell-type-view and --cell-type-column."
    )


SHOWN = synapses(
    *(("inputs", 5), ("inputs", 5), ("inputs", 6), ("outputs", 9), ("outputs", 0)),
    *(("inputs", CELL), ("outputs", 2**63 + 11)),
)
TYPES = build_cell_types(VIEW, "types", "cell_type")


def test_partners_are_described_as_they_are() -> None:
    """Synapses are counted by direction and the partner's type, and partners once each; no cell and
    the cell itself are not partners; cells without a type are unknown."""
    described = describe_partners(
        label_partners(SHOWN, TYPES), [CELL], TYPES, ["inputs", "outputs", "between"]
    )
    assert described == {
        "view": "types",
        "column": "cell_type",
        "synapses": {
            "inputs": {"23P": 1, "BC": 2, "unknown": 1},
            "outputs": {"L2/3 IT": 1, "unknown": 2},
            "between": {},
        },
        "partners": {"BC": 1, "L2/3 IT": 1, "unknown": 2},
        "known": 2,
        "ambiguous": 1,
    }


def test_partners_with_a_type_are_counted() -> None:
    """Here two of three have one; the unknown type stands behind types that follow it by name."""
    view = VIEW.assign(cell_type=VIEW["cell_type"].replace("BC", "zeta"))
    types = build_cell_types(view, "types", "cell_type")
    shown = label_partners(synapses(("inputs", 5), ("inputs", 9), ("outputs", 77)), types)
    described = describe_partners(shown, [CELL], types, ["inputs"])
    assert described["known"] == 2
    assert [*described["partners"]] == ["L2/3 IT", "zeta", "unknown"]


def test_annotations_carry_a_number_that_is_named() -> None:
    """All layers use the same numbers for types, with 0 for the unknown type, in each
    annotation."""
    for group in build_annotations(label_partners(SHOWN, TYPES)):
        prop = group.properties[-1]
        assert (prop.id, prop.type) == ("partner_type", "uint8")
        assert prop.labels == ("unknown", "23P", "BC", "L2/3 IT")
        notes = json.loads(group.json)
        types = label_partners(SHOWN, TYPES).set_index("id")["partner_type"]
        assert [prop.labels[note["props"][-1]] for note in notes] == [
            types[int(note["id"])] for note in notes
        ]


def test_more_types_than_a_byte_holds_are_numbered() -> None:
    """With 300 types, the numbers have 16 bits, and each still has its name."""
    many = synapses(*(("inputs", root) for root in range(1, 301)))
    [group] = build_annotations(many.assign(partner_type=[f"t{number}" for number in range(300)]))
    prop = group.properties[-1]
    assert prop.type == "uint16"
    notes = json.loads(group.json)
    assert [prop.labels[note["props"][-1]] for note in notes] == [f"t{n}" for n in range(300)]


def test_segment_properties_are_sorted_and_whole() -> None:
    """All partners and the cell are listed by rising ID, as the viewer merges them, with their type
    as a tag without white space and their numbers of synapses; no ID loses a digit."""
    content = json.loads(build_segment_properties(SHOWN, [CELL], TYPES, ["inputs", "outputs"]))
    inline = content["inline"]
    assert content["@type"] == "neuroglancer_segment_properties"
    assert inline["ids"] == ["5", "6", "9", str(CELL), str(2**63 + 11)]
    tags, inputs, outputs = inline["properties"]
    assert [[tags["tags"][tag] for tag in row] for row in tags["values"]] == [
        *(["BC"], [], ["L2/3_IT"], ["23P"], []),
    ]
    assert (inputs["id"], inputs["values"]) == ("inputs", [2, 1, 0, 1, 0])
    assert (outputs["id"], outputs["values"]) == ("outputs", [0, 0, 1, 0, 1])


def test_threads_may_look_up_types_at_once() -> None:
    """The links of a batch share the types; pandas' first look-up is not safe in threads."""
    roots = pd.Series(range(CELL, CELL + 20_000), dtype="uint64")
    view = pd.DataFrame({"pt_root_id": roots, "cell_type": "BC"})
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(40):
                types, ready = build_cell_types(view, "v", "cell_type").types, Barrier(8)

                def look(_, types=types, ready=ready) -> int:
                    ready.wait()
                    return int(roots[::5].map(types).notna().sum())

                assert [*pool.map(look, range(8))] == [4_000] * 8
    finally:
        sys.setswitchinterval(pause)
