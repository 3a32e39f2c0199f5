"""The rows of cells in a published source are counted as the link's layers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from links.published import make_rows, publish
from links.shelf import A, B, C, P, Q, R
from synglancer.links.kinds.source_rows import CellRows
from synglancer.publish.source import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.publish.source import Source

BOTH = ("inputs", "outputs")
TAGS = ("soma", "shaft", "spine")
ROWS = make_rows(
    (1, "spine", 0.9, 500, P, A),
    (2, "spine", 0.6, 300, P, A),
    (3, "shaft", 0.8, 200, Q, A),
    (4, "spine", 0.7, 100, A, R),
    (5, "shaft", 0.2, 900, A, A),
    (6, "spine", 0.3, 50, A, B),
    (7, "spine", 0.4, 60, B, A),
    (8, "shaft", 0.5, 70, A, B),
    (9, "soma", 0.5, 800, Q, B),
    (10, "soma", 0.5, 10, B, B),
    *((20 + n, "soma", 0.5, 10, P, C) for n in range(10)),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return open_source(str(publish(tmp_path_factory.mktemp("source"), ROWS)))


@pytest.fixture
def read(source):
    def read(*cells: int, directions: Sequence[str] = BOTH, tags: Sequence[str] = TAGS) -> CellRows:
        return CellRows(source.read_cells(cells), directions, tags)

    return read


def test_the_rows_of_one_cell_are_counted_by_direction_and_tag(read) -> None:
    """An autapse is among both, and tags without rows are left out."""
    held = read(A)
    assert held.count() == {"inputs": {"shaft": 2, "spine": 3}, "outputs": {"shaft": 2, "spine": 2}}
    assert (held.cells, held.shown, held.total) == ([A], 9, 9)
    assert held.autapses.tolist() == [5]
    assert len(held.shared) == 0
    assert held.positions[:, 0].tolist() == [10, 20, 70, 30, 50, 40, 60, 50, 80]


@pytest.mark.parametrize(
    ("directions", "tags", "counts", "shown", "total"),
    [
        (("inputs",), ("spine",), {"inputs": {"spine": 3}}, 3, 5),
        (("outputs",), ("shaft",), {"outputs": {"shaft": 2}}, 2, 4),
        (BOTH, ("soma",), {"inputs": {}, "outputs": {}}, 0, 9),
    ],
)
def test_the_total_has_all_tags_of_the_shown_directions(
    read, directions, tags, counts, shown, total
) -> None:
    """Only what is asked for is shown, and what was left out can be told."""
    held = read(A, directions=directions, tags=tags)
    assert (held.count(), held.shown, held.total) == (counts, shown, total)
    assert held.autapses.tolist() == ([5] if "shaft" in tags else [])
    assert held.positions.shape == (shown, 3)


def test_synapses_between_cells_are_found_once(read) -> None:
    """In both directions, and with the shown tags only; autapses are none of them."""
    held = read(A, B)
    assert held.count() == {
        "inputs": {"shaft": 3, "soma": 2, "spine": 4},
        "outputs": {"shaft": 2, "soma": 1, "spine": 3},
    }
    assert sorted(held.shared["id"].tolist()) == [6, 7, 8]
    assert held.autapses.tolist() == [5, 10]
    assert sorted(read(B, A, tags=("spine",)).shared["id"].tolist()) == [6, 7]
    assert read(B, A, tags=("soma",)).autapses.tolist() == [10]
    assert len(read(A, C).shared) == 0


@pytest.mark.parametrize(
    ("cells", "focus"),
    [
        ([A], None),
        ([B], None),
        ([C], (245.0, 245.0, 245.0)),
        ([C, A], (245.0, 245.0, 245.0)),
        ([A, C], None),
        ([A, B], (70.0, 70.0, 70.0)),
    ],
)
def test_the_view_is_centred_between_the_cells_or_on_a_soma(read, cells, focus) -> None:
    """The middle of ten synapses onto a soma lies inside it, that of fewer may not."""
    assert read(*cells).find_focus() == focus


def test_a_soma_needs_ten_synapses(tmp_path) -> None:
    """Whichever tags are shown; a source without such a tag has none."""
    rows = make_rows(*((n, "soma", 0.5, 10, P, A) for n in range(1, 10)))
    nine = open_source(str(publish(tmp_path, rows)))
    assert CellRows(nine.read_cells([A]), BOTH, ("soma",)).find_focus() is None
    other = make_rows((1, "spine", 0.5, 10, P, A))
    without = open_source(str(publish(tmp_path / "other", other)))
    assert CellRows(without.read_cells([A]), BOTH, ("spine",)).find_focus() is None


@pytest.mark.parametrize(
    ("confidence", "hidden"),
    [
        (0.1, {"inputs": {}, "outputs": {}}),
        (0.6, {"inputs": {"shaft": 1, "spine": 1}, "outputs": {"shaft": 2, "spine": 1}}),
        (0.61, {"inputs": {"shaft": 1, "spine": 2}, "outputs": {"shaft": 2, "spine": 1}}),
        (1.0, {"inputs": {"shaft": 2, "spine": 3}, "outputs": {"shaft": 2, "spine": 2}}),
    ],
)
def test_what_a_slider_hides_is_counted(read, confidence, hidden) -> None:
    """In float32, as the shader compares: a stored 0.6 passes 0.6."""
    assert read(A).count_below(confidence) == hidden


def test_layers_are_described_in_their_order(read) -> None:
    """Also those without rows, with what each annotation carries."""
    groups = read(A).build_groups(("size", "confidence"))
    told: list[Any] = [(one.direction, one.tag, one.count, one.median_size) for one in groups]
    assert told == [
        ("inputs", "spine", 3, 300.0),
        ("inputs", "shaft", 2, 550.0),
        ("inputs", "soma", 0, 0.0),
        ("outputs", "spine", 2, 75.0),
        ("outputs", "shaft", 2, 485.0),
        ("outputs", "soma", 0, 0.0),
    ]
    assert {tuple(one.id for one in group.properties) for group in groups} == {
        ("confidence", "size")
    }
    assert {group.json for group in groups} == {b""}
    bare = read(A).build_groups(("confidence",))
    assert [(one.median_size, len(one.properties)) for one in bare] == [(0.0, 1)] * 6


@pytest.mark.parametrize(
    ("cells", "options", "count", "partners"),
    [
        ([A], {}, 0, []),
        ([A], {}, 1, [(B, 3)]),
        ([A], {}, 9, [(B, 3), (P, 2), (Q, 1), (R, 1)]),
        ([A, B], {}, 9, [(Q, 2), (P, 2), (R, 1)]),
        ([A], {"directions": ("outputs",)}, 9, [(B, 2), (R, 1)]),
        ([A], {"tags": ("shaft",)}, 9, [(Q, 1), (B, 1)]),
    ],
)
def test_the_strongest_partners_are_found_among_what_is_shown(
    read, source, cells, options, count, partners
) -> None:
    """The cells shown are none of them, and ties are broken by the sizes."""
    assert read(*cells, **options).find_partners(count, source) == partners


def test_no_tag_may_be_left_to_show(read, source) -> None:
    """A source can hold only synapses without a prediction, which were not asked for."""
    held = read(A, B, tags=())
    assert held.count() == {"inputs": {}, "outputs": {}}
    assert (held.shown, held.total, held.find_focus()) == (0, 15, None)
    assert held.positions.shape == (0, 3)
    assert (held.autapses.tolist(), len(held.shared), held.build_groups(("size",))) == ([], 0, [])
    assert held.find_partners(3, source) == []
    assert read(C, tags=(), directions=("outputs",)).find_focus() == (245.0, 245.0, 245.0)


def test_a_source_without_sizes_has_partners(tmp_path) -> None:
    """Ties are then broken by the root ID."""
    rows = make_rows((1, "spine", 0.5, 10, Q, A), (2, "spine", 0.5, 90, P, A))
    del rows["size"]
    source = open_source(str(publish(tmp_path, rows)))
    held = CellRows(source.read_cells([A]), BOTH, ("spine",))
    assert held.find_partners(2, source) == [(P, 1), (Q, 1)]
    assert [one.median_size for one in held.build_groups(source.manifest.properties)] == [0, 0]
    assert np.isfinite(held.positions).all()
