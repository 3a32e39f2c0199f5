"""The cell types of partners.

A view of cell types is checked and read; synapses are labelled with their partner's type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from synglancer.columns import PARTNER_TYPE
from synglancer.errors import BadAnswerError
from synglancer.settings import UNKNOWN_TYPE
from synglancer.synapses.partners import read_partners
from synglancer.synapses.predictions import count_predictions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True)
class CellTypes:
    """Cell types by root ID.

    Attributes
    ----------
    view, column
        The source of the types.
    types
        Type of each cell with a type; index uint64, values text.
    ambiguous
        Root IDs with several types in the view, because they hold merged cells; they have no type
        here.
    """

    view: str
    column: str
    types: pd.Series[Any]
    ambiguous: frozenset[int]


def build_cell_types(raw: pd.DataFrame, view: str, column: str) -> CellTypes:
    """Check a raw answer with the types of cells.

    Parameters
    ----------
    raw
        Columns ``pt_root_id`` and ``column``, and possibly others; a cell may have several rows,
        and types may be missing.
    view, column
        The source of the types.

    Raises
    ------
    BadAnswerError
        When a column is missing or has values of the wrong type.
    """
    for name in ("pt_root_id", column):
        if list(raw.columns).count(name) != 1:
            raise _bad(view, f"the column {name!r} is missing or occurs twice")
    roots, types = raw["pt_root_id"], raw[column]
    if len(raw) and not pd.api.types.is_integer_dtype(roots.dtype):
        raise _bad(view, "the root IDs are not integers")
    given = types.notna().to_numpy()
    if not all(isinstance(value, str) for value in types[given]):
        raise _bad(view, f"the column {column!r} holds values that are not text")
    ids = roots.to_numpy(dtype="int64", na_value=0).astype("uint64")
    named = given & (types.fillna("").astype(str).str.strip() != "").to_numpy() & (ids != 0)
    rows = pd.DataFrame({"root": ids[named], "type": types[named].astype(object).to_numpy()})
    rows = rows.drop_duplicates()
    several = rows["root"].duplicated(keep=False)
    single = rows[~several]
    by_root = pd.Series(single["type"].to_numpy(), index=single["root"].to_numpy(), dtype=object)
    # The first look-up prepares pandas' index, and fails in threads that do it at the same time.
    by_root.index.get_indexer(by_root.index[:1])
    return CellTypes(
        view,
        column,
        by_root,
        frozenset(int(root) for root in rows.loc[several, "root"]),
    )


def label_partners(frame: pd.DataFrame, types: CellTypes) -> pd.DataFrame:
    """Add to each synapse its partner's type, as a column `PARTNER_TYPE` (text).

    Parameters
    ----------
    frame : DataFrame, shape (n,)
        A table of predictions; see `synglancer.columns.DTYPES`.
    types
        The types.
    """
    labels = read_partners(frame).map(types.types)
    return frame.assign(**{PARTNER_TYPE: labels.fillna(UNKNOWN_TYPE).astype(object)})


def describe_partners(
    shown: pd.DataFrame, cells: Collection[int], types: CellTypes, directions: Sequence[str]
) -> dict[str, Any]:
    """Describe the partners' types for the provenance record.

    Parameters
    ----------
    shown
        The synapses shown, as `label_partners` returns them.
    cells
        Root IDs of the cells shown, which do not count as partners.
    types
        The types.
    directions
        Directions to list, with or without synapses.

    Returns
    -------
    dict
        ``view`` and ``column``; ``synapses``, the number of synapses by direction and the
        partner's type; ``partners``, the number of cells by type; ``known``, how many of these
        have one; and ``ambiguous``, how many of the others have several in the view.
    """
    partners = pd.DataFrame({"root": read_partners(shown), "type": shown[PARTNER_TYPE]})
    partners = partners[~partners["root"].isin([0, *cells])].drop_duplicates()
    counts = partners["type"].value_counts()
    by_type = shown.drop(columns="tag").rename(columns={PARTNER_TYPE: "tag"})
    return {
        "view": types.view,
        "column": types.column,
        "synapses": count_predictions(by_type, directions),
        "partners": {name: int(counts[name]) for name in sort_types(counts.index)},
        "known": int((partners["type"] != UNKNOWN_TYPE).sum()),
        "ambiguous": int(partners["root"].isin(list(types.ambiguous)).sum()),
    }


def sort_types(names: Collection[str]) -> list[str]:
    """Sort types by name, `UNKNOWN_TYPE` last.

    Examples
    --------
    >>> sort_types(["unknown", "BC", "23P"])
    ['23P', 'BC', 'unknown']
    """
    return sorted(names, key=lambda name: (name == UNKNOWN_TYPE, name))


def _bad(view: str, what: str) -> BadAnswerError:
    return BadAnswerError(
        f"The view {view!r} of cell types cannot be read: {what}.",
        "Check the names given with --cell-type-view and --cell-type-column.",
    )
