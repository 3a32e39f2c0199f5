"""Many cells are compared together."""

from __future__ import annotations

import pytest

from synglancer.errors import CellError, LoginError
from synglancer.links.kinds.comparison import Question
from synglancer.report.comparisons import compare_all


@pytest.mark.parametrize("failing", ["1", "3"])
def test_an_error_about_all_cells_ends_the_comparison(monkeypatch, failing) -> None:
    """A login that is refused in the middle is raised once, and no cell is skipped for it."""

    def refuse(cell: str, **_: object) -> None:
        if cell == failing:
            raise LoginError("The token has expired.", "Get a new one.")
        raise CellError(f"{cell} is not known.", "Check it.")

    monkeypatch.setattr("synglancer.report.comparisons.compare", refuse)
    with pytest.raises(LoginError, match="has expired"):
        compare_all([("1",), ("2",), ("3",)], Question())
