"""Encode annotations, and build the info file that describes them.

The format is Neuroglancer's ``neuroglancer_annotations_v1`` for points with two relationships.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys, Sharding

RELATIONSHIPS = ("pre", "post")

_COUNT, _ID = 8, 8  # bytes

PROPERTIES: dict[str, dict[str, str]] = {
    "confidence": {
        "id": "confidence",
        "type": "float32",
        "description": "Confidence of the classifier in the tag, 0 to 1",
    },
    "size": {
        "id": "size",
        "type": "uint32",
        "description": "Size of the synapse, in voxels of the synapse detection",
    },
}
"""The numbers that an annotation can have, in this order; each takes 4 bytes."""

KIND: dict[str, Any] = {
    "@type": "neuroglancer_annotations_v1",
    "dimensions": {axis: [1e-9, "m"] for axis in "xyz"},
    # In capitals, because cloud-volume reads no other spelling; viewers read both.
    "annotation_type": "POINT",
}
"""What each info file says alike: points whose unit is the nanometre."""

ROW = np.dtype(
    [
        ("point", "<f4", 3),
        ("confidence", "<f4"),
        ("size", "<u4"),
        ("id", "<u8"),
        ("pre", "<u8"),
        ("post", "<u8"),
        ("tag", "<u4"),
    ]
)
"""The type of a checked row: the point is in nm, and the tag is a number."""


def body_type(properties: Sequence[str]) -> np.dtype[Any]:
    """Return the type of an annotation's stored point and numbers."""
    fields: list[Any] = [("point", "<f4", 3)]
    fields += [(name, ROW[name].str) for name in PROPERTIES if name in properties]
    return np.dtype(fields)


def record_type(index: str) -> np.dtype[Any]:
    """Return the type of a row that is sorted for an index: the first fields of `ROW`.

    Rows can then be moved as a whole, which is several times faster than field by field.

    Parameters
    ----------
    index
        ``by_id``, a relationship, or ``spatial``.
    """
    last = {"by_id": "post", "spatial": "id"}.get(index, index)
    names = list(ROW.names or ())
    return np.dtype([(name, ROW[name]) for name in names[: names.index(last) + 1]])


def take_records(
    rows: NDArray[Any], index: str, order: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Return rows with the fields that an index needs, in a given order if any.

    Parameters
    ----------
    rows : ndarray, shape (n,)
        Rows of the type `ROW`, or of an index's type that has all the needed fields.
    index
        The index, which decides how many fields are kept.
    order : ndarray of int64, shape (m,)
        The rows to take.
    """
    kind = record_type(index)
    taken = _view_field(rows, "point", kind.itemsize)
    taken = np.ascontiguousarray(taken) if order is None else taken[order]
    return taken.view(kind)


def encode_single(
    records: NDArray[Any], order: NDArray[np.int64], properties: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode annotations one by one, each with the cells on both sides of the synapse.

    Parameters
    ----------
    records : ndarray, shape (n,)
        Rows of the type for ``by_id``. Root ID 0 means no cell and is left out.
    order : ndarray of int64, shape (n,)
        The order in which they are stored.
    properties
        Names of the numbers that annotations have.

    Returns
    -------
    data : ndarray of uint8
        All annotations, one after the other.
    sizes : ndarray of int64, shape (n,)
        Size of each annotation in bytes.
    """
    records = take_records(records, "by_id", order)
    body = body_type(properties)
    fields = [("body", f"V{body.itemsize}"), ("pres", "<u4"), ("pre", "<u8"), ("posts", "<u4")]
    out = np.empty(len(records), np.dtype([*fields, ("post", "<u8")]))
    out["body"] = _take_bodies(records, body)
    for count, side in (("pres", "pre"), ("posts", "post")):
        out[side] = records[side]
        out[count] = records[side] != 0
    words = out.view("<u4").reshape(len(records), out.itemsize // 4)
    sizes = out.itemsize - 8 * (2 - out["pres"].astype(np.int64) - out["posts"])
    if (sizes == out.itemsize).all():
        return words.reshape(-1).view(np.uint8), sizes
    kept = np.ones(words.shape, dtype=bool)
    for count, side in (("pres", "pre"), ("posts", "post")):
        start = out.dtype.fields[side][1] // 4  # type: ignore[index]
        kept[:, start : start + 2] = (out[count] != 0)[:, None]
    return words[kept].view(np.uint8), sizes


def encode_groups(
    records: NDArray[Any],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    properties: Sequence[str],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode groups of annotations: each is a count, then all points and numbers, then all IDs.

    Parameters
    ----------
    records : ndarray, shape (n,)
        Rows of the type for a relationship or ``spatial``.
    order : ndarray of int64, shape (n,)
        The order in which they are stored; rows of a group are adjacent.
    starts : ndarray of int64, shape (groups,)
        Where each group begins in that order.
    properties
        Names of the numbers that annotations have.

    Returns
    -------
    data : ndarray of uint8
        All groups, one after the other.
    sizes : ndarray of int64, shape (groups,)
        Size of each group in bytes.
    """
    records = take_records(records, "spatial", order)
    body = body_type(properties)
    step = body.itemsize
    counts = np.diff(starts, append=len(records))
    sizes = _COUNT + (step + _ID) * counts
    begins = np.cumsum(sizes) - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    _view_pieces(out, _COUNT)[begins // 4] = counts.astype("<u8").view(f"V{_COUNT}")
    # The rows of a group have the same spacing in the file as here, so one shift fits all of them.
    numbers = np.arange(len(records), dtype=np.int64)
    place = step * numbers + np.repeat(begins + _COUNT - step * starts, counts)
    _view_pieces(out, step)[place // 4] = _take_bodies(records, body)
    place = _ID * numbers + np.repeat(begins + _COUNT + step * counts - _ID * starts, counts)
    _view_pieces(out, _ID)[place // 4] = _view_field(records, "id", _ID)
    return out, sizes


def _view_pieces(data: NDArray[np.uint8], size: int) -> NDArray[Any]:
    """View data as overlapping pieces of a given size, one starting at each word."""
    return np.ndarray((max(0, (len(data) - size) // 4 + 1),), f"V{size}", data, 0, (4,))


def _view_field(records: NDArray[Any], first: str, size: int) -> NDArray[Any]:
    """View a number of bytes of each record, starting at a field."""
    offset = records.dtype.fields[first][1]  # type: ignore[index]
    kind = np.dtype(
        {"names": ["part"], "formats": [f"V{size}"], "offsets": [offset],
         "itemsize": records.dtype.itemsize}
    )  # fmt: skip
    return records.view(kind)["part"]


def _take_bodies(records: NDArray[Any], body: np.dtype[Any]) -> NDArray[Any]:
    """Return the first part of each stored annotation, as bytes that numpy moves as a whole."""
    names = list(body.names or ())
    if names == list(records.dtype.names or ())[: len(names)]:
        return _view_field(records, names[0], body.itemsize)
    packed = np.empty(len(records), body)
    for name in names:
        packed[name] = records[name]
    return packed.view(f"V{body.itemsize}")


def build_info(
    bounds: tuple[Sequence[float], Sequence[float]],
    properties: Sequence[str],
    shardings: Mapping[str, Sharding],
    spatial: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Build the info file of a source.

    Parameters
    ----------
    bounds
        Lower bound, and exclusive upper bound, in nm.
    properties
        Names of the numbers that annotations have.
    shardings
        The shardings of ``by_id`` and each relationship.
    spatial
        The levels from coarse to fine: ``key``, ``grid_shape``, ``chunk_size`` (nm), ``limit``,
        ``sharding``.
    """
    return {
        "@type": KIND["@type"],
        "dimensions": KIND["dimensions"],
        "lower_bound": [*bounds[0]],
        "upper_bound": [*bounds[1]],
        "annotation_type": KIND["annotation_type"],
        "properties": [value for name, value in PROPERTIES.items() if name in properties],
        "relationships": [
            {"id": name, "key": name, "sharding": shardings[name].to_json()}
            for name in RELATIONSHIPS
        ],
        "by_id": {"key": "by_id", "sharding": shardings["by_id"].to_json()},
        "spatial": [*spatial],
    }


def find_groups(sorted_keys: Keys) -> NDArray[np.int64]:
    """Return where each group of equal keys begins."""
    if not len(sorted_keys):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate(([True], sorted_keys[1:] != sorted_keys[:-1])))
