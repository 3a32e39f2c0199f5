"""The numbers of a report, compared with their definitions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.report.baseline import find_known_baseline, read_baseline
from synglancer.report.statistics import find_wilson_interval
from synglancer.settings import Settings

Z = 1.959963984540054


@given(
    st.integers(1, 10**6).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
)
def test_wilson_s_ends_are_where_the_score_is_z(counted) -> None:
    """At each end x of the interval, (p - x)² is z² x (1 - x) / n, for any counts."""
    count, total = counted
    share = count / total
    low, high = find_wilson_interval(count, total)
    assert 0 <= low <= share <= high <= 1
    assert low < high
    for end in (low, high):
        variance = Z**2 * end * (1 - end) / total
        assert (share - end) ** 2 == pytest.approx(variance, rel=1e-5, abs=1e-15)


def test_the_whole_table_is_no_baseline_of_a_selection() -> None:
    """The whole table is a baseline only if nothing is filtered out."""
    known = find_known_baseline(Settings(), synthetic=False)
    assert known is not None
    assert known.counts == {"spine": 123_000_000, "shaft": 79_000_000, "soma": 5_000_000}
    for options in ({"tag": "spine"}, {"min_confidence": 0.5}, {"multi_input": True}):
        assert find_known_baseline(Settings(**options), synthetic=False) is None
    assert find_known_baseline(Settings(), synthetic=True) is None
    assert find_known_baseline(Settings(table="another"), synthetic=False) is None


def test_a_baseline_is_read_from_a_table(tmp_path) -> None:
    """Counts by tag, in any order of columns, and possibly with other columns."""
    path = tmp_path / "tags.csv"
    path.write_text("count;note;tag\n30;x;spine\n10;y;shaft\n5;z;spine\n")
    assert read_baseline(path).counts == {"spine": 35, "shaft": 10}


def test_a_baseline_is_read_from_a_manifest(tmp_path) -> None:
    """The manifest of a published source counts the whole table."""
    path = tmp_path / "synglancer.json"
    manifest = {
        "@type": "synglancer_source_v1", "datastack": "minnie65_public", "version": 1718,
        "timestamp": None, "table": "predictions", "properties": [], "tags": [
            {"tag": "spine", "folder": "spine", "rows": 30},
            {"tag": "shaft", "folder": "shaft", "rows": 10},
        ], "lower_bound_nm": [0, 0, 0], "upper_bound_nm": [9, 9, 9],
    }  # fmt: skip
    path.write_text(json.dumps(manifest))
    read = read_baseline(path)
    assert read.name == "whole table, minnie65_public version 1718"
    assert read.counts == {"spine": 30, "shaft": 10}
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match=r"synglancer\.json cannot be read: Is a directory"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tags.csv", "tag,n\nspine,1\n", "no columns 'tag' and 'count'"),
        ("tags.csv", "tag,count\nspine,1\nshaft,-2\n", "no valid count in line 3: '-2'"),
        ("tags.csv", "tag,count\nspine,0\n", "counts no synapses"),
        ("synglancer.json", "{}", "not a manifest"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path, name, content, words) -> None:
    """A table without counts, an invalid count, and a JSON file that is not a manifest are
    refused."""
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError, match=words) as refusal:
        read_baseline(path)
    assert refusal.value.hint
