"""synglancer preview: make pictures of links, and print the name of each file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from synglancer.cells.standard_input import read_standard_input
from synglancer.cells.tables import decode_text
from synglancer.cli.files import check_folder_kept, list_read
from synglancer.cli.options import CONNECTION, OUTPUT, VIEW, describe, show_as
from synglancer.cli.printing import check_options, complain, print_warnings
from synglancer.errors import SOME_SKIPPED, UsageError
from synglancer.render.picture_options import Preview, PreviewOptions

_VALUES = {"size": "WIDTHxHEIGHT", "scale": "FACTOR", "wait": "SECONDS"}


@dataclass(frozen=True, kw_only=True)
@show_as({name: describe(None, value) for name, value in _VALUES.items()})
class PictureOptions(PreviewOptions):
    """`PreviewOptions`, with the placeholders that help shows for values."""


_DEFAULTS = PictureOptions()


def preview(
    *links: Annotated[str, describe(None, "LINK...", allow_leading_hyphen=True)],
    folder: Annotated[Path, describe(OUTPUT, "FOLDER", name=["--folder", "-o"])] = Path(),
    picture: Annotated[PictureOptions, Parameter(name="*", group=VIEW)] = _DEFAULTS,
    format: Annotated[Literal["png", "svg"], describe(OUTPUT)] = "png",  # noqa: A002  # the option's name
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None,
) -> int:
    """Render each link as a picture: a headless browser screenshot, or a plot.

    The file names go to stdout, one per line; everything else goes to stderr.

    Parameters
    ----------
    links
        Neuroglancer links, or JSON files of states; - reads links from stdin, one per line.
    folder
        Folder for the pictures; it is created if needed.
    format
        File format; svg needs --renderer plot.
    server
        CAVE server that gets the token (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token (otherwise CAVE_TOKEN, or the token that caveclient saved).
    """
    from synglancer.links.opening import open_link
    from synglancer.render.progress import show_progress
    from synglancer.render.screenshots import render_previews

    check_options(links)
    given = [line for link in links for line in (_read_lines() if link == "-" else [link])]
    given = [link.strip() for link in given if link.strip()]
    if not given:
        raise UsageError(
            "No link was given.", "Give a Neuroglancer link in quotes, such as make-link prints."
        )
    check_folder_kept("--folder", folder, f".{format}", list_read((*given, token_file)))
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
            print_warnings(f"{result.path}: {note}" for note in result.notes)
            print(result.path)  # noqa: T201
        else:
            complain(result.reason, result.hint)
    if skipped and len(given) == 1:
        return skipped[0].exit_code
    return SOME_SKIPPED if skipped else 0


def _read_lines() -> list[str]:
    content = read_standard_input("Give the links as arguments, or pipe them into the command.")
    return decode_text(content, "Standard input").splitlines()
