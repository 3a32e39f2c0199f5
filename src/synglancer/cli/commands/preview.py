"""synglancer preview: pictures of links. What is printed is each picture's file, a line each."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from synglancer.cli.printing import check_options, complain
from synglancer.errors import SOME_SKIPPED, UsageError
from synglancer.render.picture_options import Preview, PreviewOptions

_DEFAULTS = PreviewOptions()


def preview(
    *links: Annotated[str, Parameter(allow_leading_hyphen=True)],
    folder: Annotated[Path, Parameter(name=["--folder", "-o"])] = Path(),
    picture: Annotated[PreviewOptions, Parameter(name="*")] = _DEFAULTS,
    format: Literal["png", "svg"] = "png",  # noqa: A002  # the option's name
    server: str | None = None,
    token_file: str | None = None,
) -> int:
    """Make a picture of each link, in a browser without a window or without one.

    The files' names go to stdout, one a line; all else goes to stderr.

    Parameters
    ----------
    links
        Neuroglancer links; - reads them from stdin, one a line.
    folder
        Where the pictures go; made when it is not there.
    format
        Kind of file; svg needs the renderer plot.
    server
        Address of the CAVE server that states are fetched from with your token (else
        https://global.daf-apis.com).
    token_file
        File that holds the token (else CAVE_TOKEN, else the files that caveclient uses).
    """
    from synglancer.links.opening import open_link
    from synglancer.render.progress import show_progress
    from synglancer.render.screenshots import render_previews

    check_options(links)
    given = [line for link in links for line in (sys.stdin if link == "-" else [link])]
    given = [link.strip() for link in given if link.strip()]
    if not given:
        raise UsageError(
            "No link was given.", "Give a Neuroglancer link in quotes, as make-link prints it."
        )
    results = render_previews(
        given,
        folder,
        picture,
        suffix=f".{format}",
        find_state=partial(open_link, server=server, token_file=token_file),
        progress=partial(show_progress, what="pictures"),
    )
    skipped = [result for result in results if not isinstance(result, Preview)]
    for result in results:
        if isinstance(result, Preview):
            print(result.path)  # noqa: T201
        else:
            complain(result.reason, result.hint)
    if skipped and len(given) == 1:
        return skipped[0].exit_code
    return SOME_SKIPPED if skipped else 0
