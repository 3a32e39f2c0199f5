"""synglancer doctor: whether this machine can make, open and photograph links; if not, why."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError

from synglancer.cli.commands.link import link
from synglancer.cli.config import CONFIG, ENVIRONMENT, PREFIX, find_file
from synglancer.cli.explaining import explain
from synglancer.cli.options import CELLS, CONNECTION, OUTPUT, VIEW, describe
from synglancer.cli.printing import for_terminal, print_json, print_result
from synglancer.cli.variables import UNKNOWN
from synglancer.errors import ServiceError, SynglancerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.doctor.outcome import Outcome
    from synglancer.settings import Settings

_CELL = "0"
"""A placeholder for the cell that `make-link` needs but `doctor` does not."""

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_NARROWEST = 40


def doctor(
    *,
    version: Annotated[str | None, describe(CELLS, "VERSION")] = None,
    datastack: Annotated[str | None, describe(CELLS, "NAME")] = None,
    table: Annotated[str | None, describe(CELLS, "NAME")] = None,
    site: Annotated[str | None, describe(VIEW, "SITE")] = None,
    output: Annotated[Literal["text", "json"], describe(OUTPUT)] = "text",
    sandbox: Annotated[bool, describe(CONNECTION)] = False,
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None,
    timeout: Annotated[float | None, describe(CONNECTION, "SECONDS")] = None,
    write: Annotated[bool, describe(CONNECTION)] = False,
) -> int:
    """Check everything that making links needs, and say how to fix what is missing.

    The settings are those of make-link, from the same places. The exit code is 4 if a check fails;
    warnings concern things that links do not need. The token is never shown.

    Parameters
    ----------
    version
        Materialization version: number, latest, or day (minnie65_public: 1718).
    datastack
        The datastack (otherwise minnie65_public).
    table
        Table of predictions.
    site
        Viewer: spelunker, google, an address, or spelunker=ADDRESS for a copy.
    output
        Print a line per check, or one JSON object.
    sandbox
        Check the embedded CAVE on this machine.
    server
        CAVE server (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token.
    timeout
        Longest time for one request, retries included, in seconds (otherwise 60).
    write
        Store a small state on the state server without asking first.
    """
    from synglancer.doctor.examination import examine

    typed = {
        "version": version,
        "datastack": datastack,
        "table": table,
        "site": site,
        "server": server,
        "token-file": token_file,
        "timeout": timeout,
    }
    words = [f"--{name}={value}" for name, value in typed.items() if value is not None]
    settings, found = _read_settings([*words, "--sandbox"] if sandbox else words)
    asks = output == "text" and sys.stdin is not None and sys.stdin.isatty()
    outcomes = []
    for outcome in examine(settings, lambda host: write or (asks and _ask(host)), found):
        outcomes.append(outcome)
        if output == "text":
            _print_line(outcome)
    failed = [outcome.name for outcome in outcomes if outcome.status == "failed"]
    if output == "json":
        checks = [vars(outcome) for outcome in outcomes]
        print_json({"healthy": not failed, "checks": checks})
    return ServiceError.exit_code if failed else 0


def _read_settings(words: Sequence[str]) -> tuple[Settings, list[Outcome]]:
    """Read the settings that ``make-link`` would use here, and report errors in them.

    Raises
    ------
    SynglancerError
        When the typed options are invalid, whatever the environment and the file contain.
    """
    from synglancer.doctor.outcome import Outcome

    try:
        settings = _parse(words, CONFIG)
    except (CycloptsError, SynglancerError, OSError) as error:
        _, message, hint = explain(error)
        if isinstance(error, CycloptsError) and error.__cause__ is None:
            hint = "Correct or remove it; `make-link --help` lists the options."
        found = Outcome("settings", "failed", message, hint)
        try:
            return _parse(words, (ENVIRONMENT,)), [found]
        except (CycloptsError, SynglancerError):
            return _parse(words, ()), [found]
    unknown = UNKNOWN.get()
    message = " ".join([_name_places(), *unknown])
    return settings, [Outcome("settings", "warning" if unknown else "ok", message)]


def _parse(words: Sequence[str], config: tuple[Any, ...]) -> Settings:
    app = App(config=config)
    app.default(link)
    _, bound, _ = app.parse_args([_CELL, *words], exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return bound.arguments["settings"]


def _name_places() -> str:
    """Describe where settings come from, without their values, which may be private."""
    variables = sorted(name for name in os.environ if name.startswith(PREFIX))
    file = find_file()
    places = [*variables, *([str(file)] if file else [])]
    if not places:
        return "Only default settings are used."
    return f"Settings come from {', '.join(places)}."


def _ask(server: str) -> bool:
    """Ask whether a state may be stored; anything but yes is no."""
    question = f"Store a small state at {server} as a test? [y/N] "
    print(for_terminal(question), end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _print_line(outcome: Outcome) -> None:
    """Print an outcome on one line, unless the terminal is too narrow."""
    head = f"{outcome.status:<9}{outcome.name:<11}"
    text = for_terminal(f"{head}{outcome.message} {outcome.hint}".rstrip())
    if not sys.stdout.isatty():
        print_result(text)
        return
    from rich.console import Console
    from rich.text import Text

    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    margin = " " * len(head)
    lines = textwrap.wrap(
        text, width, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
    )
    line = Text("\n".join(lines))
    line.stylize(_STYLES[outcome.status], 0, len(outcome.status))
    Console(highlight=False, soft_wrap=True).print(line)
