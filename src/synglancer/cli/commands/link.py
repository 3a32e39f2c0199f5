"""make-link: its options, the order of its output, and cells that cannot be shown."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # cyclopts reads it
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from synglancer.cli.files import check_files, name_for_link, write_beside
from synglancer.cli.options import CELLS, OUTPUT, LinkSettings, Workers, describe
from synglancer.cli.printing import (
    TYPED,
    OutputFormat,
    check_options,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from synglancer.links.link_record import LinkRecord, Skipped
    from synglancer.links.make import LinkMaker
    from synglancer.render.screenshots import Painter


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What is printed and written.

    Parameters
    ----------
    output
        Print the link, a JSON object, or a card with counts.
    save_state
        Also write the state to this file; {cell} stands for the root ID.
    preview
        Also write a picture to this file: PNG, or SVG with --renderer plot.
    renderer
        Take the picture in a browser, or plot the synapses without one.
    qr
        Also write the link as a QR code to this file: PNG or SVG.
    template
        Use your own Jinja2 template for the card.
    open
        Open the link in your web browser.
    quiet
        Print only the result, errors, and warnings that the link does not show what you asked for.
    verbose
        Also print retries, and tracebacks of errors.
    """

    output: Annotated[OutputFormat, describe(OUTPUT)] = "url"
    save_state: Annotated[str | None, describe(OUTPUT, "FILE")] = None
    preview: Annotated[str | None, describe(OUTPUT, "FILE")] = None
    renderer: Annotated[Renderer, describe(OUTPUT)] = "browser"
    qr: Annotated[str | None, describe(OUTPUT, "FILE")] = None
    template: Annotated[Path | None, describe(OUTPUT, "FILE")] = None
    open: Annotated[bool, describe(OUTPUT)] = False
    quiet: Annotated[bool, describe(OUTPUT)] = False
    verbose: Annotated[bool, describe(OUTPUT)] = False


_DEFAULTS = LinkSettings()
_PRINT_DEFAULTS = Printing()
_WORKERS = Workers()


def link(
    *cells: Annotated[str, describe(None, "CELL...", allow_leading_hyphen=True)],
    together: Annotated[bool, describe(CELLS)] = False,
    settings: Annotated[LinkSettings, Parameter(name="*")] = _DEFAULTS,
    printing: Annotated[Printing, Parameter(name="*")] = _PRINT_DEFAULTS,
    workers: Annotated[Workers, Parameter(name="*")] = _WORKERS,
) -> int:
    """Make a Neuroglancer link that shows a cell's synapses and where they land.

    Links go to stdout, one per line; everything else goes to stderr.

    Options can also be set with SYNGLANCER_<NAME> variables or in synglancer.toml.

    Parameters
    ----------
    cells
        Root ID, nucleus:ID, synapse:ID, position x,y,z (voxels; or x,y,z@nm), link, or file.
    together
        Make one link for all cells, with synapses between them in their own layers.
    """
    from synglancer.cells.lists import list_given_cells
    from synglancer.links.makers import open_maker

    if printing.verbose:
        print_retries()
    if not cells:
        raise UsageError(
            "No cell was given.", "Give a root ID, nucleus:ID, x,y,z, a link, or a file."
        )
    check_options(cells)
    given = list_given_cells(cells)  # all of them first: a typing error costs no query
    read = (*cells, *given, *settings.annotations, settings.token_file, printing.template)
    _refuse_files(printing, read, 1 if together else len(given))
    maker = open_maker(settings, TYPED.get())
    cells = tuple(cell for item in given for cell in maker.expand(item))
    asked = 1 if together else len(cells)
    _refuse_files(printing, read, asked)
    with ExitStack() as stack:
        painter = None
        if printing.preview:
            from synglancer.render.screenshots import Painter

            painter = stack.enter_context(Painter(PreviewOptions(renderer=printing.renderer)))
        if asked == 1:
            return _give(maker.make(*cells), printing, painter)
        links = stack.enter_context(closing(_make_many(maker, cells, settings, printing, workers)))
        codes = [_give(made, printing, painter) for made in links]
    return SOME_SKIPPED if any(codes) else 0


def _make_many(
    maker: LinkMaker,
    cells: Sequence[str],
    settings: LinkSettings,
    printing: Printing,
    workers: Workers,
) -> Generator[LinkRecord | Skipped]:
    """Make a link for each cell; the first ones are printed while the last ones are made."""
    from synglancer.links.batch import map_links
    from synglancer.render.progress import show_progress

    seen = printing.quiet and not sys.stdout.isatty()  # otherwise the output shows the progress
    return map_links(
        cells,
        settings,
        _take,
        command=TYPED.get(),
        spread=workers.spread(),
        progress=show_progress if seen else None,
        maker=maker,
    )


def _take(link: LinkRecord) -> LinkRecord:
    return link


def _give(made: LinkRecord | Skipped, printing: Printing, painter: Painter | None) -> int:
    """Print a link and write its files, or explain why it failed; return the exit code."""
    from synglancer.links.link_record import Skipped

    if isinstance(made, Skipped):
        complain(made.sentence, made.hint)
        return made.exit_code
    codes = [_write(lambda: _write_state(made, printing))]
    picture = None
    if painter is not None and printing.preview:
        path = name_for_link(printing.preview, made)
        codes.append(_write(lambda: painter.paint(made.opened(), path)))
        picture = None if codes[-1] else path
    codes.append(_write(lambda: _write_qr(made, printing)))
    qr = name_for_link(printing.qr, made) if printing.qr and not codes[-1] else None
    if not printing.quiet:
        print_summary(made)
    else:
        from synglancer.links.warnings import select_essential

        # Without a summary, each says which of several cells it is about.
        cell = made.subject
        print_warnings(one if cell in one else f"{cell}: {one}" for one in select_essential(made))
    result = format_result(made, printing.output, printing.template, picture, qr)
    print_result(result)
    if printing.open:
        import webbrowser

        if not webbrowser.open(made.url):
            complain(
                "No browser could be opened on this machine.",
                "Copy the link into a browser, or leave out --open.",
            )
    return max(codes)


def _write(write: Callable[[], object]) -> int:
    """Write a file that goes with a link; if that fails, say why. Return the exit code."""
    from synglancer.errors import OutputError, PictureError

    try:
        write()
    except (OutputError, PictureError) as error:
        complain(str(error), error.hint)
        return error.exit_code
    except OSError as error:
        reason = error.strerror or type(error).__name__
        complain(
            f"The link was made, but another file cannot be written: {reason}.",
            "Free some space or choose another folder, then run the command again.",
        )
        return OutputError.exit_code
    return 0


def _write_state(made: LinkRecord, printing: Printing) -> None:
    if printing.save_state:
        path = name_for_link(printing.save_state, made)
        write_beside("--save-state", path, made.state_json + b"\n")


def _refuse_files(printing: Printing, read: Sequence[str | Path | None], links: int) -> None:
    """Refuse files that cannot be written, before any request or upload."""
    outputs = {"--save-state": printing.save_state, "--preview": printing.preview}
    check_files({**outputs, "--qr": printing.qr}, read, links)
    if printing.template:
        from synglancer.render.templates import check_template

        check_template(printing.template)
        if printing.output in {"url", "json"}:
            raise UsageError(
                "A template was given, but no card was requested.",
                "Choose the format of the card with --output: markdown, html, latex or rst.",
            )
    if printing.preview:
        check_suffix(printing.preview, printing.renderer)
    if printing.qr:
        from synglancer.render.qr import check_qr_suffix

        check_qr_suffix(printing.qr)
    if printing.output == "latex":
        for name in (printing.preview, printing.qr):
            check_latex_name((name or "").replace("{cell}", ""))


def _write_qr(made: LinkRecord, printing: Printing) -> None:
    if printing.qr:
        from synglancer.render.qr import format_qr

        path = name_for_link(printing.qr, made)
        write_beside("--qr", path, format_qr(made.url, path.suffix.lower()))
