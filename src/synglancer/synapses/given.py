"""Check tables of synapses from the user, and convert them to the form of server answers.

The columns are the same as caveclient returns for predictions joined with their synapses. Invalid
rows are refused and never left out, because the user can correct the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.columns import CELL_COLUMN, POSITION_COLUMNS
from synglancer.errors import UsageError
from synglancer.text.printable import is_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.cave.records import Direction

_REFERENCE = "_ref"  # suffix that caveclient adds to a column of both tables
_POSITION = "ctr_pt_position"
_AXES = 3
_LARGEST_ID = 2**64 - 1
_EXACT = 2**53
_SPACING = 64  # between doubles above 2^58, where root IDs are
_FEWEST = 5  # so many IDs cannot all be multiples of it by chance
_SERVER_LIMIT = 100_000  # limits of servers are multiples of it
_COLUMNS = (
    "Give the rows that caveclient returns for predictions joined with their synapses: id or "
    "target_id, tag, value, size, pre_pt_root_id, post_pt_root_id and ctr_pt_position."
)


@dataclass(frozen=True)
class Pin:
    """The source of rows, as stored by caveclient; None if unknown.

    Attributes
    ----------
    datastack, table
        Their names.
    version, timestamp
        The materialization version, or the timestamp of a live query (UTC).
    notice
        The notice of the table's owner.
    """

    datastack: str | None = None
    table: str | None = None
    version: int | None = None
    timestamp: datetime | None = None
    notice: str | None = None


@dataclass(frozen=True)
class GivenRows:
    """The rows of one direction.

    Attributes
    ----------
    direction
        ``inputs`` or ``outputs``.
    raw
        Columns as `synglancer.synapses.predictions.build_predictions` takes them; positions in nm.
    pin
        Their source.
    warnings
        What readers should know, one sentence each.
    """

    direction: Direction
    raw: pd.DataFrame
    pin: Pin
    warnings: tuple[str, ...] = ()

    @property
    def cells(self) -> list[int]:
        """The cells on the cell's own side of the synapses, in order of their IDs."""
        return sorted(self.raw[CELL_COLUMN[self.direction]].unique().tolist())


def read_given(table: object, direction: Direction, resolution: object = None) -> GivenRows:
    """Read and check a user's table.

    Parameters
    ----------
    table
        A DataFrame of pandas, or of another library that has ``to_pandas``.
    direction
        Whether its rows are inputs or outputs of the cell.
    resolution
        Size of a voxel in nm, x, y and z, for the positions; 1 for positions in nm. By default, as
        stored by caveclient.

    Raises
    ------
    UsageError
        When a column is missing or has invalid values.
    """
    convert = getattr(table, "to_pandas", None)
    df = convert() if callable(convert) else table
    if not isinstance(df, pd.DataFrame):
        raise UsageError(f"{direction}= is not a table: {type(df).__name__}.", _COLUMNS)
    reader = _Reader(df.reset_index(drop=True), direction)
    ids = reader.read_ids(reader.find_ids())
    reader.check_unique(ids)
    raw: dict[str, Any] = {
        "id": ids,
        "size": reader.read_numbers("size", "size"),
        **{name: reader.read_ids(reader.find(name)) for name in CELL_COLUMN.values()},
        "tag": reader.read_tags(),
        "value": reader.read_numbers("value", "value", "confidence", most=1.0),
    }
    places = reader.read_positions(read_resolution(resolution, df.attrs))
    raw |= {name: places[:, axis] for axis, name in enumerate(POSITION_COLUMNS)}
    for name in CELL_COLUMN.values():
        reader.check_exact(name, raw[name])
    return GivenRows(
        direction, pd.DataFrame(raw), read_pin(df.attrs), tuple(reader.explain_limit(df.attrs))
    )


class _Reader:
    """Reads the columns of one table; errors name the column."""

    def __init__(self, df: pd.DataFrame, direction: Direction) -> None:
        self._df = df
        self._direction = direction
        self._names = [str(name) for name in df.columns]

    def _refuse(self, problem: str, hint: str) -> UsageError:
        return UsageError(f"The table {self._direction}= {problem}.", hint)

    def find(self, *names: str) -> str:
        """Find a column by its name, with or without the suffix of a joined table."""
        wanted = [*names, *(name + _REFERENCE for name in names)]
        found = next((name for name in wanted if name in self._names), None)
        if found is None:
            raise self._refuse(f"has no column {names[0]!r}", _COLUMNS)
        if self._names.count(found) > 1:
            raise self._refuse(f"has {found!r} twice", "Keep one of these columns.")
        return found

    def find_ids(self) -> str:
        """Find the column of synapse IDs; rows of predictions also have their own IDs."""
        if "target_id" in self._names:
            return "target_id"
        if "id" in self._names and "id" + _REFERENCE in self._names:
            raise self._refuse(
                "has id and id_ref but no target_id, so it is unclear which is the ID of the "
                "synapse",
                "Keep the column target_id, or drop the column that is not the ID of the synapse.",
            )
        return self.find("id")

    def read_ids(self, column: str) -> np.ndarray[Any, Any]:
        """Read a column of 64-bit IDs as uint64: integers, or text of digits."""
        values = self._df[column]
        if values.isna().any():
            raise self._refuse(
                f"has {_rows(int(values.isna().sum()))} without {column!r}",
                f"Leave out these rows: df = df[df[{column!r}].notna()].",
            )
        if pd.api.types.is_integer_dtype(values.dtype):
            good = not len(values) or values.min() >= 0
            numbers = values.to_numpy(dtype="uint64") if good else None
        elif pd.api.types.is_float_dtype(values.dtype) and len(values):
            raise self._refuse(
                f"holds {column!r} as floats, which round its IDs",
                "Query it again, or read it as text or integers, for instance with "
                f"pandas.read_csv(…, dtype={{{column!r}: 'Int64'}}).",
            )
        else:
            numbers = _parse_ids(values)
        if numbers is None:
            raise self._refuse(
                f"holds values in {column!r} that are not IDs",
                f"Make {column} a column of integers.",
            )
        return numbers

    def check_unique(self, ids: np.ndarray[Any, Any]) -> None:
        """Refuse a synapse that has several rows."""
        again = pd.Series(ids).duplicated()
        if again.any():
            count = int(again.sum())
            raise self._refuse(
                f"has {_rows(count)} that repeat{'s' if count == 1 else ''} a synapse, the first "
                f"of them {ids[again.to_numpy()][0]}",
                "Keep one row for each synapse, for instance with df.drop_duplicates('target_id').",
            )

    def check_exact(self, column: str, ids: np.ndarray[Any, Any]) -> None:
        """Refuse root IDs that were once floats, because their last digits are wrong."""
        large = np.unique(ids[ids > _EXACT])
        if len(large) >= _FEWEST and not (large % _SPACING).any():
            raise self._refuse(
                f"holds rounded IDs in {column!r}: all are multiples of {_SPACING}",
                "Query it again, or read IDs as text or integers.",
            )

    def read_numbers(
        self, name: str, *names: str, most: float = float("inf")
    ) -> np.ndarray[Any, Any]:
        """Read a column of numbers, 0 or more."""
        column = self.find(*names)
        values = self._df[column]
        numeric = pd.to_numeric(values, errors="coerce")  # of a file, numbers may be texts
        numbers = numeric.to_numpy(dtype="float64", na_value=np.nan)
        if not ((numbers >= 0) & (numbers <= most)).all():  # NaN fails both comparisons
            what = f"numbers between 0 and {most:g}" if np.isfinite(most) else "numbers, 0 or more"
            raise self._refuse(
                f"holds values in {column!r} that are not {what}",
                f"Leave out or correct rows whose {name} is missing or wrong.",
            )
        return numbers

    def read_tags(self) -> pd.Series[Any]:
        """Read the column of tags, which are texts."""
        tags = self._df[self.find("tag")].astype(object)
        column = repr(str(tags.name))
        clean = "tag.replace('\\0', '').encode('utf-8', 'ignore').decode()"
        faults = {
            "without a tag": (
                tags.isna(),
                f"Leave them out: df = df[df[{column}].notna()].",
            ),
            "with a tag that is not text": (
                ~tags.map(lambda tag: isinstance(tag, str)),
                f"Make them text: df[{column}] = df[{column}].astype(str).",
            ),
            "with an empty tag": (
                tags.map(lambda tag: not str(tag).strip()),
                f"Leave them out: df = df[df[{column}].str.strip() != ''].",
            ),
            "with a tag that holds characters that are not text": (
                tags.map(lambda tag: "\0" in str(tag) or not is_unicode(str(tag))),
                f"Leave them out: df[{column}] = df[{column}].map(lambda tag: {clean}).",
            ),
        }
        for problem, (wrong, hint) in faults.items():
            if wrong.any():
                raise self._refuse(f"has {_rows(int(wrong.sum()))} {problem}", hint)
        return tags

    def read_positions(self, nm: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Read the positions in nm, (n, 3), from three columns or one of lists."""
        if _POSITION in self._names:
            values = [*self._df[_POSITION]]
            try:
                points = np.array([[*map(float, point)] for point in values])
            except (TypeError, ValueError):
                points = np.full((len(values), _AXES), np.nan)
            points = points.reshape(-1, _AXES) if points.size == _AXES * len(values) else points
        else:
            columns = [self.find(name) for name in POSITION_COLUMNS]
            numeric = [pd.to_numeric(self._df[name], errors="coerce") for name in columns]
            points = np.column_stack([one.to_numpy(float, na_value=np.nan) for one in numeric])
        if points.shape != (len(self._df), _AXES) or not np.isfinite(points).all():
            raise self._refuse(
                f"has rows where {_POSITION} is not three numbers",
                "Leave out or correct these rows.",
            )
        return np.rint(points * nm)

    def explain_limit(self, attrs: Mapping[Any, Any]) -> list[str]:
        """Warn if a table may have been cut off by the limit of its query."""
        rows = len(self._df)
        if not rows or (rows != attrs.get("limit") and rows % _SERVER_LIMIT):
            return []
        limited = "the limit of its query, so synapses may be missing"
        return [f"The table {self._direction}= has exactly {rows:,} rows, {limited}."]


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _parse_ids(values: pd.Series[Any]) -> np.ndarray[Any, Any] | None:
    """Read IDs from whole numbers or texts of digits; None if a value is something else."""
    numbers = []
    for value in values:
        text = str(value).strip()
        if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
            return None
        numbers.append(int(text))
    if numbers and max(numbers) > _LARGEST_ID:
        return None
    return np.array(numbers, dtype="uint64")


def read_resolution(given: object, attrs: Mapping[Any, Any]) -> np.ndarray[Any, Any]:
    """Read the voxel size of the positions in nm, shape (3,).

    Raises
    ------
    UsageError
        When it is unknown or invalid.
    """
    hint = "Give resolution= in nm, such as [4, 4, 40] for voxels of minnie65, or 1 for nm."
    known = attrs.get("dataframe_resolution") if given is None else given
    if known is None or isinstance(known, str):
        raise UsageError("The unit of the positions in the tables is not known.", hint)
    try:
        nm = np.array(known, dtype=float) * np.ones(_AXES)
    except (TypeError, ValueError):
        nm = np.full(_AXES, np.nan)
    if nm.shape != (_AXES,) or not (np.isfinite(nm) & (nm > 0)).all():
        raise UsageError(f"resolution={known!r} is not a voxel size.", hint)
    return nm


def read_pin(attrs: Mapping[Any, Any]) -> Pin:
    """Read the source of a table from ``attrs``, where caveclient stores it."""
    version, stamp = attrs.get("materialization_version"), attrs.get("timestamp")
    known = isinstance(version, int) and not isinstance(version, bool)
    try:
        timestamp = None if known or not stamp else datetime.fromisoformat(str(stamp))
    except ValueError:
        timestamp = None
    if timestamp is not None and timestamp.tzinfo is None:
        timestamp = timestamp.replace(tzinfo=timezone.utc)
    table, described = _find_table(attrs)
    notice = described.get("table_notice_text")
    return Pin(
        datastack=_text(attrs.get("datastack_name")),
        table=table,
        version=version if known else None,
        timestamp=timestamp,
        notice=_text(notice),
    )


def _find_table(attrs: Mapping[Any, Any]) -> tuple[str | None, Mapping[Any, Any]]:
    """Find the table of predictions among joined ones: the one that refers to another."""
    joined = attrs.get("tables")
    if isinstance(joined, dict):
        for name, described in joined.items():
            if isinstance(described, dict) and described.get("join_column") == "target_id":
                return str(name), described
        return None, {}
    return _text(attrs.get("table_name")), attrs


def _text(value: object) -> str | None:
    """Read a text of a table's attributes; None if it is empty or something else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None
