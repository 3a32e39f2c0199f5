"""The table of predictions: columns, dtypes, units, filters, completeness.

Raw tables from `cave` are checked and converted to a common form, on which all other code relies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from synglancer.columns import ASKED_COLUMN, CELL_COLUMN, DTYPES, POSITION_COLUMNS
from synglancer.errors import BadAnswerError
from synglancer.settings import BETWEEN, MULTI_INPUT, SYNAPSE, UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

UNTAGGED = "untagged"
"""The tag of predictions whose tag is missing."""

OWN_TAGS = frozenset({UNLABELLED, UNTAGGED, MULTI_INPUT})
"""Our own names in place of a tag, which are not tags of the table."""

_OF_TABLE = " (tag)"
_MOST_VOXELS = 2**32 - 1  # viewers hold sizes as uint32
_LARGEST = np.nextafter(np.float32(2**32), np.float32(0))  # the largest float32 that one holds


@dataclass(frozen=True)
class Checked:
    """A checked table, and notes on it.

    Attributes
    ----------
    frame
        Rows sorted by synapse ID; columns and dtypes as in `DTYPES`.
    left_out
        Rows that were left out, once for each reason, with the column ``why``; see
        `explain_left_out`.
    ids
        Synapse IDs of all rows, including those left out; shape (n,), uint64.
    """

    frame: pd.DataFrame
    left_out: pd.DataFrame
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, dtype="uint64"), compare=False)


def join_raw(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join raw answers, without empty ones, which have no column types."""
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if len(filled) > 1 else (filled or [*parts])[0]


def build_predictions(raw: pd.DataFrame, cells: Collection[int], direction: str) -> Checked:
    """Check a raw answer and convert it to the common form.

    Parameters
    ----------
    raw
        Columns ``id``, ``size``, ``pre_pt_root_id``, ``post_pt_root_id``, ``ctr_pt_position_x``,
        ``_y``, ``_z`` (nm) and, for predictions, ``tag`` and ``value``; in any order, and possibly
        others. Without ``tag`` and ``value``, the synapses count as unlabelled.
    cells
        The requested root IDs; for synapses, the requested synapse IDs.
    direction
        ``inputs`` or ``outputs``, or ``synapse`` for synapses requested by their IDs.

    Returns
    -------
    Checked
        The rows, one for each synapse.

    Raises
    ------
    BadAnswerError
        When a column is missing or has the wrong type, or a row belongs to another cell.
    """
    labelled = "tag" in raw.columns or "value" in raw.columns
    voxels = _floats(raw, "size", "float64")
    positions, placed = _place(raw)
    frame = pd.DataFrame(
        {
            "id": _read_ids(raw, "id"),
            "direction": np.full(len(raw), direction, dtype=object),
            "tag": pd.Series(
                _tags(raw) if labelled else UNLABELLED, index=range(len(raw)), dtype=object
            ),
            "confidence": _floats(raw, "value")
            if labelled
            else np.full(len(raw), np.nan, dtype="float32"),
            "size": np.minimum(voxels, _LARGEST).astype("float32"),
            "pre_pt_root_id": _read_ids(raw, "pre_pt_root_id"),
            "post_pt_root_id": _read_ids(raw, "post_pt_root_id"),
            **positions,
        },
    )
    if not frame[ASKED_COLUMN[direction]].isin(np.array([*cells], dtype="uint64")).all():
        named = ", ".join(str(cell) for cell in cells)
        others = "synapses other" if direction == SYNAPSE else "synapses of cells other"
        raise BadAnswerError(
            f"The server's answer holds {others} than {named}.",
            "Try again; if it happens again, tell the server's administrators.",
        )
    has = {"position": placed}
    # NaN fails all of these comparisons.
    has[f"size between 0 and {_MOST_VOXELS:,} voxels"] = (voxels >= 0) & (voxels <= _MOST_VOXELS)
    if labelled:
        sure = frame["confidence"].to_numpy()
        has["confidence between 0 and 1"] = (sure >= 0) & (sure <= 1)
    kind = "" if labelled else " without a prediction"
    return _keep_whole_rows(frame, has, kind)


def _place(raw: pd.DataFrame) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the columns of positions, and which rows have a position."""
    placed = np.ones(len(raw), dtype=bool)
    positions = {}
    for column in POSITION_COLUMNS:
        values = _floats(raw, column, "float64")
        placed &= np.isfinite(values)
        positions[column] = np.rint(np.where(np.isfinite(values), values, 0)).astype("int64")
    return positions, placed


def _keep_whole_rows(frame: pd.DataFrame, has: dict[str, np.ndarray], kind: str) -> Checked:
    """Leave out incomplete rows and repeated rows of the same synapse, and record why."""
    ids = frame["id"].to_numpy()
    left_out = [
        frame[~there].assign(
            why=f"{{count:,}} {{name}}{kind} {{have}} no {what} and {{are}} left out."
        )
        for what, there in has.items()
        if not there.all()
    ]
    if left_out:
        frame = frame[np.logical_and.reduce([*has.values()])]
    frame, repeated = _sort_rows(frame)
    if len(repeated):
        why = (
            f"{{count:,}} further {{rows}} of {{names}}{kind} {{repeat}} a synapse; the most "
            "confident is shown."
        )
        left_out.append(repeated.assign(why=why))
    left_out = left_out or [frame[:0].assign(why="")]
    return Checked(frame, pd.concat(left_out, ignore_index=True), ids)


def _sort_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sort by synapse ID, independent of the server's order, and separate the repeated rows.

    Of several rows of a synapse, the most confident is kept.
    """
    if frame["id"].is_unique:
        return frame.sort_values("id", ignore_index=True), frame[:0]
    others = [name for name in DTYPES if name not in {"id", "confidence"}]
    ascending = [True, False, *(True for _ in others)]
    frame = frame.sort_values(["id", "confidence", *others], ascending=ascending)
    repeated = frame["id"].duplicated()
    return frame[~repeated].reset_index(drop=True), frame[repeated]


def _column(raw: pd.DataFrame, name: str) -> pd.Series:
    if list(raw.columns).count(name) != 1:
        raise BadAnswerError(
            f"The server's answer lacks the column {name!r} or has it twice.",
            "Check that --table names a table of predictions that refers to synapses.",
        )
    return raw[name]


def _wrong_kind(name: str) -> BadAnswerError:
    return BadAnswerError(
        f"The column {name!r} of the server's answer has values of the wrong type.",
        "Check that --table names a table of predictions that refers to synapses.",
    )


def _read_ids(raw: pd.DataFrame, name: str) -> np.ndarray:
    column = _column(raw, name)
    # Floats are refused, because they have already rounded 64-bit IDs.
    if len(column) and not pd.api.types.is_integer_dtype(column.dtype):
        raise _wrong_kind(name)
    if column.isna().any() or (len(column) and column.min() < 0):
        raise _wrong_kind(name)
    return column.to_numpy(dtype="uint64")


def _floats(raw: pd.DataFrame, name: str, dtype: str = "float32") -> np.ndarray:
    column = _column(raw, name)
    if len(column) and not pd.api.types.is_numeric_dtype(column.dtype):
        raise _wrong_kind(name)
    return column.to_numpy(dtype=dtype, na_value=np.nan)


def _tags(raw: pd.DataFrame) -> list[str]:
    column = _column(raw, "tag")
    lacking = column.isna().to_numpy()
    tags = [tag for tag, missing in zip(column, lacking, strict=True) if not missing]
    if not all(isinstance(tag, str) for tag in tags):
        raise _wrong_kind("tag")
    for tag in dict.fromkeys(tags):
        if "\0" in tag:  # pandas would confuse it with the tag up to the NUL
            raise BadAnswerError(
                f"The tag {tag!r} of the server's answer holds a NUL character.",
                "Tell the owner of the table.",
            )
    names = {tag: name_tag(tag) for tag in dict.fromkeys(tags)}
    return [
        UNTAGGED if missing else names[tag] for tag, missing in zip(column, lacking, strict=True)
    ]


def name_tag(tag: str) -> str:
    """Rename a tag of the table that equals one of `OWN_TAGS`; other tags stay unchanged.

    No two tags get the same name.

    Examples
    --------
    >>> name_tag("spine"), name_tag("unlabelled"), name_tag("unlabelled (tag)")
    ('spine', 'unlabelled (tag)', 'unlabelled (tag) (tag)')
    """
    plain = tag
    while plain.endswith(_OF_TABLE):
        plain = plain.removesuffix(_OF_TABLE)
    return tag + _OF_TABLE if plain in OWN_TAGS else tag


def build_unlabelled(
    raw: pd.DataFrame, cells: Collection[int], direction: str, labelled: Checked
) -> Checked:
    """Check a raw answer with all of the cells' synapses, and keep those without a prediction.

    Rows in both answers are handled by the other one, which reports what it left out.

    Parameters
    ----------
    raw, cells, direction
        As for `build_predictions`, without ``tag`` and ``value``.
    labelled
        The synapses with a prediction, in the same direction.
    """
    rest = ~np.isin(_read_ids(raw, "id"), labelled.ids)
    return build_predictions(raw[rest], cells, direction)


def count_autapses(frame: pd.DataFrame) -> int:
    """Count the synapses of cells onto themselves, each once even if shown twice."""
    own = frame["pre_pt_root_id"] == frame["post_pt_root_id"]
    return int(frame.loc[own, "id"].nunique())


def join_predictions(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of predictions, keeping columns and dtypes even if all are empty."""
    filled = [part for part in parts if len(part)]
    if not filled:
        kinds = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return pd.concat(filled, ignore_index=True)


def find_cells(frame: pd.DataFrame) -> set[int]:
    """Find the cells that have rows in a table of their inputs and outputs."""
    return {
        int(cell)
        for direction, column in CELL_COLUMN.items()
        for cell in frame.loc[frame["direction"] == direction, column].unique()
    }


def find_ends(frame: pd.DataFrame) -> set[int]:
    """Find all cells with a synapse in a table, on either side."""
    ends = (frame[column].unique().tolist() for column in CELL_COLUMN.values())
    return {cell for side in ends for cell in side}


def gather_between(frame: pd.DataFrame, cells: Collection[int]) -> pd.DataFrame:
    """Give the synapses from one of the cells onto another their own direction.

    Such a synapse is an output of one cell and an input of another; the result has it once, as
    ``between``. If only one direction was requested, its rows include these synapses, which also
    become ``between``. Synapses of a cell onto itself stay unchanged.

    Parameters
    ----------
    frame
        A table of predictions, inputs and outputs of the cells.
    cells
        Root IDs of the cells that are shown together.

    Returns
    -------
    pandas.DataFrame
        The other rows, then those between the cells; columns and dtypes as in `DTYPES`.
    """
    inside = _lie_between(frame, cells)
    if not inside.any():
        return frame
    between = frame[inside].drop_duplicates("id").assign(direction=BETWEEN)
    return join_predictions([frame[~inside], between])


def _lie_between(frame: pd.DataFrame, cells: Collection[int]) -> pd.Series[bool]:
    """Find the rows of synapses from one of the cells onto another."""
    known = np.array([*cells], dtype="uint64")
    pre, post = frame["pre_pt_root_id"], frame["post_pt_root_id"]
    return pre.isin(known) & post.isin(known) & (pre != post)


def explain_left_out(tables: Sequence[Checked], cells: Collection[int]) -> list[str]:
    """Say what was left out of tables, one sentence for each kind of row.

    A synapse from one of the cells onto another is in the tables of both directions: it counts
    once, as between them.

    Parameters
    ----------
    tables
        Inputs and outputs of the cells.
    cells
        Root IDs of the cells that are shown together.
    """
    if not any(len(table.left_out) for table in tables):
        return []
    rows = pd.concat([table.left_out for table in tables], ignore_index=True)
    inside, received = _lie_between(rows, cells), rows["direction"] == "inputs"
    keys = pd.MultiIndex.from_frame(rows[["why", "id"]])
    again = inside & ~received & keys.isin(keys[inside & received])
    names = rows["direction"].mask(inside, "synapses between the cells")
    counts = rows[~again].groupby(["why", names[~again]], sort=False).size()
    return [_count_rows(str(why), int(count), name) for (why, name), count in counts.items()]


def _count_rows(why: str, count: int, names: str) -> str:
    """Write why rows were left out, with the right singular or plural."""
    first, space, rest = names.partition(" ")
    words = {"rows": "rows", "repeat": "repeat", "have": "have", "are": "are", "name": names}
    if count == 1:
        one = first.removesuffix("s") + space + rest
        words = {"rows": "row", "repeat": "repeats", "have": "has", "are": "is", "name": one}
    return why.format(count=count, names=names, **words)


def name_directions(asked: Sequence[str], cells: Collection[int]) -> tuple[str, ...]:
    """List the directions of counts: the requested ones, and ``between`` for several cells."""
    return (*asked, BETWEEN) if len(cells) > 1 else (*asked,)


def filter_predictions(
    frame: pd.DataFrame,
    *,
    tags: Collection[str] = (),
    min_confidence: float = 0.0,
    max_confidence: float = 1.0,
    min_size: float = 0.0,
) -> pd.DataFrame:
    """Keep the predictions that pass every filter.

    Synapses without a prediction have no tag and no confidence, so they pass these filters.

    Parameters
    ----------
    frame
        A table of predictions.
    tags
        Tags to keep; all when empty.
    min_confidence, max_confidence
        The least and the greatest confidence, 0 … 1.
    min_size
        The least size, in voxels.
    """
    unlabelled = frame["tag"] == UNLABELLED
    # Compared as float32, the table's own precision: 0.9 keeps a stored 0.9.
    sure = frame["confidence"].between(np.float32(min_confidence), np.float32(max_confidence))
    keep = (frame["size"] >= min_size) & (sure | unlabelled)
    if tags:
        keep &= frame["tag"].isin(list(tags)) | unlabelled
    return frame[keep].reset_index(drop=True)


def count_predictions(frame: pd.DataFrame, directions: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the predictions per direction and tag, tags sorted."""
    counts: dict[str, dict[str, int]] = {direction: {} for direction in directions}
    sizes = frame.groupby(["direction", "tag"], sort=True).size().reset_index(name="count")
    for direction, tag, count in zip(sizes["direction"], sizes["tag"], sizes["count"], strict=True):
        counts.setdefault(direction, {})[tag] = int(count)
    return counts
