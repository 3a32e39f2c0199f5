"""Query in groups whether root IDs of a batch are valid, or ever existed."""

from __future__ import annotations

from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from synglancer.errors import BadAnswerError, NotServedError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from synglancer.cave.session import Session

_MOST = 1_000
"""Number of root IDs in one query."""

_STEP = 10

_ABOUT_ONE = (ServiceError, NotServedError, BadAnswerError)
"""Errors that may be caused by a single root ID of a group."""


class RootIds:
    """Answers about root IDs at a session's version.

    Root IDs with rows are never queried. The query for the first root ID without rows includes all
    expected ones, so that a list of a million wrong root IDs costs two requests per thousand.

    Parameters
    ----------
    session
        The session with CAVE.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = Lock()
        self._expected: dict[int, None] = {}
        self._valid: dict[int, bool] = {}
        self._outdated: dict[int, None] = {}  # not valid; not yet known whether they ever existed
        self._never: set[int] = set()
        self._group = _MOST

    def expect(self, root_ids: Iterable[int]) -> None:
        """Announce root IDs that may have to be queried later."""
        with self._lock:
            self._expected.update(dict.fromkeys(root_ids))

    def forget(self) -> None:
        """Forget the answers, which were about other data."""
        with self._lock:
            self._expected.update(dict.fromkeys(self._valid))
            self._valid.clear()
            self._outdated.clear()
            self._never.clear()

    def is_known_invalid(self, root_id: int) -> bool:
        """Whether an earlier answer says that a root ID is not valid at the version."""
        return self._valid.get(root_id) is False

    def is_known_missing(self, root_id: int) -> bool:
        """Whether an earlier answer says that a root ID never existed."""
        return root_id in self._never

    def is_valid(self, root_id: int) -> bool:
        """Whether a root ID is valid at the version (1 request for up to 1,000 of them)."""
        with self._lock:
            if root_id not in self._valid:
                self._expected.pop(root_id, None)
                answers = self._ask_validity([root_id, *islice(self._expected, _MOST - 1)])
                for item, valid in answers.items():
                    self._expected.pop(item, None)
                    if not valid:
                        self._outdated[item] = None
                self._valid.update(answers)
            return self._valid[root_id]

    def _ask_validity(self, group: list[int]) -> dict[int, bool]:
        try:
            return self.session.fetch_validity(group)
        except ServiceError as error:
            if type(error) not in _ABOUT_ONE or len(group) == 1:
                raise
            self._expected.clear()  # one of them is refused, so query each alone from now on
            return self.session.fetch_validity(group[:1])

    def never_existed(self, root_id: int) -> bool:
        """Whether a root ID that is not valid is known never to have existed.

        The chunked graph returns an empty answer if none of the root IDs ever existed. If some did,
        its answer does not tell which, so smaller groups are queried next.
        """
        with self._lock:
            while root_id not in self._never and self._group > 1:
                self._outdated.pop(root_id, None)
                group = [root_id, *islice(self._outdated, self._group - 1)]
                if len(group) == 1:
                    break
                if self._is_any_known(group):
                    self._group //= _STEP
                else:
                    self._note(group)
            return root_id in self._never

    def note_never_existed(self, root_id: int) -> None:
        """Note a root ID that turned out never to have existed."""
        with self._lock:
            self._note([root_id])

    def _note(self, root_ids: list[int]) -> None:
        self._never.update(root_ids)
        for item in root_ids:
            self._outdated.pop(item, None)
        self._group = min(max(self._group, 1) * _STEP, _MOST)

    def _is_any_known(self, root_ids: list[int]) -> bool:
        try:
            return bool(self.session.fetch_first_timestamps(root_ids))
        except ServiceError as error:
            if type(error) not in _ABOUT_ONE:
                raise
            return True  # the service does not say which root ID caused the error
