"""What was fetched for a group of cells at once, held until each of them has its link."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from synglancer.cave.session import Session

NOTHING = object()
"""What `Ahead.find` gives where nothing is held; None is an answer."""


@dataclass(frozen=True)
class Size:
    """How large the answers for a group were.

    Attributes
    ----------
    rows
        Rows of the largest one.
    limit
        Rows after which the server cut an answer off, or None where it cut none.
    """

    rows: int = 0
    limit: int | None = None


class Ahead:
    """Answers by cell and question.

    Parameters
    ----------
    session
        Who asked: answers about other data than it asks now are not given.
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
            What was asked.
        answers
            What came, for each cell.
        data
            Identity of the server's data before it was asked.
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
