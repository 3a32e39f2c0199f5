"""Convert rows of a file for publishing: check types, convert units, and count rows left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import UsageError
from synglancer.publish.encoding import ROW

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synglancer.publish.inputs import Columns

MOST_TAGS = 256
FARTHEST = 1e9
"""A metre in nm: no volume is that large, and float32 would be off by 64 nm there."""

_MOST_SIZE = 2**32 - 1


@dataclass
class RowReader:
    """Reads batches of one file.

    Parameters
    ----------
    file
        The file's name, for messages.
    columns
        The names of the columns for each field.
    resolution
        Nanometres per unit of the positions, for each axis.
    tags
        Names of the tags so far; new tags are appended.
    counts
        Number of rows that were left out or changed, by reason; updated with each batch.
    """

    file: str
    columns: Columns
    resolution: Sequence[float]
    tags: dict[str, int]
    counts: Counter[str]

    def read(self, batch: Any, first_row: int) -> NDArray[Any]:
        """Return the publishable rows of a batch.

        Parameters
        ----------
        batch : pyarrow.RecordBatch
            The columns that are read.
        first_row
            Number of its first row in the file, from 1.

        Returns
        -------
        ndarray, shape (n,)
            Rows of the type `ROW`.

        Raises
        ------
        UsageError
            When a value has the wrong type; the error names the file, the column and the row.
        """
        names = self.columns
        rows = np.zeros(batch.num_rows, ROW)
        kept = np.ones(len(rows), dtype=bool)

        def leave_out(reason: str, found: Any) -> None:
            if found.any():
                self.counts[reason] += int((found & kept).sum())
                kept[found] = False

        ids, missing = self._read_integers(batch, names.id, first_row)
        rows["id"] = ids
        leave_out("without an id", missing)
        roots = {}
        for side, name in (("pre", names.pre), ("post", names.post)):
            roots[side], _ = self._read_integers(batch, name, first_row)
            rows[side] = roots[side]
        absent, far = self._read_points(batch, first_row, rows["point"])
        leave_out("without a position", absent)
        leave_out("with a position out of range", far)
        if names.confidence:
            with np.errstate(over="ignore"):
                rows["confidence"] = self._read_floats(
                    batch.column(names.confidence), names.confidence, first_row
                )
            sure = rows["confidence"]
            leave_out("without a confidence", np.isnan(sure))
            leave_out("with a confidence out of range", ~((sure >= 0) & (sure <= 1)))
        if names.size:
            sizes = self._read_floats(batch.column(names.size), names.size, first_row)
            wild = ~((sizes >= 0) & (sizes <= _MOST_SIZE))
            if wild.any():
                leave_out("without a size", np.isnan(sizes))
                leave_out("with a size out of range", wild)
                sizes = np.where(wild, 0, sizes)
            rows["size"] = np.rint(sizes)
        rows["tag"] = self._read_tags(batch, first_row)
        for side, values in roots.items():
            self.counts[f"with root 0 as {side}"] += int(((values == 0) & kept).sum())
        return rows if kept.all() else rows[kept]

    def _bad(self, name: str, what: str, row: int, value: object = None) -> UsageError:
        return build_bad(self.file, name, what, row, value)

    def _read_integers(
        self, batch: Any, name: str, first_row: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Read 64-bit IDs, and return which of them are missing; missing IDs are 0."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _decode(batch.column(name))
        kind = column.type
        if pa.types.is_floating(kind):
            raise self._bad(
                name, "floating-point numbers, which round IDs, for instance",
                first_row,
            )  # fmt: skip
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_null(kind)
                or pa.types.is_large_string(kind) or pa.types.is_decimal(kind)):  # fmt: skip
            raise self._bad(name, f"values of the type {kind}, not IDs,", first_row)
        try:
            if pa.types.is_decimal(kind):
                column = pc.cast(column, pa.string())
            numbers = pc.cast(column, pa.uint64())
        except pa.ArrowInvalid:
            number, value = _find_bad(column, pa.uint64())
            raise self._bad(name, "no ID", first_row + number, value) from None
        return _fill(numbers, 0), _find_missing(numbers)

    def _read_floats(self, column: Any, name: str, first_row: int) -> NDArray[np.float64]:
        """Read numbers; missing ones are NaN."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = _decode(column)
        try:
            numbers = pc.cast(column, pa.float64(), safe=False)
        except pa.ArrowNotImplementedError:  # no value of this type is a number
            what = f"values of the type {column.type}, not numbers,"
            raise self._bad(name, what, first_row) from None
        except pa.ArrowInvalid:
            number, value = _find_bad(column, pa.float64())
            raise self._bad(name, "no number", first_row + number, value) from None
        return _fill(numbers, np.nan)

    def _read_points(
        self, batch: Any, first_row: int, points: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Write positions in nm into ``points``; return which are missing, and which are too far.

        Each of these is written as the origin on that axis.
        """
        absent, far = np.zeros((2, len(points)), dtype=bool)
        for axis, (values, step) in enumerate(
            zip(self._read_axes(batch, first_row), self.resolution, strict=True)
        ):
            scaled = values * step
            bad = ~(np.abs(scaled) <= FARTHEST)
            if bad.any():
                absent |= np.isnan(scaled)
                far |= bad
                scaled[bad] = 0
            points[:, axis] = scaled
        return absent, far

    def _read_axes(self, batch: Any, first_row: int) -> Sequence[NDArray[np.float64]]:
        """Read positions in the file's unit: all x, then all y, then all z; NaN if missing."""
        names = self.columns.position
        if len(names) > 1:
            return [self._read_floats(batch.column(name), name, first_row) for name in names]
        import pyarrow as pa
        import pyarrow.compute as pc

        name = names[0]
        column = _decode(batch.column(name))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = self._split_points(column, name, first_row)
        if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
                or pa.types.is_fixed_size_list(column.type)):  # fmt: skip
            raise self._bad(name, f"values of the type {column.type}, not positions,", first_row)
        lengths = _fill(column.value_lengths(), 3)
        for number in np.flatnonzero(lengths != 3)[:1].tolist():  # noqa: PLR2004  # x, y and z
            raise self._bad(name, f"{lengths[number]} numbers instead of 3", first_row + number)
        axes = [pc.list_element(column, axis) for axis in range(3)]
        return [self._read_floats(axis, name, first_row) for axis in axes]

    def _split_points(self, column: Any, name: str, first_row: int) -> Any:
        """Read positions in the format of pandas and numpy in CSV files: ``[1, 2, 3]``."""
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

    def _read_tags(self, batch: Any, first_row: int) -> NDArray[np.uint32]:
        import pyarrow as pa
        import pyarrow.compute as pc

        name = self.columns.tag
        column = batch.column(name)
        kind = column.type
        try:
            if not pa.types.is_dictionary(kind):
                column = pc.dictionary_encode(column)
            words = column.dictionary
            if not (pa.types.is_string(words.type) or pa.types.is_large_string(words.type)):
                words = pc.cast(words, pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # lists, or bytes that are not text
            raise self._bad(name, f"values of the type {kind}, not tags,", first_row) from None
        used = np.zeros(len(words) + 1, dtype=bool)
        numbers = _fill(column.indices, len(words))
        used[numbers] = True
        codes = np.zeros(len(used), np.uint32)
        texts = words.to_pylist()
        for place in np.flatnonzero(used):
            text = texts[place] if place < len(texts) else None
            if text is None:
                from synglancer.synapses.predictions import UNTAGGED  # imports pandas

                text = UNTAGGED
                self.counts["without a tag"] += int((numbers == place).sum())
            codes[place] = self.tags.setdefault(text, len(self.tags))
        if len(self.tags) > MOST_TAGS:
            raise UsageError(
                f"{self.file}: column {name!r} holds more than {MOST_TAGS} different tags.",
                "Give the column of the predicted target with --tag-column.",
            )
        return codes[numbers]


def build_bad(file: str, name: str, what: str, row: int, value: object = None) -> UsageError:
    """Make the error for a value that cannot be published, which names its place."""
    said = "" if value is None else f" ({str(value)[:40]!r})"
    return UsageError(
        f"{file}: column {name!r} holds {what} in row {row:,}{said}.",
        "Correct the file. Nothing was published.",
    )


def _find_bad(column: Any, kind: Any) -> tuple[int, Any]:
    """Return the place of the first value that pyarrow cannot convert, and the value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(column[low:middle], kind)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low, column[low].as_py()


def _decode(column: Any) -> Any:
    import pyarrow as pa

    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _fill(column: Any, value: float) -> NDArray[Any]:
    """Return a column of numbers as a numpy array, with missing numbers replaced by a value.

    Most of pyarrow's own conversions to numpy would import pandas.
    """
    import pyarrow.compute as pc

    return np.from_dlpack(pc.fill_null(column, value) if column.null_count else column)


def _find_missing(column: Any) -> NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count:
        return np.zeros(len(column), dtype=bool)
    return np.from_dlpack(pc.cast(column.is_null(), pa.uint8())).astype(bool)


def drop_repeated(
    rows: NDArray[Any], mixed: NDArray[np.uint64]
) -> tuple[NDArray[Any], NDArray[np.uint64], NDArray[Any]]:
    """Keep one row of each synapse: the most confident one, or the first if equally confident.

    Parameters
    ----------
    rows : ndarray, shape (n,)
        Rows of the type `ROW`.
    mixed : ndarray of uint64, shape (n,)
        Their mixed IDs.

    Returns
    -------
    rows : ndarray, shape (m,)
        The kept rows, in their order.
    mixed : ndarray of uint64, shape (m,)
        Their mixed IDs, sorted.
    confidence : ndarray of float32, shape (m,)
        The confidence for each mixed ID.
    """
    order = np.argsort(mixed)
    mixed = mixed[order]
    repeated = mixed[1:] == mixed[:-1]
    if not repeated.any():
        return rows, mixed, rows["confidence"][order]
    order = order[np.lexsort((order, -rows["confidence"][order], mixed))]
    first = np.concatenate(([True], ~repeated))
    kept = order[first]
    return rows[np.sort(kept)], mixed[first], rows["confidence"][kept]
