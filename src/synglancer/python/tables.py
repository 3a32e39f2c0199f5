"""Make a link from a user's own DataFrames, pinned to the version of their query."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.links.kinds.given_rows import UNNAMED, make_given_link
from synglancer.python.clients import settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.cave.records import Direction
    from synglancer.links.link_record import LinkRecord
    from synglancer.settings import Settings
    from synglancer.synapses.given import Pin

_NEED_ROWS = ("with_unlabelled", "with_total")


def make_link_of_tables(
    cells: Sequence[int | str],
    tables: Mapping[Direction, object],
    resolution: object,
    settings: Settings | None,
    client: object | None,
    options: Mapping[str, Any],
) -> LinkRecord:
    """Make a link that shows the rows of tables.

    Parameters
    ----------
    cells
        Root IDs; empty to read the cell from the tables.
    tables
        The arguments ``inputs`` and ``outputs``: tables, or False.
    resolution, settings, client, options
        As `synglancer.make_link` takes them.

    Raises
    ------
    UsageError
        When the tables cannot be used, or their version is unknown.
    """
    from synglancer.synapses.given import read_given  # pandas

    given = {name: table for name, table in tables.items() if table is not False}
    rows = [read_given(table, name, resolution) for name, table in given.items()]
    pin = _join_pins([one.pin for one in rows])
    asked = settle(settings, options if settings else _fill_in(pin, options, client), client)
    _check(asked.settings, pin)
    shown = replace(asked.settings, inputs="inputs" in given, outputs="outputs" in given)
    return make_given_link(shown, pin, cells, rows, asked.token)


def _join_pins(pins: Sequence[Pin]) -> Pin:
    """Read version, table and unit from the tables, which must agree."""
    joined = pins[0]
    for pin in pins[1:]:
        for field in fields(pin):
            one, other = getattr(joined, field.name), getattr(pin, field.name)
            if one is not None and other is not None and one != other and field.name != "notice":
                raise UsageError(
                    f"The tables have different values of {field.name}: {one} and {other}.",
                    "Query both in the same way.",
                )
            if one is None:
                joined = replace(joined, **{field.name: other})
    return joined


def _fill_in(pin: Pin, options: Mapping[str, Any], client: object | None) -> dict[str, Any]:
    """Fill in missing options from the tables.

    Raises
    ------
    UsageError
        When the version of the rows is unknown.
    """
    own = getattr(client, "version", None)
    day = None if pin.timestamp is None else f"{pin.timestamp:%Y-%m-%d}"
    version = options.get("version") or pin.version or day or own
    if version is None:
        raise UsageError(
            "The version of the rows in the tables is not known.",
            "Give it as version=, or give the CAVEclient that you queried, as client=.",
        )
    datastack = options.get("datastack") or pin.datastack
    known = {"datastack": datastack} if datastack else {}
    table = options.get("table") or pin.table or UNNAMED
    return {**options, **known, "version": version, "table": table}


def _check(settings: Settings, pin: Pin) -> None:
    """Refuse options that contradict the tables or need a query."""
    for name, said in (("datastack", pin.datastack), ("table", pin.table)):
        asked = getattr(settings, name)
        if said is not None and asked != said:
            raise UsageError(
                f"The rows have the {name} {said}, but {asked} was requested.",
                f"Leave out {name}=.",
            )
    if settings.source is not None:
        raise UsageError(
            "Both tables and a published source were given.", "Leave out source= or the tables."
        )
    for name in _NEED_ROWS:
        if getattr(settings, name):
            raise UsageError(
                f"{name}=True queries the server for rows, but tables were given.",
                f"Leave out {name}=True or the tables.",
            )
    if settings.multi_input and settings.table == UNNAMED:
        raise UsageError(
            "To find spines with several inputs, synglancer must know the table of predictions.",
            "Give its name as table=.",
        )
