"""Damage answers on purpose: cut them off, or change names, types and labels.

Each function takes a correct body and returns one that a broken server or proxy might have sent.
Altered Arrow streams and JSON can still be parsed; only their content is wrong.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cave_sandbox.tables.wire import to_stream

if TYPE_CHECKING:
    from collections.abc import Callable

#: The body sent in place of the announced gzip.
NOT_GZIP = b"this was never compressed: " * 8

#: The page of a proxy or a login in place of the service's answer.
HTML_PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>Sign in</title>\n<h1>Sign in</h1>\n"
    "<p>Please sign in to continue.</p>\n"
)

#: JSON that is nested too deeply for a recursive parser.
NESTED = b"[" * 100_000 + b"]" * 100_000

#: Unpacked size of a bomb in bytes: more than any state server accepts.
BOMB_SIZE = 128 * 2**20


@cache
def pack_bomb() -> bytes:
    """Compress JSON that is small on the wire and has `BOMB_SIZE` bytes when it is unpacked."""
    packer = zlib.compressobj(1, wbits=31)  # as gzip
    blanks = [b" " * 2**20] * (BOMB_SIZE // 2**20)
    packed = [packer.compress(part) for part in (b'{"layers": []', *blanks, b"}")]
    return b"".join([*packed, packer.flush()])


def alter_content(body: bytes, damage: str) -> bytes:
    """Damage the content of an Arrow stream or JSON, but leave its format valid.

    Other bodies are returned unchanged. Altered bodies are not compressed.
    """
    try:
        table = pa.ipc.open_stream(body).read_all()
    except pa.ArrowInvalid:
        return _alter_json(body, damage)
    return to_stream(ARROW_DAMAGES[damage](table), None)


def _retype_table(table: Any) -> Any:
    for index, field in enumerate(table.schema):
        values = [_retype_value(value) for value in table.column(index).to_pylist()]
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        column = pa.array(values, pa.int64() if text else pa.string())
        table = table.set_column(index, pa.field(field.name, column.type), column)
    # Without the metadata on the old types, from which pandas would restore some of them.
    kept = {k: v for k, v in (table.schema.metadata or {}).items() if k != b"pandas"}
    return table.replace_schema_metadata(kept or None)


def _extend_table(table: Any) -> Any:
    numbers = pa.array(range(table.num_rows), pa.int64())
    texts = pa.array([f"note {row}" for row in range(table.num_rows)], pa.string())
    return table.append_column("extra_number", numbers).append_column("extra_text", texts)


def _alter_json(body: bytes, damage: str) -> bytes:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    change = JSON_DAMAGES[damage]
    if isinstance(value, list):
        value = [change(item) if isinstance(item, dict) else item for item in value]
    elif isinstance(value, dict):
        value = change(value)
    return json.dumps(value).encode()


def _retype_value(value: Any) -> Any:
    if value is None or isinstance(value, (list, dict)):
        return value
    return len(value) if isinstance(value, str) else f"value {value}"


ARROW_DAMAGES: dict[str, Callable[[Any], Any]] = {
    "wrong-columns": lambda table: table.rename_columns(
        [f"other_{name}" for name in table.column_names]
    ),
    "wrong-dtypes": _retype_table,
    "extra-columns": _extend_table,
    "reordered-columns": lambda table: table.select(table.column_names[::-1]),
}

JSON_DAMAGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "wrong-columns": lambda record: {f"other_{key}": value for key, value in record.items()},
    "wrong-dtypes": lambda record: {key: _retype_value(value) for key, value in record.items()},
    "extra-columns": lambda record: {**record, "extra_number": 1, "extra_text": "note"},
    "reordered-columns": lambda record: dict(reversed(record.items())),
}
