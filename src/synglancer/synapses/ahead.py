"""Hold answers that were fetched for a group of cells, until each cell has its link."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from synglancer.cave.session import Session

NOTHING = object()
"""Result of `Ahead.find` if nothing is held, because None is a valid answer."""


@dataclass(frozen=True)
class Size:
    """The size of the answers for a group.

    Attributes
    ----------
    rows
        Rows of the largest one.
    limit
        Rows after which the server cut an answer off, or None.
    """

    rows: int = 0
    limit: int | None = None

    @classmethod
    def of_largest(cls, sizes: Sequence[Size]) -> Size:
        """Return the size of the largest of some answers, with the lowest of their limits."""
        limits = [size.limit for size in sizes if size.limit is not None]
        return cls(max(size.rows for size in sizes), min(limits, default=None))


class Ahead:
    """Answers by cell and question.

    Parameters
    ----------
    session
        The session; answers from other data than its present data are not returned.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()
        self._held: dict[int, dict[Hashable, tuple[str | None, Any]]] = {}

    def hold(self, question: Hashable, answers: Mapping[int, Any], data: str | None) -> None:
        """Hold the answers to a question, by cell.

        Parameters
        ----------
        question
            The question.
        answers
            The answer for each cell.
        data
            Identity of the server's data before the request.
        """
        with self._lock:
            for cell, answer in answers.items():
                self._held.setdefault(cell, {})[question] = (data, answer)

    def find(self, question: Hashable, cell: int) -> Any:
        """Return the answer for a cell, or `NOTHING`."""
        with self._lock:
            data, answer = self._held.get(cell, {}).get(question, (None, NOTHING))
        return answer if data == self._session.identity.value else NOTHING

    def forget(self, cell: int) -> None:
        """Forget what is held for a cell."""
        with self._lock:
            self._held.pop(cell, None)
