"""Compare a published source with random rows of its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import UsageError
from synglancer.publish.inputs import find_files, match_columns
from synglancer.publish.staging import quote_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.publish.tag_reader import TagReader
    from synglancer.publish.verify import Findings

_POSITION_NM = 0.5


class Input:
    """The input of the publication, queried with DuckDB."""

    def __init__(self, inputs: Sequence[str], manifest: dict[str, Any]) -> None:
        import duckdb

        self._connection = duckdb.connect()
        self._error = duckdb.Error
        files = find_files(inputs)
        tag = manifest["tag_column"]
        scans = []
        for file in files:
            path = quote_sql(file.path)
            if file.kind == "parquet":
                scan = f"read_parquet({path})"
            else:
                scan = f"read_csv({path}, all_varchar = true, header = true)"
            kinds = {name: kind for name, kind, *_ in self._query(f"DESCRIBE SELECT * FROM {scan}")}
            columns = match_columns([*kinds], tag, file.name)
            axes = [f'CAST("{name}" AS DOUBLE)' for name in columns.position]
            if len(axes) == 1:
                (name,) = columns.position
                axes = [f"CAST({_split(name, kinds[name])}[{one}] AS DOUBLE)" for one in (1, 2, 3)]
            points = ", ".join(
                f"{axis} * {float(scale)!r} AS {name}"
                for axis, scale, name in zip(axes, manifest["resolution_nm"], "xyz", strict=True)
            )
            value = f'CAST("{columns.confidence}" AS FLOAT)' if columns.confidence else "0"
            size = f'CAST("{columns.size}" AS DOUBLE)' if columns.size else "0"
            scans.append(
                f'SELECT CAST("{columns.id}" AS UBIGINT) AS id, CAST("{columns.pre}" AS UBIGINT) '
                f'AS pre, CAST("{columns.post}" AS UBIGINT) AS post, {points}, '
                f'CAST("{columns.tag}" AS VARCHAR) AS tag, {value} AS confidence, '
                f"{size} AS size FROM {scan}"
            )
        self._scan = f"({' UNION ALL '.join(scans)})"
        # A value of the wrong type is the input's fault, whichever tag is checked first.
        smallest = ", ".join(f"min({name})" for name in ("id", "pre", "post", *"xyz", "size"))
        self._query(f"SELECT {smallest}, min(confidence) FROM {self._scan}")

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Query the input.

        Raises
        ------
        UsageError
            When it has values of the wrong type, or cannot be read.
        """
        try:
            return self._connection.execute(sql, values).fetchall()
        except self._error as error:
            raise UsageError(
                f"The input cannot be compared: {str(error).splitlines()[0][:300].rstrip('.')}.",
                "Give the files that were published.",
            ) from error

    def check_neurons(
        self,
        reader: TagReader,
        tag: str,
        index: dict[str, Any],
        keys: list[int],
        findings: Findings,
    ) -> None:
        """Compare the rows of neurons; a synapse that the input repeats may have another tag."""
        side = index["id"]
        for key, ids in self._ask(side, tag, keys).items():
            rows = reader.read_group(index, key)
            stored = set() if rows is None else set(rows["id"].tolist())
            if not stored <= ids or (ids - stored and not self._may_lack(ids - stored)):
                findings.problems.append(
                    f"{tag}: {side} {key} has {len(stored):,} rows, but the input has {len(ids):,}."
                )

    def _ask(self, side: str, tag: str, keys: list[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {key: set() for key in keys}
        if keys:
            wanted = ", ".join(map(str, keys))
            for key, id_ in self._query(
                f"SELECT {side}, id FROM {self._scan} WHERE tag = ? AND {side} IN ({wanted}) "
                "AND id IS NOT NULL",
                [tag],
            ):
                found[key].add(id_)
        return found

    def _may_lack(self, ids: set[int]) -> bool:
        """Whether missing rows are repeated or incomplete in the input, as they may be."""
        wanted = ", ".join(map(str, ids))
        ((fine,),) = self._query(
            f"SELECT count(*) FROM (SELECT id FROM {self._scan} WHERE id IN ({wanted}) GROUP BY id "
            "HAVING count(*) = 1 AND bool_and(abs(x) <= 1e9 AND abs(y) <= 1e9 "
            "AND abs(z) <= 1e9 AND confidence BETWEEN 0 AND 1 AND size BETWEEN 0 AND 4294967295))"
        )
        return not fine

    def check_ids(self, reader: TagReader, tag: str, ids: list[int], findings: Findings) -> None:
        """Compare single annotations: their position, confidence and cells."""
        if not ids:
            return
        wanted = ", ".join(map(str, ids))
        rows: dict[int, list[Any]] = {}
        for id_, *values in self._query(
            f"SELECT id, pre, post, x, y, z, confidence FROM {self._scan} "
            f"WHERE tag = ? AND id IN ({wanted})",
            [tag],
        ):
            rows.setdefault(id_, []).append(values)
        for id_ in ids:
            one = reader.read_single(id_)
            if one is None or not any(_is_same(one, values) for values in rows.get(id_, [])):
                findings.problems.append(f"{tag}: annotation {id_} differs from the input.")


def _split(name: str, kind: str) -> str:
    """Return the SQL for the list of numbers in a column, which pandas writes as text to CSV."""
    if kind != "VARCHAR":
        return f'"{name}"'
    return f"""string_split_regex(trim("{name}", '[]() '), '[, ]+')"""


def _is_same(one: dict[str, Any], values: list[Any]) -> bool:
    pre, post, *point, confidence = values
    cells = [[side] if side else [] for side in (pre, post)]
    body = one["body"]
    near = np.allclose(body["point"], point, rtol=1e-7, atol=_POSITION_NM)
    sure = "confidence" not in (body.dtype.names or ()) or body["confidence"] == np.float32(
        confidence
    )
    return bool([one["pre"], one["post"]] == cells and near and sure)
