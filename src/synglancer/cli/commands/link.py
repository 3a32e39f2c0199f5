"""make-link: options, order, and what becomes of a cell among several that cannot be shown."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from synglancer.cli.files import check_writable, name_for_cells, write_beside
from synglancer.cli.printing import (
    TYPED,
    OutputFormat,
    complain,
    format_result,
    print_result,
    print_retries,
    print_summary,
    print_warnings,
)
from synglancer.errors import SOME_SKIPPED, UsageError
from synglancer.render.picture_options import (
    PreviewOptions,
    Renderer,
    check_latex_name,
    check_suffix,
)
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.links.link_record import LinkRecord
    from synglancer.links.make import LinkMaker
    from synglancer.render.screenshots import Painter


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What is printed and written.

    Parameters
    ----------
    output
        What is printed for each link: itself, one JSON object a line, or a card.
    template
        A Jinja2 file of your own for the card, in place of ours.
    save_state
        Also write the state to this file; {cell} in its name stands for the root ID (of several
        cells together: the first, and how many more there are).
    preview
        Also make a picture of the view, for cards: a PNG file, or SVG with the renderer plot.
    renderer
        Take the picture in a browser; or plot the synapses, which needs none.
    qr
        Also write the link as a QR code, for cards: a PNG or SVG file.
    open
        Also open the link in the web browser.
    quiet
        Print no summary, only the result and errors.
    verbose
        Also print what is tried again, and where an error comes from.
    """

    output: OutputFormat = "url"
    template: Path | None = None
    save_state: str | None = None
    preview: str | None = None
    renderer: Renderer = "browser"
    qr: str | None = None
    open: bool = False
    quiet: bool = False
    verbose: bool = False


_DEFAULTS = Settings()
_PRINT_DEFAULTS = Printing()


def link(
    *cells: Annotated[str, Parameter(allow_leading_hyphen=True)],
    together: bool = False,
    settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS,
    printing: Annotated[Printing, Parameter(name="*")] = _PRINT_DEFAULTS,
) -> int:
    """Make a Neuroglancer link that shows a cell's synapses and their targets.

    The link goes to stdout, one line a cell (or one for all, --together); all else to stderr.

    Every option can also be set by SYNGLANCER_<NAME> or in synglancer.toml.

    Parameters
    ----------
    cells
        Root IDs of any age, nucleus:ID, positions x,y,z in voxels of the viewer (or x,y,z@nm),
        Neuroglancer links that select cells, or files with one of these a line (- for stdin).
    together
        Make one link for all cells, each in a colour of its own; synapses between them are in
        layers of their own.
    """
    from synglancer.cells.lists import list_given_cells
    from synglancer.links.make import LinkMaker

    if printing.verbose:
        print_retries()
    if not cells:
        raise UsageError(
            "No cell was given.", "Give a root ID, nucleus:ID, x,y,z, a link, or a file."
        )
    for word in cells:
        if word.startswith("--"):
            raise UsageError(f'Unknown option: "{word}".', _suggest(word))
    given = list_given_cells(cells)  # all of them first: a typing error costs no query
    _refuse_files(printing, 1 if together else len(given))
    maker = LinkMaker(settings, TYPED.get())
    cells = tuple(cell for item in given for cell in maker.expand(item))
    asked = [cells] if together else [(cell,) for cell in cells]
    _refuse_files(printing, len(asked))
    with ExitStack() as stack:
        painter = stack.enter_context(_make_painter(printing)) if printing.preview else None
        codes = [_link_one(maker, each, printing, painter, len(asked)) for each in asked]
    return SOME_SKIPPED if any(codes) and len(asked) > 1 else max(codes)


def _suggest(word: str) -> str:
    """Name the option that was perhaps meant."""
    names = [item.name for kind in (Settings, Printing) for item in fields(kind)]
    options = ["--together", *("--" + name.replace("_", "-") for name in names)]
    near = get_close_matches(word.partition("=")[0], options, n=1, cutoff=0.75)
    return f"Did you mean {near[0]}?" if near else "See --help for what can be given."


def _link_one(
    maker: LinkMaker,
    cells: tuple[str, ...],
    printing: Printing,
    painter: Painter | None,
    asked: int,
) -> int:
    """Make, print and write one link; one among several that cannot be made is skipped."""
    from synglancer.errors import CellError, TooLargeError

    try:
        made = maker.make(*cells)
    except (CellError, TooLargeError) as error:
        if asked == 1:
            raise
        complain(str(error), error.hint)
        return error.exit_code
    codes = [_write(lambda: _write_state(made, printing))]
    picture = None
    if painter is not None and printing.preview:
        path = name_for_cells(printing.preview, made.cells)
        codes.append(_write(lambda: painter.paint(made.open(), path)))
        picture = None if codes[-1] else path
    codes.append(_write(lambda: _write_qr(made, printing)))
    qr = name_for_cells(printing.qr, made.cells) if printing.qr and not codes[-1] else None
    if not printing.quiet:
        print_summary(made)
    elif made.followed or made.live:  # what is shown is not what was asked for: never unsaid
        print_warnings(made)
    result = format_result(made, printing.output, printing.template, picture, qr)
    print_result(result)
    if printing.open:
        import webbrowser

        webbrowser.open(made.url)
    return max(codes)


def _write(write: Callable[[], object]) -> int:
    """Write a file beside the link, which is good without it: return 0, or say what went wrong."""
    from synglancer.errors import OutputError, PictureError

    try:
        write()
    except (OutputError, PictureError) as error:
        complain(str(error), error.hint)
        return error.exit_code
    except OSError as error:
        reason = error.strerror or type(error).__name__
        complain(
            f"A file beside the link cannot be written: {reason}.",
            "Free some space or choose another folder; the link is made again at no cost.",
        )
        return OutputError.exit_code
    return 0


def _write_state(made: LinkRecord, printing: Printing) -> None:
    if printing.save_state:
        path = name_for_cells(printing.save_state, made.cells)
        write_beside("--save-state", path, made.state_json + b"\n")


def _refuse_files(printing: Printing, links: int) -> None:
    """Refuse files that cannot be written before anything is asked or uploaded."""
    check_writable("--save-state", printing.save_state, links)
    check_writable("--preview", printing.preview, links)
    check_writable("--qr", printing.qr, links)
    if printing.template:
        from synglancer.render.templates import check_template

        check_template(printing.template)
        if printing.output in {"url", "json"}:
            raise UsageError(
                "A template was given, and no card is asked for.",
                "Say with --output which card it makes: markdown, html, latex or rst.",
            )
    if printing.preview:
        check_suffix(Path(printing.preview).suffix, printing.renderer)
    if printing.qr:
        from synglancer.render.qr import check_qr_suffix

        check_qr_suffix(Path(printing.qr).suffix)
    if printing.output == "latex":
        for name in (printing.preview, printing.qr):
            check_latex_name((name or "").replace("{cell}", ""))


def _make_painter(printing: Printing) -> Painter:
    from synglancer.render.screenshots import Painter

    return Painter(PreviewOptions(renderer=printing.renderer))


def _write_qr(made: LinkRecord, printing: Printing) -> None:
    if printing.qr:
        from synglancer.render.qr import format_qr

        path = name_for_cells(printing.qr, made.cells)
        write_beside("--qr", path, format_qr(made.url, path.suffix))
