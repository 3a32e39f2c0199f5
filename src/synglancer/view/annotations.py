"""Predictions -> Neuroglancer's JSON for point annotations, a column at a time.

One group per direction and tag, each a JSON array ready to be placed in a layer. The bytes are
canonical: they are what orjson writes with sorted keys after reading them, so the same rows give
the same bytes.

The viewer silently drops a whole layer if one of its annotations is malformed, and merges
annotations that share an ID. Values that would cause this are refused here, before any upload.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from synglancer.columns import PARTNER_TYPE
from synglancer.errors import BadAnswerError
from synglancer.settings import BETWEEN, UNKNOWN_TYPE, UNLABELLED
from synglancer.states.fields import MAX_EXACT
from synglancer.view.tag_order import rank_tag

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("inputs", "outputs", BETWEEN)

_POSITION = tuple(f"ctr_pt_position_{axis}" for axis in "xyz")
_IDS = ("id", "pre_pt_root_id", "post_pt_root_id")
_ROWS_AT_A_TIME = 1 << 12  # bounds the memory apart from the bytes that are made
_UINT8_VALUES, _UINT16_VALUES = 2**8, 2**16
_UINT32_MAX = 2**32 - 1


def choose_label_type(labels: int) -> str:
    """Choose Neuroglancer's smallest integer type that holds the numbers of this many labels.

    Examples
    --------
    >>> choose_label_type(256), choose_label_type(257)
    ('uint8', 'uint16')
    """
    if labels <= _UINT8_VALUES:
        return "uint8"
    return "uint16" if labels <= _UINT16_VALUES else "uint32"


@dataclass(frozen=True)
class AnnotationProperty:
    """A number that each annotation of a layer carries.

    Attributes
    ----------
    id
        Name in the layer; shaders read it as ``prop_<id>()``.
    type
        Neuroglancer's name of the type, e.g. ``float32``.
    description
        Description, shown by the viewer.
    labels
        The names for which the numbers stand, from 0 on; the viewer shows the names.
    """

    id: str
    type: str
    description: str
    labels: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Describe the property as in a layer, in JSON values."""
        described = {"id": self.id, "type": self.type, "description": self.description}
        if not self.labels:
            return described
        values = list(range(len(self.labels)))
        return {**described, "enum_values": values, "enum_labels": list(self.labels)}


CONFIDENCE = AnnotationProperty(
    "confidence", "float32", "Confidence of the classifier in the tag, 0 to 1"
)
SIZE = AnnotationProperty(
    "size", "uint32", "Size of the synapse, in voxels of the synapse detection"
)


@dataclass(frozen=True)
class AnnotationGroup:
    """The annotations of one layer.

    Attributes
    ----------
    direction
        ``inputs`` or ``outputs`` of the cells, or ``between`` them.
    tag
        Predicted postsynaptic target, e.g. ``spine``, or ``unlabelled``.
    count
        Number of annotations.
    json
        A JSON array of Neuroglancer point annotations: position in nm, the synapse ID as
        ``id``, pre- and postsynaptic root IDs as its two lists of segments.
    properties
        The properties in each annotation's ``props``, in order.
    median_size
        Median of the synapses' sizes, in voxels of their detection.
    """

    direction: str
    tag: str
    count: int
    json: bytes
    properties: tuple[AnnotationProperty, ...]
    median_size: float = 0.0


def build_annotations(predictions: pd.DataFrame) -> list[AnnotationGroup]:
    """Build the annotations of each direction and tag that has rows.

    Parameters
    ----------
    predictions : DataFrame, shape (n,)
        ``id``, ``pre_pt_root_id``, ``post_pt_root_id`` (uint64); ``direction``, ``tag`` (str);
        ``confidence`` (float32, missing only where the tag is ``unlabelled``); ``size`` (float32 or
        integer, voxels); ``ctr_pt_position_x/y/z`` (int64, nm). With a column ``partner_type``
        (str), annotations carry a number for the type, the same in all layers.

    Returns
    -------
    list of AnnotationGroup
        Inputs, outputs, then those between cells; within each, spine, shaft, soma, multi-input,
        other tags by name, unlabelled. Rows keep their order.

    Raises
    ------
    BadAnswerError
        If a value is missing or would make the viewer drop or merge annotations.

    Examples
    --------
    >>> [(group.direction, group.tag, group.count) for group in build_annotations(predictions)]
    [('inputs', 'spine', 2410), ('inputs', 'shaft', 602), ('outputs', 'spine', 207)]
    """
    columns = _read_columns(predictions)
    types = _read_types(predictions, columns)
    groups = []
    for direction, tag, rows in _find_groups(predictions):
        labelled = tag != UNLABELLED
        picked = {name: column[rows] for name, column in columns.items()}
        _check_group(picked, direction, tag, labelled=labelled)
        groups.append(
            AnnotationGroup(
                direction=direction,
                tag=tag,
                count=len(rows),
                json=_write_json(picked, labelled=labelled),
                properties=(*((CONFIDENCE, SIZE) if labelled else (SIZE,)), *types),
                median_size=float(np.median(picked["size"])),
            )
        )
    return groups


def _find_groups(predictions: pd.DataFrame) -> list[tuple[str, str, np.ndarray[Any, Any]]]:
    """Row numbers (int64) of each direction and tag, in the order of the layers."""
    for name in ("direction", "tag"):
        if predictions[name].isna().any():
            raise _bad(f"A synapse came without a {name}")
    for tag in sorted(set(predictions["tag"])):
        if "\0" in tag:  # pandas would confuse it with the tag up to the NUL
            raise _bad(f"The tag {tag!r} holds a NUL character")
    grouped = predictions.groupby(["direction", "tag"], sort=False, observed=True)
    found = cast("dict[tuple[str, str], np.ndarray[Any, Any]]", grouped.indices)
    named = [(str(direction), str(tag), rows) for (direction, tag), rows in found.items()]
    return sorted(named, key=lambda group: (*_rank_direction(group[0]), *rank_tag(group[1])))


def _rank_direction(name: str) -> tuple[int, str]:
    return (DIRECTIONS.index(name) if name in DIRECTIONS else len(DIRECTIONS), name)


def _read_columns(predictions: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    """Columns as numpy arrays: IDs uint64, positions int64 nm, size uint32, confidence float32."""
    columns = {name: _read_integers(predictions[name], pa.uint64()) for name in _IDS}
    for name in _POSITION:
        columns[name] = _read_integers(predictions[name], pa.int64())
        if len(predictions) and np.abs(columns[name]).max() > MAX_EXACT:
            raise _bad(f"A synapse has a {name} beyond any volume")
    size = predictions["size"].to_numpy(dtype=np.float64, na_value=np.nan)
    # NaN fails both comparisons, so it is caught here too.
    if not ((size >= 0) & (size <= _UINT32_MAX)).all():
        raise _bad("A synapse has a size that is missing, negative or too large")
    columns["size"] = np.rint(size).astype(np.uint32)
    columns["confidence"] = predictions["confidence"].to_numpy(dtype=np.float32, na_value=np.nan)
    return columns


def _read_types(
    predictions: pd.DataFrame, columns: dict[str, np.ndarray[Any, Any]]
) -> tuple[AnnotationProperty, ...]:
    """Replace the partners' types by numbers in a column; the unknown type is 0.

    Returns
    -------
    tuple of AnnotationProperty
        The property with the names of the types; empty if the predictions have no types.
    """
    if PARTNER_TYPE not in predictions.columns:
        return ()
    given = predictions[PARTNER_TYPE]
    labels = (UNKNOWN_TYPE, *sorted(set(given) - {UNKNOWN_TYPE}))
    kind = choose_label_type(len(labels))
    numbers = {label: number for number, label in enumerate(labels)}
    columns[PARTNER_TYPE] = given.map(numbers).to_numpy(dtype=kind)
    described = "Cell type of the partner: the cell on the other side of the synapse"
    return (AnnotationProperty(PARTNER_TYPE, kind, described, labels),)


def _read_integers(column: pd.Series[Any], dtype: Any) -> np.ndarray[Any, Any]:
    """Read a column of integers without converting to floats.

    Raises
    ------
    BadAnswerError
        If one is missing, fractional or does not fit.
    """
    try:
        values = pa.array(column, from_pandas=True).cast(dtype)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as err:
        raise _bad(f"The column {column.name} holds values that are not integers") from err
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if values.null_count:
        raise _bad(f"A synapse came without {column.name}")
    return values.to_numpy(zero_copy_only=False)


def _check_group(
    columns: dict[str, np.ndarray[Any, Any]], direction: str, tag: str, *, labelled: bool
) -> None:
    """Refuse values that would make a viewer silently drop annotations or the layer."""
    if labelled and not np.isfinite(columns["confidence"]).all():
        raise _bad(f"A synapse tagged {tag!r} has no finite confidence")
    ids = np.sort(columns["id"])
    if (ids[1:] == ids[:-1]).any():
        twice = ids[1:][ids[1:] == ids[:-1]][0]
        raise _bad(f"The synapse {twice} came twice among the {direction} tagged {tag!r}")


def _write_json(columns: dict[str, np.ndarray[Any, Any]], *, labelled: bool) -> bytes:
    """Write one group's array, of one row at least, some rows at a time into one buffer."""
    count = len(columns["id"])
    out = io.BytesIO()
    out.write(b"[")
    for start in range(0, count, _ROWS_AT_A_TIME):
        rows = {name: column[start : start + _ROWS_AT_A_TIME] for name, column in columns.items()}
        out.write(_join_rows(rows, labelled=labelled))
    out.seek(-1, io.SEEK_CUR)  # overwrite the last comma
    out.write(b"]")
    out.truncate()
    return out.getvalue()  # shares the buffer: no second copy


def _join_rows(rows: dict[str, np.ndarray[Any, Any]], *, labelled: bool) -> memoryview:
    """Write the rows' annotations, each followed by a comma, as one Arrow array's bytes."""
    numbers = [name for name in (*_IDS, "size", PARTNER_TYPE) if name in rows]
    text = {name: pc.cast(pa.array(rows[name]), pa.string()) for name in numbers}
    x, y, z = (pc.cast(pa.array(rows[name]), pa.string()) for name in _POSITION)
    props = [_write_floats(rows["confidence"]), ",", text["size"]] if labelled else [text["size"]]
    if PARTNER_TYPE in rows:
        props += [",", text[PARTNER_TYPE]]
    pieces = [
        '{"id":"',
        text["id"],
        '","point":[',
        *(x, ",", y, ",", z),
        '],"props":[',
        *props,
        '],"segments":[["',
        text["pre_pt_root_id"],
        '"],["',
        text["post_pt_root_id"],
        '"]],"type":"point"},',
    ]
    joined = pc.binary_join_element_wise(*pieces, "")
    # An Arrow string array keeps its values end to end: that run of bytes is the JSON.
    return memoryview(joined.buffers()[2])[: pc.sum(pc.binary_length(joined)).as_py()]


def _write_floats(values: np.ndarray[Any, Any]) -> Any:
    """Write the shortest decimals of a float32, in the way orjson writes a double.

    Python floats are used because orjson switches to exponents at other magnitudes for float32 than
    for doubles, so that a reader who parses and writes the text would change it.
    """
    shortest = orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
    return pa.array(orjson.dumps(shortest)[1:-1].decode("ascii").split(","), pa.string())


def _bad(message: str) -> BadAnswerError:
    return BadAnswerError(
        f"{message}.",
        "Try again later, or choose another --version. If it happens again, tell the owner "
        "of the table.",
    )
