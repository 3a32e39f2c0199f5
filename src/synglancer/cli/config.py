"""Options from a file ``synglancer.toml``, found in the working folder or in one above it.

Such a file may be somebody else's: it came with a repository, or lies in a shared folder. Options
with which it could do harm are taken only from a file that the user has trusted, with the content
that it had then.
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

if TYPE_CHECKING:
    from cyclopts import App, ArgumentCollection

CONFIG_FILE = "synglancer.toml"

GUARDED = (
    "server",  # gets the token
    "token_file",  # is sent as the token
    "site",  # is opened by everybody who gets the link
    "source",  # says which synapses are shown, and in which viewer
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
    """The options of a file; those that could do harm only if the user trusts it."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Take the options of the file.

        Raises
        ------
        UsageError
            When it sets one that could do harm, and is not trusted.
        """
        given = {key.strip("-").replace("-", "_").lower() for key in self.config}
        guarded = [name for name in GUARDED if name in given]
        if guarded:
            path = find_file()
            if path is None or not is_trusted(path):
                raise UsageError(
                    f"The file {path} sets {', '.join(guarded)}, which only a file that you trust "
                    "may do.",
                    f"Read it; if it is yours, run `synglancer trust {path}`.",
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
        except OSError as error:  # in whose place cyclopts would raise a TypeError
            raise CycloptsError(msg=str(error)) from error
        except RecursionError as error:
            raise ValueError("its lists are nested too deep") from error


def find_file() -> Path | None:
    """Find the file that is read: the nearest one, from the working folder upwards."""
    folder = Path.cwd()
    files = (parent / CONFIG_FILE for parent in (folder, *folder.parents))
    return next((file for file in files if file.exists()), None)


CONFIG = (ENVIRONMENT, GuardedToml(CONFIG_FILE, search_parents=True, use_commands_as_keys=False))
"""Where options come from that were not typed: the environment, then the file."""


def trust_file(path: Path) -> None:
    """Remember a file as the user's own, with the content that it has now.

    Raises
    ------
    UsageError
        When it cannot be read, or what is trusted cannot be kept.
    """
    try:
        trusted = {**_read_trusted(), str(path.resolve()): _hash(path)}
        with replacing(_trust_file()) as temporary:
            temporary.write_bytes(orjson.dumps(trusted, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be trusted: {error.strerror}.",
            "Name a synglancer.toml that you can read.",
        ) from error


def is_trusted(path: Path) -> bool:
    """Whether the user trusts a file with the content that it has."""
    try:
        return _read_trusted().get(str(path.resolve())) == _hash(path)
    except OSError:
        return False


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _trust_file() -> Path:
    return data_folder() / "trusted.json"


def _read_trusted() -> dict[str, str]:
    try:
        trusted = orjson.loads(_trust_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return trusted if isinstance(trusted, dict) else {}
