"""make-link --review and synglancer verdicts, compared with the sandbox's own tables."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from synglancer import Link
from synglancer.cli.commands.verdicts import _describe_agreement

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.outcome import Outcome

CELL = "864691135276234469"
SHARED = Path(__file__).parents[1] / "data" / "reviews"
SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture
def rows(sample: Path) -> pd.DataFrame:
    """All predicted synapses of the cell, each once, the least confident first."""
    tables = sample / who.MINNIE / "tables"
    joined = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet").merge(
        pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet").drop(columns="id"),
        left_on="id",
        right_on="target_id",
    )
    own = joined[(joined[[*SIDES.values()]] == int(CELL)).any(axis=1)]
    return own.sort_values(["value", "id"])


def read_csv(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str)


def mark(url: str, path: Path, marks: dict[int, str]) -> Path:
    """Type marks after descriptions, as a reviewer does, and save the state as shared."""
    state: dict[str, Any] = dict(Link.from_url(url).state)
    state.pop("synglancer")
    for place, text in marks.items():
        state["layers"][-1]["annotations"][place]["description"] += f" {text}"
    path.write_text(json.dumps(state), encoding="utf-8")
    return path


def test_a_review_holds_the_least_sure_predictions(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], rows
) -> None:
    """A review has 300 synapses as in the tables, the least confident first; the others are
    counted."""
    made = make_link(CELL, "--review")
    assert made.code == 0
    left = len(rows) - 300
    following = rows["value"].iloc[300]
    assert f"{left:,} more synapses are not in this review" in made.err
    assert f"300 synapses with a prediction, shown; {left:,} filtered out." in made.err
    assert f"add --min-confidence {following!s} to see the next ones." in made.err
    assert "=right, =unsure, =spine, =shaft, =soma" in made.err
    assert set(Link.from_url(made.out.strip()).verdicts["verdict"]) == {"unmarked"}
    done = synglancer("verdicts", made.out.strip())
    assert done.code == 0
    assert "None of 300 synapses is marked" in done.err
    frame = read_csv(done.out)
    assert frame["id"].tolist() == rows["id"].head(300).astype(str).tolist()
    assert frame["tag"].tolist() == rows["tag"].head(300).tolist()
    assert frame["confidence"].astype("float32").tolist() == rows["value"].head(300).tolist()
    assert set(frame["verdict"]) == {"unmarked"}
    assert set(frame["cell"]) == {CELL}


def test_filters_hold_and_the_next_ones_follow(
    sandbox, make_link: Callable[..., Outcome], rows
) -> None:
    """--tag and --max-confidence choose the synapses of a review, and the record says so."""
    words = (CELL, "--review", "--tag", "shaft", "--max-confidence", 0.7, "--output", "json")
    record = json.loads(make_link(*words).out)
    kept = rows[(rows["tag"] == "shaft") & (rows["value"] <= 0.7)]
    assert 0 < record["shown"] == len(kept) < 300
    assert record["filters"] == {"tag": ["shaft"], "max_confidence": 0.7}
    link = Link.from_url(record["url"])
    assert sorted(link.predictions["id"]) == sorted(kept["id"])
    assert set(link.predictions["direction"]) == {"inputs", "outputs"}
    assert link.counts_by_tag == record["counts"]
    assert (link.settings.review, link.settings.max_confidence) == (True, 0.7)
    assert link.warnings == []


def test_marks_of_reviewers_are_compared(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The marks of two reviewers give a table, their agreement, a calibration and its plot."""
    url = make_link(CELL, "--review", "--tag", "spine", "--max-confidence", 0.7).out.strip()
    first = mark(url, tmp_path / "a.json", {0: "=right", 1: "=shaft thick", 2: "=right", 3: "=u"})
    second = mark(url, tmp_path / "b.json", {0: "=right", 1: "=shaft", 2: "=soma", 3: "=right"})
    out, plot = tmp_path / "verdicts.csv", tmp_path / "bins.svg"
    pairs, bins = tmp_path / "pairs.csv", tmp_path / "bins.csv"
    done = synglancer(
        "verdicts", first, second, "-o", out, "--agreement", pairs, "--calibration", bins,
        "--plot", plot,
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
    frame = read_csv(out.read_text(encoding="utf-8"))
    assert frame["reviewer"].value_counts().to_dict() == {"1": 95, "2": 95}
    assert frame["verdict"].head(4).tolist() == ["right", "is_shaft", "right", "unsure"]
    assert frame["reviewed_tag"].head(4).tolist() == ["spine", "shaft", "spine", ""]
    assert frame.loc[1, "comment"] == "thick"
    assert set(frame["link"]) == {str(first), str(second)}
    assert "Links 1 and 2: the same tag on 2 of 3 synapses, Cohen's kappa 0.50." in done.err
    assert read_csv(pairs.read_text())[["both", "agreed"]].to_numpy().tolist() == [["3", "2"]]
    # The third is left out, because the two reviewers disagree; only the second one marked the
    # fourth.
    assert "2 of 3 predictions are right: 67%" in done.err
    assert pd.read_csv(bins)["judged"].sum() == 3
    assert plot.read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_ids_are_texts_in_every_file(
    synglancer: Callable[..., Outcome], tmp_path: Path, suffix: str
) -> None:
    """No spreadsheet rounds an ID, and each kind of file gives the same table."""
    out = tmp_path / f"v{suffix}"
    assert synglancer("verdicts", SHARED / "google.json", "-o", out).code == 0
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".xlsx": pd.read_excel}[suffix]
    frame = read(out, **({"dtype": str} if suffix != ".parquet" else {}))
    assert frame["id"].tolist()[:2] == ["291322241", "333503074"]
    assert frame["cell"].tolist()[0] == CELL


def test_reviews_of_one_cell_in_three_viewers_are_compared(
    synglancer: Callable[..., Outcome],
) -> None:
    """Links written by different viewers are read together, and each pair is compared."""
    names = ["spelunker-2024", "google", "wheel"]
    done = synglancer("verdicts", *(SHARED / f"{name}.json" for name in names))
    assert done.code == 0
    assert "Links 1 and 2: the same tag on 2 of 2 synapses, Cohen's kappa 1.00." in done.err
    assert "Links 1 and 3: the same tag on 0 of 1 synapse, Cohen's kappa 0.00." in done.err
    assert "Link 1: Synapse 387785874 has marks that exclude each other" in done.err
    assert len(read_csv(done.out)) == 30


def test_reviews_of_other_predictions_are_refused(
    synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Links of two versions are refused; links of different cells are read, with a warning."""
    given = (SHARED / "google.json").read_text(encoding="utf-8")
    other = tmp_path / "other.json"
    other.write_text(given.replace('\\"version\\":1718', '\\"version\\":1822'), encoding="utf-8")
    synglancer("verdicts", SHARED / "wheel.json", other).refuses(
        2, "the version is 1718 in link 1 and 1822 in link 2"
    )
    other.write_text(given.replace(f'\\"cell\\":\\"{CELL}', '\\"cell\\":\\"5'), encoding="utf-8")
    done = synglancer("verdicts", SHARED / "wheel.json", other)
    assert done.code == 0
    assert f"reviews of different cells (5, {CELL})" in done.err


def test_links_that_are_no_reviews_are_refused(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """A link of another kind is named by its number, whatever precedes it."""
    url = make_link(CELL, "--inline", "--outputs", "--tag", "soma").out.strip()
    synglancer("verdicts", url).refuses(2, "is not a review", "make-link --review")
    synglancer("verdicts", SHARED / "google.json", url).refuses(2, "Link 2: ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        ([CELL], 2),
        (["missing.json"], 2),
        (["https://a.org/#!{]"], 2),
        (["a.json", "a.json"], 2),
        (["a.json", "-o", "out.txt"], 2),
        (["a.json", "-o", "missing/out.csv"], 2),
        (["a.json", "--plot", "out.jpg"], 2),
        (["a.json", "--plot", "missing/out.png"], 2),
        (["a.json", "--agreement", "pairs.csv"], 2),
        (["a.json", "-o", "x.csv", "--calibration", "x.csv"], 2),
        (["a.json", "--calibration", "-"], 2),
        (["a.json", "--nonsense"], 2),
    ],
)
def test_bad_questions_are_refused(
    synglancer: Callable[..., Outcome], words, code, tmp_path, monkeypatch
) -> None:
    """Unreadable input and unwritable output are refused before anything is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text((SHARED / "google.json").read_text(encoding="utf-8"))
    synglancer("verdicts", *words).refuses(code)
    assert [path.name for path in tmp_path.glob("*.*")] == ["a.json"]


@pytest.mark.parametrize(
    "option",
    [
        ["--with-unlabelled"],
        ["--multi-input"],
        ["--figure"],
        ["--soft-filter", "--min-confidence", "0.5"],
        ["--layout", "3d"],
        ["--color-by", "confidence"],
        ["--partners", "5"],
        ["--filter-by-selection"],
        ["--source", "published"],
        ["--publish-to", "published"],
    ],
)
def test_what_a_review_cannot_show_is_refused(make_link: Callable[..., Outcome], option) -> None:
    """Options that would need other layers or no section are refused by name."""
    make_link(CELL, "--review", *option).refuses(2, option[0], "--review")


def test_a_review_without_synapses_says_so(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """If no synapse passes the filters, the review is empty, and its table has only columns."""
    made = make_link(CELL, "--review", "--max-confidence", 0.01)
    assert (made.code, "No synapse passes the filters" in made.err) == (0, True)
    done = synglancer("verdicts", made.out.strip())
    assert (done.code, len(read_csv(done.out))) == (0, 0)
    assert "The review has no synapse." in done.err


def test_a_review_is_checked_compared_and_remembered(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """check counts its synapses by direction and tag, history lists it, and compare refuses it."""
    url = make_link(CELL, "--review").out.strip()
    checked = json.loads(synglancer("check", url, "--output", "json").out)
    assert (checked["status"], checked["problems"]) == ("good", [])
    assert sum(checked["expected"].values()) == 300
    remembered = json.loads(synglancer("history", "--output", "json").out.splitlines()[0])
    assert remembered["options"]["review"] is True
    synglancer("compare", url, "--to", "latest").refuses(2, "The link is a review")
    synglancer("report", CELL, "--review", "-o", "report.csv").refuses(2, "--review")


def test_several_cells_are_reviewed_together(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """With cells shown together, each synapse between them is listed once."""
    other = who.PARTNERS[3].root_id
    made = make_link(CELL, other, "--together", "--review", "--output", "json")
    record = json.loads(made.out)
    assert record["shown"] == 300
    frame = read_csv(synglancer("verdicts", record["url"]).out)
    assert frame["id"].is_unique
    assert "between" in set(frame["direction"])
    assert set(frame["cell"]) == {f"{CELL} {other}"}


def test_points_of_ones_own_are_refused_beside_a_review(
    make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """--review with --annotations is refused, because a review has only one layer."""
    points = tmp_path / "mine.csv"
    points.write_text("x_nm,y_nm,z_nm\n668000,636000,780000\n", encoding="utf-8")
    make_link(CELL, "--review", "--annotations", points).refuses(2, "--review and --annotations")


def test_reviewers_without_a_common_synapse_have_no_kappa() -> None:
    """Each pair of reviewers has its sentence, whatever they have in common."""
    agreed = pd.DataFrame(
        [(1, 2, 0, 0, float("nan")), (1, 3, 1, 1, float("nan")), (2, 3, 4, 3, 0.5)],
        columns=["reviewer_a", "reviewer_b", "both", "agreed", "kappa"],
    )
    assert _describe_agreement(agreed) == [
        "Links 1 and 2: there is no synapse that both gave a tag.",
        "Links 1 and 3: the same tag on 1 of 1 synapse, kappa is undefined.",
        "Links 2 and 3: the same tag on 3 of 4 synapses, Cohen's kappa 0.50.",
    ]
