"""make-link and synglancer: options, what is printed, exit codes. The only user of cyclopts.

stdout is the result and nothing else; stderr is talk. It must not know how anything is done, and
imports little: ``--help`` is answered before pandas and caveclient are loaded.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.config import Env, Toml

from synglancer import __version__
from synglancer.errors import SynglancerError, UsageError
from synglancer.sandbox.commands import serve as serve_sandbox
from synglancer.sandbox.commands import start, status, stop
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.links import Link, Skipped

OutputFormat = Literal["url", "json", "markdown", "html", "latex"]

_BUG = 1
_USAGE = 2
_SOME_SKIPPED = 5
_INTERRUPTED = 130

_CONFIG_FILE = "synglancer.toml"
_CONFIG = (
    Env("SYNGLANCER_", command=False, show=False),
    Toml(_CONFIG_FILE, search_parents=True, use_commands_as_keys=False),
)


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
        _complain(str(error), error.hint)
        return Skipped(cell, str(error), error.hint, error.exit_code)
    if printing.save_state:
        _write_state(Path(printing.save_state.replace("{cell}", str(made.cell))), made.state_json)
    if not printing.quiet:
        _print_summary(made)
    print(_format(made, printing.output), flush=True)  # noqa: T201
    if printing.open:
        import webbrowser  # noqa: PLC0415

        webbrowser.open(made.url)
    return None


def _format(made: Link, output: OutputFormat) -> str:
    if output == "url":
        return made.url
    if output == "json":
        import orjson  # noqa: PLC0415

        return orjson.dumps(made.to_record()).decode()
    from synglancer.report import render_card  # noqa: PLC0415

    return render_card(made, output)


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


def _print_summary(made: Link) -> None:
    """Print the counts as a table, and what a reader should know."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=True, highlight=False)
    tags = list(dict.fromkeys(tag for counts in made.counts_by_tag.values() for tag in counts))
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name in ("", *tags, "all"):
        table.add_column(Text(_printable(name)), justify="right" if name else "left")
    for direction, counts in made.counts_by_tag.items():
        numbers = [*(counts.get(tag, 0) for tag in tags), sum(counts.values())]
        table.add_row(direction, *(f"{number:,}" for number in numbers))
    head = f"{made.cell}  {made.datastack} version {made.version} ({made.timestamp:%Y-%m-%d})"
    console.print(Text(_printable(head)))
    console.print(table)
    if made.shown != made.total:
        console.print(Text(f"{made.shown:,} shown, {made.total - made.shown:,} filtered out."))
    for warning in made.warnings:
        console.print(Text(_printable(warning)), style="yellow")


def _printable(text: str) -> str:
    """Replace what a terminal would obey instead of print."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _complain(message: str, hint: str) -> None:
    print(f"{_printable(message)}\n{_printable(hint)}", file=sys.stderr)  # noqa: T201


def _format_default(value: Any) -> str | None:
    """Show a default that says something; a flag that is off does not."""
    return str(value) if value else None


def _make_app(name: str, **options: Any) -> App:
    return App(
        name=name,
        version=__version__,
        help_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=_format_default),
        **options,
    )


def build_make_link() -> App:
    """Build the command ``make-link``."""
    app = _make_app("make-link", config=_CONFIG, version_flags=[])
    app.default(link)
    return app


def build_synglancer() -> App:
    """Build the command ``synglancer``."""
    app = _make_app(
        "synglancer", help="From a cell to a Neuroglancer link that shows its synapses."
    )
    app.command(link, name="link", config=_CONFIG)
    sandbox = _make_app("sandbox", help="An embedded CAVE on this machine, with a synthetic cell.")
    for command, name in (
        (serve_sandbox, "serve"),
        (start, "start"),
        (status, "status"),
        (stop, "stop"),
    ):
        sandbox.command(command, name=name)
    app.command(sandbox)
    return app


def make_link_main() -> None:
    """Run ``make-link``."""
    sys.exit(run(build_make_link, sys.argv[1:]))


def main() -> None:
    """Run ``synglancer``."""
    sys.exit(run(build_synglancer, sys.argv[1:]))


def run(build: Callable[[], App], arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error is two sentences.

    Parameters
    ----------
    build
        Makes the command's application.
    arguments
        What was typed after its name.
    """
    # Imports make many objects that stay: looking for garbage among them costs a tenth of them.
    gc.set_threshold(100_000)
    try:
        return _run(build, arguments)
    except BrokenPipeError:  # the reader has seen enough
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last line of defence
        if "--verbose" in arguments:
            import traceback  # noqa: PLC0415

            traceback.print_exc()
        code, message, hint = _explain(error)
        _complain(message, hint)
        return code


def _run(build: Callable[[], App], arguments: Sequence[str]) -> int:
    result = build()(
        arguments, exit_on_error=False, print_error=False, result_action="return_value"
    )
    return result if isinstance(result, int) else 0


def _explain(error: BaseException) -> tuple[int, str, str]:
    """Return the exit code of an error, what happened and what to do."""
    cause = error.__cause__ if isinstance(error, CycloptsError) else error
    if isinstance(cause, SynglancerError):
        return cause.exit_code, str(cause), cause.hint
    if type(error) is CycloptsError and isinstance(cause, OSError | ValueError):
        hint = "Correct or remove it; it is looked for in this folder and in those above."
        return _USAGE, f"{_CONFIG_FILE} cannot be read: {cause}.", hint
    if isinstance(error, CycloptsError):
        return _USAGE, " ".join(str(error).split()), "See --help for what can be given."
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED, "Interrupted.", "Nothing was left half-done."
    message = f"This is a bug of synglancer: {type(error).__name__}."
    return _BUG, message, "Please report it, with what --verbose prints."
