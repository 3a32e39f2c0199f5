"""synglancer table: the annotations behind any Neuroglancer link, as a table."""

from __future__ import annotations

import sys
from typing import Annotated

from synglancer.cli.files import STDOUT, check_files, write_table
from synglancer.cli.options import CONNECTION, OUTPUT, describe
from synglancer.cli.printing import check_options, complain


def table(
    link: Annotated[str, describe(None, "LINK", allow_leading_hyphen=True)],
    *,
    out: Annotated[
        str, describe(OUTPUT, "FILE", name=["--out", "-o"], allow_leading_hyphen=True)
    ] = STDOUT,
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None,
) -> None:
    """Write the annotations behind a Neuroglancer link as a table.

    Each annotation is a row: layer, ID, shape, direction, tag, position in nm and in voxels,
    description, related segments and properties. Links and states of any tool can be read.

    Parameters
    ----------
    link
        A Neuroglancer link, or the JSON file of a state.
    out
        File for the table: .csv, .parquet or .xlsx; - prints CSV.
    server
        CAVE server that gets the token (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token (otherwise CAVE_TOKEN, or the token that caveclient saved).
    """
    from synglancer.links.filling import fill_state
    from synglancer.links.opening import open_link
    from synglancer.render.tables import check_table_suffix
    from synglancer.states.annotations import explain_unread_layers, read_layers
    from synglancer.states.table import build_annotation_table

    check_options([link, out])
    if out != STDOUT:
        check_table_suffix(out)
        check_files({"--out": out}, (link, token_file))
    state = fill_state(open_link(link, server=server, token_file=token_file).state)
    frame = build_annotation_table(state)
    layers = read_layers(state)
    problems = [problem for layer in layers for problem in layer.problems]
    for problem in [*problems, *explain_unread_layers(state)]:
        complain(problem, "These annotations are left out of the table.")
    for problem in [problem for layer in layers for problem in layer.wrong_ids]:
        complain(problem, "The table leaves such a number out, but keeps an ID given as text.")
    write_table("--out", out, frame)
    if out != STDOUT:
        count = f"{len(frame):,} annotation{'' if len(frame) == 1 else 's'}"
        print(f"{count} written to {out}", file=sys.stderr)  # noqa: T201
