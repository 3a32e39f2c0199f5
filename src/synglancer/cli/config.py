"""Such a file may belong to somebody else, for instance in a repository or a shared folder.

Options that could do harm are taken only from a file that the user has trusted with its present
content.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cyclopts import CycloptsError
from cyclopts.config import Env, Toml

from synglancer.cache.files import data_folder, replacing
from synglancer.errors import UsageError
from synglancer.option_values import check_needs

if TYPE_CHECKING:
    from cyclopts import App, ArgumentCollection

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


class GuardedToml(Toml):
    """The options of a file; options that could do harm only if the user trusts the file."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Take the options of the file.

        Raises
        ------
        UsageError
            When it sets an option that could do harm, and is not trusted.
        """
        given = {key.strip("-").replace("-", "_").lower() for key in self.config}
        guarded = [name for name in GUARDED if name in given]
        if guarded:
            path = find_file()
            if path is None or not is_trusted(path):
                raise UsageError(
                    f"The file {path} sets {', '.join(guarded)}, but you have not trusted this "
                    "file yet.",
                    f"Read the file. If you trust it, run `synglancer trust {path}`.",
                )
            print(f"Using {', '.join(guarded)} from {path}", file=sys.stderr)  # noqa: T201
        super().__call__(app, commands, arguments)

    def _load_config(self, path: Path) -> dict[str, Any]:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib

        try:
            return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:  # otherwise cyclopts would raise a TypeError
            raise CycloptsError(msg=str(error)) from error
        except RecursionError as error:
            raise ValueError("its lists are nested too deep") from error


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
            if token.value.strip() or flag or argument.name == "--tag":
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
        name = argument.name.removeprefix("--").replace("-", "_")
        given = [*argument.tokens]
        values[name] = None
        if given:
            flag = isinstance(given[-1].implicit_value, bool)
            values[name] = True if flag else given[-1].value
            if any(token.source == "cli" for token in given):
                asked.append(name)
    check_needs(asked, values)


CHECKS = (refuse_empty, refuse_idle)
"""What is checked of the options of every command."""

VARIABLES = (ENVIRONMENT, *CHECKS)
"""Where a command's options come from that no file may set."""

CONFIG = (
    ENVIRONMENT,
    GuardedToml(CONFIG_FILE, search_parents=True, use_commands_as_keys=False),
    *CHECKS,
)
"""The sources of options that were not typed (the environment, then the file), and a check."""


def trust_file(path: Path) -> None:
    """Mark a file with its present content as trusted.

    Raises
    ------
    UsageError
        When it cannot be read, or the mark cannot be stored.
    """
    try:
        trusted = {**_read_trusted(), str(path.resolve()): _hash(path)}
        with replacing(trust_list()) as temporary:
            temporary.write_bytes(orjson.dumps(trusted, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UsageError(
            f"The file {path} could not be marked as trusted: {error.strerror}.",
            "Give a synglancer.toml that you can read.",
        ) from error


def is_trusted(path: Path) -> bool:
    """Whether the user trusts a file with its present content."""
    try:
        return _read_trusted().get(str(path.resolve())) == _hash(path)
    except OSError:
        return False


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trust_list() -> Path:
    """Return the file that lists the trusted files."""
    return data_folder() / "trusted.json"


def _read_trusted() -> dict[str, str]:
    try:
        trusted = orjson.loads(trust_list().read_bytes())
    except (OSError, ValueError):
        return {}
    return trusted if isinstance(trusted, dict) else {}
