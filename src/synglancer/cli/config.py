"""Take options from a file ``synglancer.toml``, in the working folder or in one above it.

Such a file may belong to somebody else, for instance in a repository or a shared folder. Options
that could do harm are taken only from a file that the user has trusted with its present
content.
"""

from __future__ import annotations

import hashlib
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cyclopts import CycloptsError
from cyclopts.config import Env, Toml

from synglancer.cache.files import data_folder, read_file, replacing
from synglancer.cli.printing import GIVEN
from synglancer.errors import UsageError
from synglancer.option_values import check_needs
from synglancer.text.printable import quote
from synglancer.text.spelling import find_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cyclopts import App, Argument, ArgumentCollection

CONFIG_FILE = "synglancer.toml"

GUARDED = (
    "server",  # gets the token
    "token_file",  # is sent as the token
    "site",  # is opened by everybody who has the link
    "source",  # decides which synapses are shown, and in which viewer
    "public_url",
    "publish_to",  # is written
    "template",  # is run
    "save_state",  # these are written
    "preview",
    "qr",
)
"""Options that only a trusted file may set."""

PREFIX = "SYNGLANCER_"
ENVIRONMENT = Env(PREFIX, command=False, show=False)


FILE_OPTIONS: ContextVar[Callable[[], Iterable[str]]] = ContextVar("FILE_OPTIONS", default=tuple)
"""Lists the options, such as ``min_confidence``, of all commands that read the file."""


class GuardedToml(Toml):
    """The options of a file; options that could do harm only if the user trusts the file.

    The file holds the defaults of a lab for all commands that read it. Each takes its own options.
    """

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Take the command's options from the file.

        Raises
        ------
        UsageError
            When it sets an option that no command has, or one that could do harm, and is not
            trusted.
        """
        if not self.config:
            return
        own = {name_in_file(name) for argument in arguments for name in list_names(argument)}
        given = {name_in_file(key).lower() for key in self.config}
        guarded = [name for name in GUARDED if name in own and name in given]
        if guarded:
            path = find_file()
            if path is None or not is_trusted(path):
                raise UsageError(
                    f"The file {path} sets {', '.join(guarded)}, but you have not trusted this "
                    "file yet.",
                    f"Read the file. If you trust it, run `synglancer trust {path}`.",
                )
            print(f"Using {', '.join(guarded)} from {path}", file=sys.stderr)  # noqa: T201
        _refuse_unknown(self.config, own)
        super().__call__(app, commands, arguments)

    def _load_config(self, path: Path) -> dict[str, Any]:
        try:
            return _read_toml(path)
        except OSError as error:  # otherwise cyclopts would raise a TypeError
            raise CycloptsError(msg=str(error)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    """Read a file of options.

    Raises
    ------
    OSError
        When it cannot be read.
    ValueError
        When it is not TOML in UTF-8.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(read_file(path).decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("its lists are nested too deep") from error


def list_names(argument: Argument) -> tuple[str, ...]:
    """List the names of an option or argument.

    ``argument.names`` also looks for the opposites of flags each time, but our flags have none.
    """
    return tuple(argument.parameter.name or ())


def name_in_file(option: str) -> str:
    """Write the name of an option as in the file: ``min_confidence`` for ``--min-confidence``."""
    return option.strip("-").replace("-", "_")


def _refuse_unknown(given: Mapping[str, object], own: set[str]) -> None:
    """Refuse an option of the file that no command has, and name the one that was probably meant.

    `own` are the options of the running command.
    """
    sections = [name for name, value in given.items() if isinstance(value, dict)]
    others = [name for name in given if name_in_file(name) not in own]
    if not others and not sections:
        return
    known = own | set(FILE_OPTIONS.get()())
    for name in others:
        if name_in_file(name) not in known:
            near = find_meant(name, sorted(known))
            raise UsageError(
                f"{find_file()} sets {quote(name)}, which is not an option.",
                f"Did you mean {near}?"
                if near
                else "Correct or remove it. See --help for the options.",
            )
    if sections:
        raise UsageError(
            f"{find_file()} has a section {quote(sections[0])}, but options are not in sections.",
            "Write each option on a line of its own, above all sections.",
        )


def find_file() -> Path | None:
    """Find the nearest file, from the working folder upwards."""
    folder = Path.cwd()
    files = (parent / CONFIG_FILE for parent in (folder, *folder.parents))
    return next((file for file in files if file.exists()), None)


def refuse_empty(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse empty arguments and options: as a path, one would mean the current folder.

    Raises
    ------
    UsageError
        When one is empty or white space; an empty tag has its own sentences.
    """
    for argument in arguments:
        for token in argument.tokens:
            flag = isinstance(token.implicit_value, bool)  # it has no value
            if token.value.strip() or flag or "--tag" in list_names(argument):
                continue
            if not token.keyword:
                raise UsageError(
                    "An argument is empty.",
                    "Leave it out, or check that a variable in your script has a value.",
                )
            raise UsageError(f"{token.keyword} is empty.", "Give a value, or leave the option out.")


def refuse_idle(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse typed options that have no effect without another one.

    Raises
    ------
    UsageError
        When one has none.
    """
    asked: list[str] = []
    values: dict[str, object] = {}
    for argument in arguments:
        name = name_in_file(list_names(argument)[0])
        given = [*argument.tokens]
        values[name] = None
        if given:
            flag = isinstance(given[-1].implicit_value, bool)
            values[name] = True if flag else given[-1].value
            if any(token.source == "cli" for token in given):
                asked.append(name)
    check_needs(asked, values)


def note_values(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Note the values of options, so that messages can hide a token that is among them."""
    GIVEN.set(tuple(token.value for argument in arguments for token in argument.tokens))


CHECKS = (note_values, refuse_empty, refuse_idle)
"""What is checked of the options of every command."""

VARIABLES = (ENVIRONMENT, *CHECKS)
"""Where a command's options come from that no file may set."""

FILE = GuardedToml(CONFIG_FILE, search_parents=True, use_commands_as_keys=False, allow_unknown=True)
"""The file's options; unknown ones are refused before, because cyclopts knows one command only."""

CONFIG = (ENVIRONMENT, FILE, *CHECKS)
"""The sources of options that were not typed (the environment, then the file), and the checks."""


def trust_file(path: Path) -> None:
    """Mark a file with its present content as trusted.

    Raises
    ------
    UsageError
        When it is no file of options, or cannot be read, or the mark cannot be stored.
    """
    hint = f"Give a {CONFIG_FILE} that you have read."
    if path.name != CONFIG_FILE:
        raise UsageError(f"The file {path} is not named {CONFIG_FILE}, so it is never used.", hint)
    try:
        if not _read_toml(path):
            raise UsageError(f"The file {path} sets no option, so there is nothing to trust.", hint)
        trusted = {**_read_trusted(), str(path.resolve()): _hash(path)}
        with replacing(trust_list()) as temporary:
            temporary.write_bytes(orjson.dumps(trusted, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UsageError(
            f"The file {path} could not be marked as trusted: {error.strerror}.",
            f"Give a {CONFIG_FILE} that you can read.",
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The file {path} is not a text file in UTF-8.", hint) from error
    except ValueError as error:
        raise UsageError(f"The file {path} is not TOML: {error}.", hint) from error


def is_trusted(path: Path) -> bool:
    """Whether the user trusts a file with its present content."""
    try:
        return _read_trusted().get(str(path.resolve())) == _hash(path)
    except OSError:
        return False


def _hash(path: Path) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()


def trust_list() -> Path:
    """Return the file that lists the trusted files."""
    return data_folder() / "trusted.json"


def _read_trusted() -> dict[str, str]:
    try:
        trusted = orjson.loads(trust_list().read_bytes())
    except (OSError, ValueError):
        return {}
    return trusted if isinstance(trusted, dict) else {}
