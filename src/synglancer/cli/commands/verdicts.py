"""synglancer verdicts: reviewers' marks, their agreement, and the calibration of confidence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from synglancer.cli.files import STDOUT, check_files, write_beside, write_table
from synglancer.cli.options import CONNECTION, OUTPUT, describe
from synglancer.cli.printing import check_options, print_lines
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def verdicts(
    *links: Annotated[str, describe(None, "LINK...", allow_leading_hyphen=True)],
    out: Annotated[
        str, describe(OUTPUT, "FILE", name=["--out", "-o"], allow_leading_hyphen=True)
    ] = STDOUT,
    agreement: Annotated[str | None, describe(OUTPUT, "FILE")] = None,
    calibration: Annotated[str | None, describe(OUTPUT, "FILE")] = None,
    plot: Annotated[str | None, describe(OUTPUT, "FILE")] = None,
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None,
) -> None:
    """Read the marks that reviewers made in links from make-link --review.

    Each synapse of a link is a row: ID, predicted tag, confidence, verdict, comment and link.

    If you give links from several reviewers, the agreement of each pair goes to stderr.

    Parameters
    ----------
    links
        Links that reviewers shared from the viewer after marking, or JSON files of states.
    out
        File for the verdicts: .csv, .parquet or .xlsx; - prints CSV.
    agreement
        File for the agreement of each pair of reviewers, with Cohen's kappa (formats as --out).
    calibration
        File for the share of right predictions per bin of confidence (formats as --out).
    plot
        Plot that share against confidence: .png or .svg.
    server
        CAVE server that gets the token (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token (otherwise CAVE_TOKEN, or the token that caveclient saved).
    """
    from synglancer.render.calibration import plot_calibration
    from synglancer.report.agreement import calibrate, compute_agreement
    from synglancer.report.verdicts import collect_verdicts

    check_options(links)
    tables = {"--out": out, "--agreement": agreement, "--calibration": calibration}
    _check_files(tables, plot, (*links, token_file))
    if agreement is not None and len(links) < 2:  # noqa: PLR2004
        raise UsageError(
            "--agreement compares reviewers, but only one link was given.",
            "Give a link from each reviewer, or leave out --agreement.",
        )
    read = collect_verdicts(links, server=server, token_file=token_file)
    print_lines(read.notes)
    agreed = compute_agreement(read.table)
    print_lines(_describe_agreement(agreed))
    bins = calibrate(read.table)
    print_lines(_describe_calibration(bins))
    frames = {"--out": read.table, "--agreement": agreed, "--calibration": bins}
    for option, name in tables.items():
        if name is not None:
            write_table(option, name, frames[option])
    if plot is not None:
        path = Path(plot)
        write_beside("--plot", path, plot_calibration(bins, path.suffix.lower()))


def _check_files(
    tables: dict[str, str | None], plot: str | None, read: Sequence[str | None]
) -> None:
    """Refuse files that cannot be written, before any request."""
    from synglancer.render.calibration import check_plot_suffix
    from synglancer.render.tables import check_table_suffix

    files = {
        option: name
        for option, name in {**tables, "--plot": plot}.items()
        if name is not None and not (option == "--out" and name == STDOUT)
    }
    for option, name in files.items():
        check = check_plot_suffix if option == "--plot" else check_table_suffix
        check(name)
    check_files(files, read)


def _describe_agreement(agreed: pd.DataFrame) -> list[str]:
    """Describe the agreement of each pair of reviewers, in one sentence each."""
    sentences = []
    for row in agreed.to_dict("records"):
        pair = f"Links {row['reviewer_a']} and {row['reviewer_b']}"
        both = row["both"]
        if not both:
            sentences.append(f"{pair}: there is no synapse that both gave a tag.")
            continue
        kappa = row["kappa"]
        told = "kappa is undefined" if math.isnan(kappa) else f"Cohen's kappa {kappa:.2f}"
        synapses = "synapse" if both == 1 else "synapses"
        sentences.append(
            f"{pair}: the same tag on {row['agreed']:,} of {both:,} {synapses}, {told}."
        )
    return sentences


def _describe_calibration(bins: pd.DataFrame) -> list[str]:
    """Describe the share of correct predictions, with an interval, and their mean confidence."""
    from synglancer.report.statistics import find_wilson_interval

    judged, right = int(bins["judged"].sum()), int(bins["right"].sum())
    if not judged:
        return []
    low, high = find_wilson_interval(right, judged)
    mean = float((bins["mean_confidence"] * bins["judged"]).sum() / judged)
    share = f"{right / judged:.0%} (95 % interval {low:.0%} to {high:.0%})"
    what = "prediction is" if judged == 1 else "predictions are"
    return [f"{right:,} of {judged:,} {what} right: {share}, with a mean confidence of {mean:.2f}."]
