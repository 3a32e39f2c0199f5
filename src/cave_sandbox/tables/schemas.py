"""The annotation schemas that the sandbox serves: their JSON documents and their columns.

`schemas.json` holds the documents as CAVE's schema service sends them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

AXES = ("x", "y", "z")

#: The order of the columns in CAVE's tables, where it differs from the document.
FIELD_ORDER = {
    "synapse": ("valid", "pre_pt", "post_pt", "ctr_pt", "size"),
    "nucleus_detection": ("valid", "volume", "pt", "bb_start", "bb_end"),
    "reference_simple_group": ("valid", "target_id", "group_id"),
    "reference_simple_group_indexed": ("valid", "target_id", "group_id"),
}

#: JSON type (or format, if it has one) -> SQL type.
SQL_TYPES = {
    "integer": "BIGINT",
    "float": "DOUBLE",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
}


@dataclass(frozen=True)
class Field:
    """A column of a table, under its name in queries."""

    name: str  # in a query and in the header column_names
    sql_type: str  # POINT for a position, which is stored as three columns of integers
    from_segmentation: bool = False  # whether it is a supervoxel or root ID

    @property
    def is_point(self) -> bool:
        """Whether it is a position with three axes."""
        return self.sql_type == "POINT"

    @property
    def columns(self) -> tuple[str, ...]:
        """The stored columns: one, or one per axis."""
        if self.is_point:
            return tuple(f"{self.name}_{axis}" for axis in AXES)
        return (self.name,)


#: The columns of every table before the columns of its schema.
COMMON_FIELDS = (
    Field("id", "BIGINT"),
    Field("created", "TIMESTAMPTZ"),
    Field("deleted", "TIMESTAMPTZ"),
    Field("superceded_id", "BIGINT"),
)


@cache
def documents() -> dict[str, Any]:
    """Return the schema documents by name."""
    text = files("cave_sandbox.tables").joinpath("schemas.json").read_text("utf-8")
    return json.loads(text)


@cache
def fields_of(schema: str) -> tuple[Field, ...]:
    """Return the columns of a table, in CAVE's order.

    Examples
    --------
    >>> [field.name for field in fields_of("reference_tag_float")]
    ['id', 'created', 'deleted', 'superceded_id', 'tag', 'valid', 'target_id', 'value']
    """
    properties = _properties(schema)
    # By default the schema's own columns, then ``valid`` and the reference, as in recorded tables.
    late = [name for name in ("valid", "target_id", "value") if name in properties]
    default = [*(name for name in properties if name not in late), *late]
    annotated: list[Field] = []
    segmented: list[Field] = []
    for name in FIELD_ORDER.get(schema, default):
        described = properties[name]
        kind = described.get("$ref", "").rsplit("/", 1)[-1]
        if kind in {"SpatialPoint", "BoundSpatialPoint"}:
            annotated.append(Field(f"{name}_position", "POINT"))
        else:
            annotated.append(Field(name, _sql_type(described)))
        if kind == "BoundSpatialPoint":
            segmented.append(Field(f"{name}_supervoxel_id", "BIGINT", from_segmentation=True))
            segmented.append(Field(f"{name}_root_id", "BIGINT", from_segmentation=True))
    return (*COMMON_FIELDS, *annotated, *segmented)


def is_reference(schema: str) -> bool:
    """Whether tables of the schema point to the rows of another table."""
    return "target_id" in _properties(schema)


def _properties(schema: str) -> dict[str, Any]:
    document = documents()[schema]
    definition = document["$ref"].rsplit("/", 1)[-1]
    return document["definitions"][definition]["properties"]


def _sql_type(described: dict[str, Any]) -> str:
    if described.get("format") == "integer":
        return "INTEGER"  # the schema's own numbers; references and segments have 64 bits
    kind = described.get("format", described["type"])
    if isinstance(kind, list):
        kind = next(name for name in kind if name != "null")
    return SQL_TYPES[kind]
