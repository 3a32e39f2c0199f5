"""make-link: options, order, and what becomes of a cell among several that cannot be shown."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from synglancer.cli.printing import OutputFormat, complain, format_result, print_summary
from synglancer.errors import UsageError
from synglancer.settings import Settings

if TYPE_CHECKING:
    from synglancer.links import Skipped

_SOME_SKIPPED = 5


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What is printed and written.

    Parameters
    ----------
    output
        What is printed for each link: itself, one JSON object a line, or a card.
    save_state
        Also write the state to this file; {cell} in its name stands for the root ID.
    open
        Also open the link in the web browser.
    quiet
        Print no summary, only the result and errors.
    verbose
        Also print what is tried again, and where an error comes from.
    """

    output: OutputFormat = "url"
    save_state: str | None = None
    open: bool = False
    quiet: bool = False
    verbose: bool = False


_DEFAULTS = Settings()
_PRINT_DEFAULTS = Printing()


def link(
    *cells: str,
    settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS,
    printing: Annotated[Printing, Parameter(name="*")] = _PRINT_DEFAULTS,
) -> int:
    """Make a Neuroglancer link that shows a cell's synapses and their targets.

    The link goes to stdout, one line a cell; all else goes to stderr.

    Every option can also be set by SYNGLANCER_<NAME> or in synglancer.toml.

    Parameters
    ----------
    cells
        Root IDs of the cells, such as 864691135276234469.
    """
    from synglancer.cells import parse_cell  # noqa: PLC0415
    from synglancer.pipeline import LinkMaker  # noqa: PLC0415

    if printing.verbose:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
        logging.getLogger("synglancer").setLevel(logging.INFO)
    if not cells:
        raise UsageError("No cell was given.", "Give a root ID, such as 864691135276234469.")
    for cell in cells:
        parse_cell(cell)  # all of them first: a typing error costs no query
    _refuse_unwritable(printing.save_state, len(cells))
    maker = LinkMaker(settings)
    skipped = [found for cell in cells if (found := _link_one(maker, cell, printing, len(cells)))]
    return _SOME_SKIPPED if skipped else 0


def _link_one(maker: Any, cell: str, printing: Printing, asked: int) -> Skipped | None:
    """Make, print and write one link; a cell among several that cannot be shown is skipped."""
    from synglancer.errors import CellError  # noqa: PLC0415
    from synglancer.links import Skipped  # noqa: PLC0415

    try:
        made = maker.make(cell)
    except CellError as error:
        if asked == 1:
            raise
        complain(str(error), error.hint)
        return Skipped(cell, str(error), error.hint, error.exit_code)
    if printing.save_state:
        _write_state(Path(printing.save_state.replace("{cell}", str(made.cell))), made.state_json)
    if not printing.quiet:
        print_summary(made)
    print(format_result(made, printing.output), flush=True)  # noqa: T201
    if printing.open:
        import webbrowser  # noqa: PLC0415

        webbrowser.open(made.url)
    return None


def _refuse_unwritable(name: str | None, cells: int) -> None:
    """Refuse a file that cannot be written before anything is asked or uploaded."""
    if name is None:
        return
    if cells > 1 and "{cell}" not in name:
        raise UsageError(
            "--save-state names one file for several cells.",
            "Put {cell} into its name, which stands for the root ID.",
        )
    path = Path(name)
    writable = os.access(path if path.exists() else path.parent, os.W_OK)
    if path.is_dir() or not path.parent.is_dir() or not writable:
        raise UsageError(
            f"The file {name} cannot be written.",
            "Choose with --save-state a file in a folder that exists and that you may write to.",
        )


def _write_state(path: Path, state: bytes) -> None:
    from synglancer.store import write_file  # noqa: PLC0415

    try:
        write_file(path, state + b"\n")
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be written: {error.strerror}.",
            "Choose another one with --save-state; the link can be made again at no cost.",
        ) from error
