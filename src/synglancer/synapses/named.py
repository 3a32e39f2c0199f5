"""Load synapses by their IDs: rows, other synapses on their spines, and cell types."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from synglancer.cave.metadata import PREDICTIONS
from synglancer.errors import BadAnswerError, CellError
from synglancer.settings import SAME_SPINE, SYNAPSE
from synglancer.synapses.ahead import Ahead, Size
from synglancer.synapses.cell_tables import CellTables, ask_synapses
from synglancer.synapses.context import ContextLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from synglancer.cave.records import PredictionTable
    from synglancer.cave.session import Session
    from synglancer.settings import Settings
    from synglancer.synapses.cell_tables import Question
    from synglancer.synapses.cell_types import CellTypes
    from synglancer.synapses.predictions import Checked


@dataclass(frozen=True)
class NamedRows:
    """The rows of synapses given by their IDs.

    Attributes
    ----------
    table
        The table of predictions.
    frame
        The synapses, as ``synapse``, then others on their spines, as ``same spine``; see
        `synglancer.columns.DTYPES`.
    same_spine
        The other synapses on the spine of each; empty if not requested.
    cell_types
        Types of all cells; None if not requested.
    warnings
        What readers should know, one sentence each.
    """

    table: PredictionTable
    frame: pd.DataFrame
    same_spine: Mapping[int, Sequence[int]] = field(default_factory=dict)
    cell_types: CellTypes | None = None
    warnings: Sequence[str] = ()


class NamedLoader:
    """Loads synapses by their IDs, for one session and table.

    Parameters
    ----------
    settings
        The options, apart from the synapses.
    session
        The session with CAVE.
    """

    def __init__(self, settings: Settings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._ahead = Ahead(session)
        self._tables = CellTables(session, self._ahead)
        self._context = ContextLoader(settings, session, self._tables)
        self._waiting: dict[int, list[int]] = {}  # and the other synapses on each spine

    def keep_tables(self) -> None:
        """Cache the fetched tables. This is the last step, because no other step waits for it."""
        self._tables.keep()

    def fetch_ahead(self, synapses: Sequence[int]) -> Size:
        """Fetch the tables of a group of synapses at once, for loading each synapse.

        Returns
        -------
        Size
            The size of the largest answer.

        Raises
        ------
        ServiceError
            When a query for the group fails.
        """
        table = self._session.load_table(str(self._settings.table), PREDICTIONS)
        self._context.load_shared()
        sizes = self._fetch_rows_ahead(table, synapses)
        sharing: dict[int, list[int]] = {synapse: [] for synapse in synapses}
        if self._settings.multi_input:
            sizes += self._context.fetch_same_spine_ahead(synapses)
            sharing = self._context.load_same_spine(synapses)
            others = sorted({other for each in sharing.values() for other in each} - {*synapses})
            sizes += self._fetch_rows_ahead(table, others) if others else []
        self._waiting |= sharing
        return Size.of_largest(sizes)

    def _fetch_rows_ahead(self, table: PredictionTable, synapses: Sequence[int]) -> list[Size]:
        """Fetch predictions, and synapses without a prediction."""
        labelled, unlabelled = ask_synapses(self._session, table, SYNAPSE)
        sizes = [self._tables.fetch_ahead(labelled, synapses)]
        rest = _find_unlabelled(self._load_checked(labelled, synapses), synapses)
        if rest:
            sizes.append(self._tables.fetch_ahead(unlabelled, rest))
        return sizes

    def forget(self, synapse: int) -> None:
        """Forget the data fetched ahead for a synapse and others on its spine.

        Data that the link of another synapse needs are kept until that one is forgotten.
        """
        done = {synapse, *self._waiting.pop(synapse, ())}
        needed = {one for other, shared in [*self._waiting.items()] for one in (other, *shared)}
        for one in done - needed:
            self._ahead.forget(one)

    def load(self, synapses: Sequence[int], warm_up: Callable[[], None]) -> NamedRows:
        """Load or fetch synapses, with or without a prediction (1 or 2 requests), and context.

        Parameters
        ----------
        synapses
            Their IDs.
        warm_up
            Called while waiting for the answers, to prepare other things.

        Raises
        ------
        CellError
            When there is no synapse with such an ID.
        BadAnswerError
            When a row cannot be shown, for instance because it has no position.
        ServiceError
            When a query fails.
        """
        from synglancer.synapses.predictions import join_predictions

        session = self._session
        table = session.load_table(str(self._settings.table), PREDICTIONS)
        self._context.load_shared()
        _ = session.client
        with ThreadPoolExecutor(max_workers=3) as pool:
            rows = pool.submit(self._load_rows, table, synapses)
            types = pool.submit(self._context.load_types) if self._settings.cell_types else None
            asked = self._settings.multi_input
            spines = pool.submit(self._context.load_same_spine, synapses) if asked else None
            warm_up()
            with session.explain_refused_live():
                own = rows.result()
                sharing = spines.result() if spines else {}
                cell_types = types.result() if types else None
            self._check_found(synapses, table, own)
            others = sorted({other for each in sharing.values() for other in each} - {*synapses})
            with session.explain_refused_live():
                further = self._load_rows(table, others) if others else []
        frame = join_predictions(
            [part.frame for part in own]
            + [part.frame.assign(direction=SAME_SPINE) for part in further]
        )
        return NamedRows(table, frame, sharing, cell_types, _explain([*own, *further]))

    def _load_rows(self, table: PredictionTable, synapses: Sequence[int]) -> list[Checked]:
        """Load or fetch predictions, and synapses without a prediction."""
        labelled, unlabelled = ask_synapses(self._session, table, SYNAPSE)
        found = self._load_checked(labelled, synapses)
        rest = _find_unlabelled(found, synapses)
        return [found, self._load_checked(unlabelled, rest)] if rest else [found]

    def _load_checked(self, question: Question, synapses: Sequence[int]) -> Checked:
        from synglancer.synapses.predictions import build_predictions

        return self._tables.load(
            question, synapses, lambda raw: build_predictions(raw, synapses, SYNAPSE)
        )

    def _check_found(
        self, synapses: Sequence[int], table: PredictionTable, tables: Sequence[Checked]
    ) -> None:
        """Refuse synapses that do not exist, or have no valid row."""
        known = {synapse for part in tables for synapse in part.ids.tolist()}
        shown = {synapse for part in tables for synapse in part.frame["id"].tolist()}
        for synapse in synapses:
            if synapse not in known:
                raise CellError(
                    f"There is no synapse {synapse} in the table {table.synapse_table} of "
                    f"{self._session.name_version()}.",
                    "Check the ID, the datastack and the version.",
                )
            if synapse not in shown:
                why = " ".join(_explain(tables))
                raise BadAnswerError(
                    f"The synapse {synapse} cannot be shown: {why}",
                    "Choose another --version, or tell the owner of the table.",
                )


def _find_unlabelled(labelled: Checked, synapses: Sequence[int]) -> list[int]:
    known = {*labelled.ids.tolist()}
    return [synapse for synapse in synapses if synapse not in known]


def _explain(tables: Sequence[Checked]) -> list[str]:
    """List the warnings about rows that were left out of answers."""
    from synglancer.synapses.predictions import explain_left_out

    named = [
        replace(table, left_out=table.left_out.assign(direction="synapses")) for table in tables
    ]
    return explain_left_out(named, ())
