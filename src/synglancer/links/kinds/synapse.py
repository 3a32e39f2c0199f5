"""Make a link to a single synapse: both cells, and the synapse selected on opening."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synglancer.cells.parse import Synapse, parse_cell
from synglancer.errors import CellError, UsageError
from synglancer.links.building import BUILDING, Asking, store_link
from synglancer.links.loaded import Loaded
from synglancer.links.make import Cells, LinkMaker, warm_up
from synglancer.links.record import build_record, list_changed
from synglancer.links.warnings import explain_live
from synglancer.settings import SAME_SPINE, SYNAPSE
from synglancer.states.record_parts import CellTypes, MultiInput, NamedSynapse
from synglancer.synapses.loading import CellData
from synglancer.synapses.named import NamedLoader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.links.link_record import LinkRecord
    from synglancer.settings import Settings
    from synglancer.states.record import Provenance
    from synglancer.synapses.ahead import Size
    from synglancer.synapses.named import NamedRows
    from synglancer.view.scene import OwnPoints
    from synglancer.view.state import State

_OF_CELLS = (
    "inputs",
    "outputs",
    "tag",
    "min_confidence",
    "max_confidence",
    "min_size",
    "partners",
    "review",
)
"""Options that choose among a cell's synapses."""


class SynapseMaker(LinkMaker):
    """Makes links for cells as `LinkMaker` does, and for synapses that are given by their IDs."""

    def __init__(
        self, settings: Settings, command: Sequence[str] | None = None, token: str | None = None
    ) -> None:
        super().__init__(settings, command, token)
        self._named = NamedLoader(settings, self._session)

    def lacks_rows(self, cell: str) -> bool:
        """Whether a synapse's rows must be queried, as `LinkMaker.lacks_rows` says for a cell."""
        synapses = _read_synapses([cell])
        if synapses:
            _check_settings(self._settings)
        unknown = any(self._load_known((Synapse(one),)) is None for one in synapses)
        return unknown or super().lacks_rows(cell)

    def fetch_ahead(self, cells: Sequence[str]) -> Size:
        """Fetch tables of a group of cells and synapses at once, for the links made next."""
        synapses = _read_synapses(cells)
        sizes = [super().fetch_ahead(cells)] if len(synapses) < len(cells) else []
        sizes += [self._named.fetch_ahead(synapses)] if synapses else []
        return max(sizes, key=lambda size: (size.limit is not None, size.rows))

    def forget(self, cell: str) -> None:
        """Forget the data fetched ahead for a cell or a synapse."""
        for synapse in _read_synapses([cell]):
            self._named.forget(synapse)
        super().forget(cell)

    def _parse_cells(self, given: Sequence[int | str]) -> Cells:
        """Read the given cells or synapses; a mixture is refused before any request."""
        typed = super()._parse_cells(given)
        synapses = [cell for cell in typed if isinstance(cell, Synapse)]
        if synapses and len(synapses) < len(typed):
            raise UsageError(
                "--together was given with both cells and single synapses.",
                "Show either cells or synapses together, or leave out --together.",
            )
        if synapses:
            _check_settings(self._settings)
        return typed

    def _resolve_and_make(self, typed: Cells, given: str, started: float) -> LinkRecord:
        synapses = [cell.value for cell in typed if isinstance(cell, Synapse)]
        if not synapses:
            return super()._resolve_and_make(typed, given, started)
        asking = Asking(self._settings, self._session, given, started, self._points)
        rows = self._named.load(synapses, warm_up)
        link = _build(asking, synapses, rows, self._named)
        self._save_link(typed, link)
        return link


def _read_synapses(cells: Sequence[str]) -> list[int]:
    """Read the synapse IDs among the given words, each once; other words wait for their turn."""
    named = []
    for cell in cells:
        with suppress(UsageError):
            named.append(parse_cell(cell))
    return [*dict.fromkeys(one.value for one in named if isinstance(one, Synapse))]


def _check_settings(settings: Settings) -> None:
    """Refuse options that choose among a cell's synapses or compare them by colour."""
    for name in list_changed(settings, _OF_CELLS):
        option = "--" + name.replace("_", "-")
        raise UsageError(
            f"{option} chooses among the synapses of a cell, but a single synapse was given.",
            f"Leave out {option}, or give the cell.",
        )
    if settings.color_by != "tag":
        raise UsageError(
            f"--color-by {settings.color_by} compares the synapses of a cell, but a single "
            "synapse was given.",
            "Leave out --color-by. To see the types of both cells, use --cell-types.",
        )


def _build(
    asking: Asking, synapses: Sequence[int], rows: NamedRows, loader: NamedLoader
) -> LinkRecord:
    """Build the record and the state of some synapses, and store the link."""
    from synglancer.synapses.predictions import count_predictions
    from synglancer.view.points import list_groups, place_points

    settings, session = asking.settings, asking.session
    named = [_describe(rows, synapse) for synapse in synapses]
    cells = _list_cells(named)
    shown, multi_input = _divide(settings, rows)
    loaded = Loaded(cells, rows.table, rows.frame, shown, CellData([], set()))
    points = place_points(asking.points, session.datastack.viewer_resolution, list_groups(shown))
    record = replace(
        build_record(settings, session, loaded),
        annotations=points.sources,
        counts=count_predictions(shown, _name_directions(shown)),
        autapses=0,
        multi_input=multi_input,
        cell_types=_describe_types(settings, rows, named),
        synapses=tuple(named),
    )
    with BUILDING:
        state = _build_state(asking, loaded, record, points)
    live = session.materialization.expired
    warnings = [
        *([explain_live(session.materialization)] if live else []),
        *_explain_ends(named),
        *rows.warnings,
        *points.warnings,
    ]
    return store_link(asking, state, record, warnings, loader.keep_tables)


def _describe(rows: NamedRows, synapse: int) -> NamedSynapse:
    """Describe a synapse."""
    row = rows.frame[rows.frame["id"] == synapse].iloc[0]
    pre, post = int(row["pre_pt_root_id"]), int(row["post_pt_root_id"])
    types: Any = rows.cell_types.types if rows.cell_types else {}
    sure = row["confidence"]
    return NamedSynapse(
        id=synapse,
        tag=str(row["tag"]),
        confidence=None if sure != sure else float(str(sure)),  # noqa: PLR0124  NaN
        size=round(float(row["size"])),
        pre=pre,
        post=post,
        pre_type=str(types.get(pre, "")),
        post_type=str(types.get(post, "")),
        same_spine=tuple(rows.same_spine.get(synapse, ())),
    )


def _list_cells(named: Sequence[NamedSynapse]) -> list[int]:
    """List the cells to select: first the cell of all synapses, or the first postsynaptic cell.

    Raises
    ------
    CellError
        When a synapse has no cell on either side.
    """
    for one in named:
        if not one.pre and not one.post:
            raise CellError(
                f"Synapse {one.id} lies in no cell of the segmentation, on either side.",
                "Give another synapse, or choose another --version.",
            )
    ends = [cell for one in named for cell in dict.fromkeys((one.post, one.pre)) if cell]
    commonest, number = Counter(ends).most_common(1)[0]
    return list(dict.fromkeys([commonest, *ends] if number == len(named) else ends))


def _divide(settings: Settings, rows: NamedRows) -> tuple[pd.DataFrame, MultiInput | None]:
    """Give synapses that share a spine their own tag, if requested."""
    import numpy as np

    from synglancer.synapses.shared_spines import count_former_tags, divide_tags

    if not settings.multi_input:
        return rows.frame, None
    sharing = {synapse for synapse, others in rows.same_spine.items() if others}
    sharing |= {other for others in rows.same_spine.values() for other in others}
    shown = divide_tags(rows.frame, np.array([*sharing], dtype="uint64"), ())
    former = count_former_tags(rows.frame, shown, _name_directions(shown))
    return shown, MultiInput(str(settings.multi_input_table), former)


def _name_directions(shown: pd.DataFrame) -> list[str]:
    present = {*shown["direction"]}
    return [name for name in (SYNAPSE, SAME_SPINE) if name in present]


def _describe_types(
    settings: Settings, rows: NamedRows, named: Sequence[NamedSynapse]
) -> CellTypes | None:
    """Describe the types of the cells on both sides, if requested."""
    from synglancer.settings import UNKNOWN_TYPE
    from synglancer.synapses.cell_types import sort_types

    if rows.cell_types is None:
        return None
    kinds = {one.pre: one.pre_type for one in named} | {one.post: one.post_type for one in named}
    kinds.pop(0, None)
    listed = [kind or UNKNOWN_TYPE for kind in kinds.values()]
    return CellTypes(
        str(settings.cell_type_view),
        settings.cell_type_column,
        partners={kind: listed.count(kind) for kind in sort_types({*listed})},
        known=sum(kind != "" for kind in kinds.values()),
        ambiguous=len(rows.cell_types.ambiguous & {*kinds}),
    )


def _explain_ends(named: Sequence[NamedSynapse]) -> list[str]:
    """Warn of synapses with no cell on one side, and of autapses."""
    warnings = []
    for one in named:
        for side, cell in (("presynaptic", one.pre), ("postsynaptic", one.post)):
            if not cell:
                warnings.append(f"The segmentation has no {side} cell at synapse {one.id}.")
        if one.pre == one.post:
            warnings.append(f"Synapse {one.id} is from a cell onto itself (an autapse).")
    return warnings


def _build_state(asking: Asking, loaded: Loaded, record: Provenance, points: OwnPoints) -> State:
    from synglancer.columns import POSITION_COLUMNS
    from synglancer.view.annotations import build_annotations
    from synglancer.view.kinds.synapse import build_synapse_state, choose_end_colors
    from synglancer.view.scene import Scene
    from synglancer.view.staging import choose_options

    settings, session, shown = asking.settings, asking.session, loaded.shown
    positions = shown[POSITION_COLUMNS].to_numpy(dtype=float)
    first = (shown["id"] == record.synapses[0].id).to_numpy()
    x, y, z = positions[first][0].tolist()
    scene = Scene(
        cells=loaded.cells,
        datastack=session.datastack,
        materialization=session.materialization,
        groups=build_annotations(shown),
        positions=positions,
        record=record.to_json(),
        focus=(x, y, z),
        further=points.layers,
    )
    background = "white" if settings.figure else settings.background
    options = replace(
        choose_options(settings, loaded.cells, []),
        cells=choose_end_colors(loaded.cells, background),
    )
    return build_synapse_state(scene, options, record.synapses)
