"""The bytes of annotations, and the info file that describes them.

The format is Neuroglancer's ``neuroglancer_annotations_v1`` for points with two relationships.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.sharding import HEAD, TAIL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys, Sharding

RELATIONSHIPS = ("pre", "post")

_FRAME_WORDS = (HEAD + TAIL) // 4

PROPERTIES: dict[str, dict[str, str]] = {
    "confidence": {
        "id": "confidence",
        "type": "float32",
        "description": "How sure the classifier is of the tag, 0 to 1",
    },
    "size": {
        "id": "size",
        "type": "uint32",
        "description": "Size of the synapse, in voxels of its detection",
    },
}
"""The numbers that an annotation may carry, in their order; each takes 4 bytes."""

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
"""A row that passed all checks: the point in nm, the tag as its number."""


def body_type(properties: Sequence[str]) -> np.dtype[Any]:
    """Return the type of an annotation's point and numbers as they are stored."""
    fields: list[Any] = [("point", "<f4", 3)]
    fields += [(name, ROW[name].str) for name in PROPERTIES if name in properties]
    return np.dtype(fields)


def record_type(index: str) -> np.dtype[Any]:
    """Return the type of a row as it is sorted for an index: the beginning of `ROW`.

    So rows are moved as they are, whole, which is several times as fast as field by field.

    Parameters
    ----------
    index
        ``by_id``, a relationship, or ``spatial``.
    """
    last = {"by_id": "post", "spatial": "id"}.get(index, index)
    names = list(ROW.names or ())
    return np.dtype([(name, ROW[name]) for name in names[: names.index(last) + 1]])


def encode_single(
    records: NDArray[Any], properties: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode annotations one by one, each with the cells on both sides of it.

    Parameters
    ----------
    records : ndarray, shape (n,)
        Of the type of ``by_id``. Root 0 stands for no cell and is left out.
    properties
        Names of the numbers that annotations carry.

    Returns
    -------
    data : ndarray of uint8
        All annotations, one after the other.
    sizes : ndarray of int64, shape (n,)
        Bytes of each.
    """
    body = body_type(properties)
    fields = [(name, body[name]) for name in body.names or ()]
    full = np.dtype([*fields, ("pres", "<u4"), ("pre", "<u8"), ("posts", "<u4"), ("post", "<u8")])
    out = np.empty(len(records), full)
    for name in (*(body.names or ()), "pre", "post"):
        out[name] = records[name]
    out["pres"], out["posts"] = records["pre"] != 0, records["post"] != 0
    data = out.view(np.uint8).reshape(len(records), full.itemsize)
    sizes = full.itemsize - 8 * (2 - out["pres"].astype(np.int64) - out["posts"])
    if (sizes == full.itemsize).all():
        return data.reshape(-1), sizes
    kept = np.ones(data.shape, dtype=bool)
    for count, name in (("pres", "pre"), ("posts", "post")):
        start = full.fields[name][1]  # type: ignore[index]
        kept[:, start : start + 8] = (out[count] != 0)[:, None]
    return data[kept], sizes


def encode_groups(
    records: NDArray[Any], starts: NDArray[np.int64], properties: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Encode groups of annotations: a count, points and numbers of all, IDs of all.

    Before and after each group is room for gzip's frame, which `seal` fills.

    Parameters
    ----------
    records : ndarray, shape (n,)
        Of the type of a relationship or ``spatial``, those of a group side by side.
    starts : ndarray of int64, shape (groups,)
        Where each group begins.
    properties
        Names of the numbers that annotations carry.

    Returns
    -------
    data : ndarray of uint8
        All groups with their frames, one after the other.
    sizes : ndarray of int64, shape (groups,)
        Bytes of each.
    """
    columns = [0, 1, 2, *(3 + n for n, name in enumerate(PROPERTIES) if name in properties)]
    words = len(columns)
    counts = np.diff(starts, append=len(records))
    lengths = 2 + (words + 2) * counts + _FRAME_WORDS
    offsets = np.cumsum(lengths) - lengths + HEAD // 4
    out = np.zeros(int(lengths.sum()), "<u4")
    out[offsets] = counts
    width = records.dtype.itemsize // 4
    table = np.ascontiguousarray(records).view("<u4").reshape(len(records), width)
    rank = np.arange(len(records), dtype=np.int64) - np.repeat(starts, counts)
    place = rank * words
    place += np.repeat(offsets + 2, counts)
    for column in columns:
        out[place] = table[:, column]
        place += 1
    # The IDs follow: from the end of the own body to the own place among the IDs.
    place = np.repeat(offsets + 2 + words * counts, counts)
    place += 2 * rank
    where = records.dtype.fields["id"][1] // 4  # type: ignore[index]
    out[place] = table[:, where]
    out[place + 1] = table[:, where + 1]
    return out.view(np.uint8), lengths * 4


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
        Lower bound, and upper bound that no point reaches, in nm.
    properties
        Names of the numbers that annotations carry.
    shardings
        Of ``by_id`` and each relationship.
    spatial
        The levels from coarse to fine: ``key``, ``grid_shape``, ``chunk_size`` (nm), ``limit``,
        ``sharding``.
    """
    return {
        "@type": "neuroglancer_annotations_v1",
        "dimensions": {axis: [1e-9, "m"] for axis in "xyz"},
        "lower_bound": [*bounds[0]],
        "upper_bound": [*bounds[1]],
        # In capitals: cloud-volume reads no other spelling, viewers read both.
        "annotation_type": "POINT",
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
