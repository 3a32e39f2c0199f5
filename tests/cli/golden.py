"""Write the sample cell's canonical state and each command's help to files that git can compare.

``python tests/cli/golden.py`` writes them anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts import App

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "sample-cell.json"
HELP = Path(__file__).parent / "help"
"""The folder with a file for each command, such as ``publish-verify.txt``."""

_FIRST_ROWS = 2
_HELP_WIDTH = "100"
_RUN = """
import json, sys
from contextlib import redirect_stdout
from io import StringIO
from synglancer.cli import build_make_link, build_synglancer, run

def read_help(name, *words):
    with redirect_stdout(StringIO()) as out:
        run(build_make_link if name == "make-link" else build_synglancer, [*words, "--help"])
    return out.getvalue()

print(json.dumps({command: read_help(*command.split()) for command in sys.argv[1:]}))
"""


def list_commands() -> list[str]:
    """List each command and subcommand as it is typed."""
    from synglancer.cli import build_synglancer

    return ["make-link", "synglancer", *_list_commands(build_synglancer(), "synglancer")]


def _list_commands(app: App, typed: str) -> Iterator[str]:
    for name in app:
        if not name.startswith("-"):
            yield f"{typed} {name}"
            yield from _list_commands(app[name], f"{typed} {name}")


def name_help(command: str) -> str:
    """Name the file with a command's help."""
    return command.removeprefix("synglancer ").replace(" ", "-") + ".txt"


def read_help() -> dict[str, str]:
    """Return the help of each command at a fixed width and without colours."""
    plain = {"COLUMNS": _HELP_WIDTH, "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SYNGLANCER")}
    ours.pop("FORCE_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *list_commands()],
        env={**ours, **plain},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return dict(json.loads(done.stdout))


def write_help() -> None:
    """Write the help of each command, and remove files of commands that no longer exist."""
    HELP.mkdir(exist_ok=True)
    for path in HELP.glob("*.txt"):
        path.unlink()
    for command, text in read_help().items():
        (HELP / name_help(command)).write_text(text, encoding="utf-8")


def summarise(state: dict[str, Any], origin: str) -> str:
    """Write a state without its variable parts, and with shortened annotations.

    Each layer's annotations become their number, the SHA-256 of their canonical JSON, and the first
    of them. The sandbox's address and the package's version are replaced by their names.
    """
    text = json.dumps(state).replace(origin, "http://sandbox")
    plain = json.loads(text.replace(state["synglancer"]["generator"], "synglancer"))
    for layer in plain["layers"]:
        if "annotations" in layer:
            notes = layer["annotations"]
            canonical = json.dumps(notes, sort_keys=True, separators=(",", ":"))
            layer["annotations"] = {
                "count": len(notes),
                "sha256": hashlib.sha256(canonical.encode()).hexdigest(),
                "first": [json.dumps(note, sort_keys=True) for note in notes[:_FIRST_ROWS]],
            }
        if "shader" in layer:
            layer["shader"] = layer["shader"].splitlines()
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the golden state of the sample cell."""
    from cave_sandbox.sample.build import ensure_sample
    from cave_sandbox.server import Sandbox, SandboxOptions
    from synglancer import make_link

    with tempfile.TemporaryDirectory() as folder:
        data = ensure_sample(Path(folder) / "sample")
        options = SandboxOptions(data=data, states=Path(folder) / "states", token="golden")
        token = Path(folder) / "token"
        token.write_text("golden")
        with Sandbox(options) as sandbox:
            made = make_link(
                864691135276234469,
                server=sandbox.origin,
                token_file=str(token),
                no_cache=True,
            )
            GOLDEN.parent.mkdir(parents=True, exist_ok=True)
            GOLDEN.write_text(summarise(made.state, sandbox.origin), encoding="utf-8")


if __name__ == "__main__":
    main()
    write_help()
