"""make-link and synglancer: options, what is printed, exit codes. The only user of cyclopts.

stdout is the result and nothing else; stderr is talk. Little is imported here before Ctrl+C is
handled; the functions that build the commands load the rest.
"""

from __future__ import annotations

import functools
import gc
import sys
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.cli.interruption import INTERRUPTION
from synglancer.cli.printing import GIVEN, OPTIONS, TYPED, complain, print_lines
from synglancer.cli.streams import check_stdout, drop_stdout, flush_stdout, prepare_streams
from synglancer.errors import is_debugging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyclopts import App

_COMPLETION = "Install completion for your shell: bash, zsh or fish."


def _format_default(value: Any) -> str | None:
    """Show a default only if it says something; a flag that is off does not."""
    return str(value) if value else None


def _make_app(name: str, *, example: str | None = None, **options: Any) -> App:
    from cyclopts import App, Parameter

    from synglancer.cli.config import CHECKS

    options.setdefault("config", CHECKS)
    return App(
        name=name,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,  # say what an interruption leaves
        default_parameter=Parameter(negative=(), show_default=_format_default),
        **_describe(example),
        **options,
    )


def _describe(example: str | None) -> dict[str, Any]:
    """Return the common parts of commands: the program's version, and examples after the help."""
    from synglancer.cli.examples import format_examples

    shown = {"version": __version__, "version_flags": ["--about"]}  # --version is the data's
    if example is None or not _takes_epilogue():
        return shown
    return {**shown, "help_epilogue": format_examples(example)}


@functools.cache
def _takes_epilogue() -> bool:
    """Whether this release of cyclopts prints text after the help."""
    from inspect import signature

    from cyclopts import App

    return "help_epilogue" in signature(App).parameters


def build_make_link() -> App:
    """Build the command ``make-link``."""
    from synglancer.cli.commands.link import link
    from synglancer.cli.config import CONFIG

    usage = "Usage: make-link [OPTIONS] CELL..."
    app = _make_app("make-link", example="make-link", config=CONFIG, usage=usage)
    app.default(link)
    app.register_install_completion_command(help=_COMPLETION)
    return app


def build_synglancer() -> App:
    """Build the command ``synglancer``."""
    from synglancer.cli.commands.check import check
    from synglancer.cli.commands.compare import compare
    from synglancer.cli.commands.doctor import doctor
    from synglancer.cli.commands.history import history
    from synglancer.cli.commands.link import link
    from synglancer.cli.commands.preview import preview
    from synglancer.cli.commands.publish import publish, verify
    from synglancer.cli.commands.report import report
    from synglancer.cli.commands.serve import serve
    from synglancer.cli.commands.table import table
    from synglancer.cli.commands.trust import trust
    from synglancer.cli.commands.verdicts import verdicts
    from synglancer.cli.config import CHECKS, CONFIG, VARIABLES

    app = _make_app(
        "synglancer",
        help="Make, check and compare Neuroglancer links that show a cell's synapses.",
    )
    app.version_flags = ["--version", "--about"]
    app.register_install_completion_command(help=_COMPLETION)
    commands: dict[Callable[..., Any], tuple[str, Any]] = {
        link: ("[OPTIONS] CELL...", CONFIG),
        report: ("[OPTIONS] CELL... -o FILE", CONFIG),
        compare: ("[OPTIONS] CELL|LINK...", CONFIG),
        check: ("[OPTIONS] LINK|FILE|FOLDER...", VARIABLES),
        verdicts: ("[OPTIONS] LINK...", CHECKS),
        table: ("[OPTIONS] LINK", CHECKS),
        preview: ("[OPTIONS] LINK...", CHECKS),
        history: ("[OPTIONS] [CELL...]", CHECKS),
        trust: ("[FILE]", CHECKS),
        serve: ("[OPTIONS] FOLDER", CHECKS),
        doctor: ("[OPTIONS]", CHECKS),
    }
    for command, (words, config) in commands.items():
        name = command.__name__
        example = _describe("make-link" if command is link else name)
        app.command(command, config=config, usage=f"Usage: synglancer {name} {words}", **example)
    usage = "Usage: synglancer publish [OPTIONS] FILE... --dest FOLDER|BUCKET --version N"
    publishing = _make_app("publish", example="publish", config=VARIABLES, usage=usage)
    publishing.default(publish)
    publishing.command(verify, **_describe("publish verify"))
    app.command(publishing)
    _add_groups(app)
    return app


def _add_groups(app: App) -> None:
    """Add the commands with subcommands."""
    from synglancer.cli.commands.cache import clear, info
    from synglancer.cli.commands.sandbox import serve, start, status, stop
    from synglancer.cli.commands.templates import copy, list_, show

    groups: dict[str, tuple[str, tuple[Callable[..., Any], ...]]] = {
        "cache": ("Show or clear the local cache.", (info, clear)),
        "templates": (
            "List, show or copy the templates of cards and reports.",
            (list_, show, copy),
        ),
        "sandbox": (
            "Run an embedded CAVE on this machine, with a synthetic cell.",
            (serve, start, status, stop),
        ),
    }
    for name, (text, commands) in groups.items():
        group = _make_app(name, example=name, help=text)
        for command in commands:
            group.command(command, name=command.__name__.rstrip("_"))
        app.command(group)


def make_link_main() -> None:
    """Run ``make-link``."""
    _start(build_make_link)


def main() -> None:
    """Run ``synglancer``."""
    _start(build_synglancer)


def _start(build: Callable[[], App]) -> None:
    prepare_streams()
    INTERRUPTION.listen()
    INTERRUPTION.run(lambda: run(build, sys.argv[1:]))


def run(build: Callable[[], App], arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every error is two sentences.

    An interruption, KeyboardInterrupt, goes through.

    Parameters
    ----------
    build
        Makes the command's application.
    arguments
        The words typed after its name.
    """
    # Imports create many long-lived objects, and garbage collection among them costs a tenth of the
    # time.
    gc.set_threshold(100_000)
    try:
        check_stdout()
        code = _run(build, arguments)
        flush_stdout()
        return code  # noqa: TRY300  # what cannot be written is an error too
    except BrokenPipeError:  # the reader has closed the pipe
        drop_stdout()
        return 0
    except Exception as error:  # the last line of defence
        if INTERRUPTION.came:  # some libraries turn it into another error
            raise KeyboardInterrupt from error
        from synglancer.cli.explaining import explain

        if "--verbose" in arguments or is_debugging():
            import traceback

            complain(*"".join(traceback.format_exception(error)).splitlines())
        code, message, hint = explain(error)
        complain(message, hint)
        try:
            flush_stdout()
        except OSError:
            drop_stdout()
        return code


def _run(build: Callable[[], App], arguments: Sequence[str]) -> int:
    app = build()
    if [*arguments] in (["--help"], ["-h"]):  # cyclopts would assemble the options twice
        app.help_print([])
        return 0
    if not {"--help", "-h"} & {*arguments}:
        from synglancer.cli.config import FILE, FILE_OPTIONS, name_in_file
        from synglancer.cli.variables import UNKNOWN, explain_unknown_variables, list_options

        FILE_OPTIONS.set(lambda: map(name_in_file, list_options(build_synglancer(), FILE)))
        UNKNOWN.set(explain_unknown_variables(build_synglancer))
        print_lines(UNKNOWN.get())
    OPTIONS.set(lambda: _list_options(app, arguments))
    GIVEN.set(())
    TYPED.set((app.name[0], *(_as_text(word) for word in arguments)))
    result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    return result if isinstance(result, int) else 0


def _list_options(app: App, arguments: Sequence[str]) -> list[str]:
    """List the options of the command that was typed."""
    from synglancer.cli.config import list_names

    *_, command = app.parse_commands(arguments)[1]
    named = (name for one in command.assemble_argument_collection() for name in list_names(one))
    return [name for name in named if name.startswith("--")]


def _as_text(word: str) -> str:
    """Return a word of the command line as text for the history, because names may be any bytes."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
