"""Rows of a file -> rows that can be published: types, units, and what is left out and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import UsageError
from synglancer.publish.encoding import ROW
from synglancer.publish.sharding import mix, sort_with_order

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synglancer.publish.inputs import Columns

MOST_TAGS = 256
FARTHEST = 1e9
"""A metre, in nm: no volume is as large, and float32 would be off by 64 nm there."""

_MOST_SIZE = 2**32 - 1


class RowReader:
    """Reads batches of one file.

    Parameters
    ----------
    file
        The file's name, for messages.
    columns
        Which column means what.
    resolution
        Nanometres per unit of the positions, for each axis.
    tags
        Names of the tags so far; new ones are added at its end.
    counts
        How many rows were left out or changed, by reason; added to.
    """

    def __init__(
        self,
        file: str,
        columns: Columns,
        resolution: Sequence[float],
        tags: dict[str, int],
        counts: Counter[str],
    ) -> None:
        self._file = file
        self._columns = columns
        self._resolution = np.array(resolution, np.float64)
        self._tags = tags
        self._counts = counts

    def read(self, batch: Any, first_row: int) -> NDArray[Any]:
        """Return the rows of a batch that can be published.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            The columns that are read.
        first_row
            Number of its first row in the file, from 1.

        Returns
        -------
        ndarray, shape (n,)
            Of the type `ROW`.

        Raises
        ------
        UsageError
            Naming the file, the column and the row of a value that is of the wrong kind.
        """
        names = self._columns
        rows = np.zeros(batch.num_rows, ROW)
        kept = np.ones(len(rows), dtype=bool)

        def leave_out(reason: str, found: Any) -> None:
            bad = np.asarray(found) & kept
            if bad.any():
                self._counts[reason] += int(bad.sum())
                kept[bad] = False

        ids, missing = self._read_integers(batch, names.id, first_row)
        rows["id"] = ids
        leave_out("without an id", missing)
        for side, name in (("pre", names.pre), ("post", names.post)):
            rows[side], _ = self._read_integers(batch, name, first_row)
        points = self._read_points(batch, first_row) * self._resolution
        leave_out("without a position", np.isnan(points).any(axis=1))
        far: Any = ~(np.abs(points) <= FARTHEST).all(axis=1)
        leave_out("with a position out of range", far)
        rows["point"] = np.where(far[:, None], 0, points)
        if names.confidence:
            values = self._read_floats(batch, names.confidence, first_row)
            leave_out("without a confidence", ~np.isfinite(values))
            rows["confidence"] = values
        if names.size:
            sizes = self._read_floats(batch, names.size, first_row)
            leave_out("without a size", np.isnan(sizes))
            wild = ~((sizes >= 0) & (sizes <= _MOST_SIZE))
            leave_out("with a size out of range", wild)
            rows["size"] = np.rint(np.where(wild, 0, sizes))
        rows["tag"] = self._read_tags(batch)
        if not kept.all():
            rows = rows[kept]
        for side in ("pre", "post"):
            self._counts[f"with root 0 as {side}"] += int((rows[side] == 0).sum())
        return rows

    def _bad(self, name: str, what: str, row: int, value: object = None) -> UsageError:
        said = "" if value is None else f" ({str(value)[:40]!r})"
        return UsageError(
            f"{self._file}: column {name!r} holds {what} in row {row:,}{said}.",
            "Correct the file; nothing was published.",
        )

    def _read_integers(
        self, batch: Any, name: str, first_row: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Read 64-bit IDs, and which are missing; those are 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _decode(batch.column(name))
        missing = column.is_null().to_numpy(zero_copy_only=False)
        kind = column.type
        if pa.types.is_floating(kind):
            raise self._bad(
                name, "floating-point numbers, which have lost digits of IDs, for instance",
                first_row,
            )  # fmt: skip
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_null(kind)
                or pa.types.is_large_string(kind) or pa.types.is_decimal(kind)):  # fmt: skip
            raise self._bad(name, f"values of the type {kind}, not IDs,", first_row)
        try:
            if pa.types.is_decimal(kind):
                column = pc.cast(column, pa.string())
            numbers = pc.fill_null(pc.cast(column, pa.uint64()), 0)
        except pa.ArrowInvalid:
            for number, value in enumerate(column.to_pylist()):
                text = str(value)
                fine = text.isascii() and text.isdigit() and int(text) < 2**64
                if value is not None and not fine:
                    raise self._bad(name, "no ID", first_row + number, value) from None
            raise
        return numbers.to_numpy(zero_copy_only=False).astype(np.uint64, copy=False), missing

    def _read_floats(self, batch: Any, name: str, first_row: int) -> NDArray[np.float64]:
        """Read numbers; missing ones are NaN."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _decode(batch.column(name))
        try:
            numbers = pc.cast(column, pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            for number, value in enumerate(column.to_pylist()):
                if not _is_number(value):
                    raise self._bad(name, "no number", first_row + number, value) from None
            raise self._bad(name, f"values of the type {column.type}", first_row) from None
        values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
        return values.astype(np.float64, copy=False)

    def _read_points(self, batch: Any, first_row: int) -> NDArray[np.float64]:
        names = self._columns.position
        if len(names) > 1:
            return np.stack([self._read_floats(batch, name, first_row) for name in names], axis=1)
        import pyarrow as pa

        name = names[0]
        column = batch.column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = self._split_points(column, name, first_row)
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
                or pa.types.is_fixed_size_list(column.type)):  # fmt: skip
            raise self._bad(name, f"values of the type {column.type}, not positions,", first_row)
        found = column.is_valid().to_numpy(zero_copy_only=False)
        for number, value in enumerate(column.value_lengths().to_pylist()):
            if value not in {3, None}:
                raise self._bad(name, f"{value} numbers instead of 3", first_row + number)
        points = np.full((len(column), 3), np.nan)
        flat = pa.RecordBatch.from_arrays([column.flatten()], [name])
        points[found] = self._read_floats(flat, name, first_row).reshape(-1, 3)
        return points

    def _split_points(self, column: Any, name: str, first_row: int) -> Any:
        """Read positions as pandas and numpy write them into a CSV file: ``[1, 2, 3]``."""
        import pyarrow as pa

        points: list[list[float] | None] = []
        for number, text in enumerate(column.to_pylist()):
            try:
                numbers = text and [
                    float(one) for one in text.strip("[]() ").replace(",", " ").split()
                ]
            except ValueError:
                raise self._bad(name, "no position", first_row + number, text) from None
            points.append(numbers or None)
        return pa.array(points, pa.list_(pa.float64()))

    def _read_tags(self, batch: Any) -> NDArray[np.uint32]:
        import pyarrow as pa
        import pyarrow.compute as pc

        name = self._columns.tag
        column = batch.column(name)
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column)
        words = column.dictionary
        if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
            words = pc.cast(words, pa.string())
        used = np.zeros(len(words) + 1, dtype=bool)
        numbers = pc.fill_null(column.indices, len(words)).to_numpy(zero_copy_only=False)
        used[numbers] = True
        codes = np.zeros(len(used), np.uint32)
        texts = words.to_pylist()
        for place in np.flatnonzero(used):
            text = texts[place] if place < len(texts) else None
            if text is None:
                text = _name_untagged()
                self._counts["without a tag"] += int((numbers == place).sum())
            codes[place] = self._tags.setdefault(text, len(self._tags))
        if len(self._tags) > MOST_TAGS:
            raise UsageError(
                f"{self._file}: column {name!r} holds more than {MOST_TAGS} different tags.",
                "Give the column of the predicted target with --tag-column.",
            )
        return codes[numbers]


def _is_number(value: Any) -> bool:
    try:
        float(value or 0)
    except (TypeError, ValueError):
        return False
    return True


def _decode(column: Any) -> Any:
    import pyarrow as pa

    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _name_untagged() -> str:
    from synglancer.synapses.predictions import UNTAGGED  # loads pandas, and is seldom needed

    return UNTAGGED


def drop_repeated(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[Any]]:
    """Keep one row of each synapse: the most confident one, of equal ones the first.

    Returns
    -------
    rows : ndarray, shape (n,)
        The rows that stay, in their order.
    mixed : ndarray of uint64, shape (n,)
        Their IDs, mixed and sorted.
    confidence : ndarray of float32, shape (n,)
        The confidence that belongs to each of these.
    """
    mixed, order = sort_with_order(mix(rows["id"]))
    repeated = mixed[1:] == mixed[:-1]
    if not repeated.any():
        return rows, mixed, rows["confidence"][order]
    best = np.lexsort((order, -rows["confidence"][order], mixed))
    order = order[best]
    first = np.concatenate(([True], ~repeated))
    kept = order[first]
    return rows[np.sort(kept)], mixed[first], rows["confidence"][kept]
