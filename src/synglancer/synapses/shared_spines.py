"""Find synapses on spines with several inputs, and change their tags.

All synapses of a spine in the table of spines count, whether they are shown or not. A synapse on
such a spine gets the tag `MULTI_INPUT`, as in Pedigo et al. (2026).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.columns import SHARING_COLUMN
from synglancer.errors import BadAnswerError
from synglancer.settings import MULTI_INPUT, UNLABELLED
from synglancer.synapses.predictions import count_predictions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_COLUMNS = ("id", "post_pt_root_id", "group_id")


def read_spines(raw: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """Check a raw answer with the spine of each synapse.

    Parameters
    ----------
    raw
        Columns ``id`` (of the synapse), ``post_pt_root_id`` and ``group_id`` (of the spine), and
        possibly others.
    further
        Further columns of IDs that it must have.

    Returns
    -------
    DataFrame
        These columns, int64, a row for each synapse on a spine. A spine number that is missing or
        below 0 stands for no spine.

    Raises
    ------
    BadAnswerError
        When a column is missing or has values of the wrong type.
    """
    columns = {}
    for name in (*_COLUMNS, *further):
        if list(raw.columns).count(name) != 1:
            raise _bad(f"lacks the column {name!r} or has it twice")
        column = raw[name]
        if len(raw) and not pd.api.types.is_integer_dtype(column.dtype):
            raise _bad(f"holds values that are not integers in the column {name!r}")
        if name != "group_id" and column.isna().any():
            raise _bad(f"has rows without a value in the column {name!r}")
        columns[name] = column.to_numpy(dtype="int64", na_value=-1)
    frame = pd.DataFrame(columns)
    return frame[frame["group_id"] >= 0].drop_duplicates(ignore_index=True)


def find_multi_input(spines: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Find the synapses that share their spine with another one.

    Parameters
    ----------
    spines : DataFrame, shape (n,)
        The result of `read_spines`: all synapses of the requested spines.

    Returns
    -------
    array, shape (k,), uint64
        Synapse IDs, sorted.
    """
    # Numbers of spines need not be unique among cells.
    sharing = spines.groupby(["post_pt_root_id", "group_id"])["id"].transform("nunique")
    found = spines.loc[sharing > 1, "id"].to_numpy("uint64")
    return np.unique(found)


def join_sharing(own: pd.DataFrame, sharing: pd.DataFrame) -> pd.DataFrame:
    """List, for each of some synapses, the synapses on its spine, including itself.

    Parameters
    ----------
    own, sharing : DataFrame
        The results of `read_spines` for these synapses, and for all synapses on their spines.

    Returns
    -------
    DataFrame
        The columns of `sharing`, and `synglancer.columns.SHARING_COLUMN`: the synapse that shares a
        spine with each row.
    """
    asked = own.rename(columns={"id": SHARING_COLUMN})
    # Numbers of spines need not be unique among cells.
    return asked.merge(sharing, on=["post_pt_root_id", "group_id"])


def keep_own(found: np.ndarray[Any, Any], own: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Keep the synapse IDs that belong to a cell.

    Parameters
    ----------
    found : array, shape (k,), uint64
        Synapse IDs.
    own
        The result of `read_spines` for the cell's own synapses.
    """
    among: np.ndarray[Any, Any] = np.isin(found, own["id"].to_numpy("uint64"))
    return found[among]


def divide_tags(
    frame: pd.DataFrame, multi_input: np.ndarray[Any, Any], tags: Collection[str]
) -> pd.DataFrame:
    """Give synapses on spines with several inputs their own tag, and filter by tag.

    Parameters
    ----------
    frame : DataFrame, shape (n,)
        A table of predictions; see `synglancer.columns.DTYPES`.
    multi_input : array, shape (k,), uint64
        Synapses on spines with several inputs. Synapses without a prediction keep their tag,
        because they have no confidence.
    tags
        Tags to keep, as the table of predictions has them, or `MULTI_INPUT`; all when empty.

    Returns
    -------
    DataFrame
        The kept rows, each once.
    """
    unlabelled = frame["tag"] == UNLABELLED
    shared = frame["id"].isin(multi_input) & ~unlabelled
    keep = pd.Series(data=True, index=frame.index)
    if tags:
        keep = frame["tag"].isin(list(tags)) | unlabelled | (shared & (MULTI_INPUT in tags))
    divided = frame.assign(tag=frame["tag"].where(~shared, MULTI_INPUT))
    return divided[keep].reset_index(drop=True)


def count_former_tags(
    frame: pd.DataFrame, shown: pd.DataFrame, directions: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count the shown synapses on spines with several inputs by their original tags.

    Parameters
    ----------
    frame
        The predictions with the tags of the table.
    shown
        The shown predictions, with the tags of `divide_tags`.
    directions
        Directions to list, with or without synapses.
    """
    divided = shown.loc[shown["tag"] == MULTI_INPUT, ["id", "direction"]]
    return count_predictions(frame.merge(divided, on=["id", "direction"]), directions)


def _bad(what: str) -> BadAnswerError:
    return BadAnswerError(
        f"The server's answer about spines {what}.",
        "Check that --multi-input-table names a table with the schema reference_simple_group.",
    )
